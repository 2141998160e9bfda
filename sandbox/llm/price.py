"""What the simulation counts as tokens, and what it charges for them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

CHARACTERS_PER_TOKEN = 4
TOKENS_PER_MESSAGE = 4


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars for a million tokens, in and out.

    Examples
    --------
    >>> Price(2.0, 8.0).cost_usd(1_000_000, 500_000)
    6.0
    """

    input_usd_per_mtok: float
    output_usd_per_mtok: float

    def cost_usd(self, prompt_tokens: int, completion_tokens: int) -> float:
        """What a call costs."""
        return (
            prompt_tokens * self.input_usd_per_mtok + completion_tokens * self.output_usd_per_mtok
        ) / 1_000_000


# the list prices of GPT-4.1 and GPT-4.1 mini in 2025
PRICES: Mapping[str, Price] = {
    "simulated-large": Price(2.00, 8.00),
    "simulated-small": Price(0.40, 1.60),
}
OTHER = PRICES["simulated-large"]  # recorded models keep their names and are charged like this


def count_text(text: str) -> int:
    """Tokens of a text: a token for every 4 characters begun.

    Examples
    --------
    >>> count_text(""), count_text("word"), count_text("words")
    (0, 1, 2)
    """
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def count_prompt(messages: Sequence[Mapping[str, Any]]) -> int:
    """Tokens of a prompt: those of its texts, and 4 more for each message.

    Examples
    --------
    >>> count_prompt([{"role": "user", "content": "hello"}])
    6
    """
    return sum(TOKENS_PER_MESSAGE + count_text(text_of(message.get("content"))) for message in messages)


def text_of(content: object) -> str:
    """The text of a message's content, which may be a list of parts.

    Examples
    --------
    >>> text_of([{"type": "text", "text": "a"}, {"type": "image_url"}, {"type": "text", "text": "b"}])
    'ab'
    """
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    return ""
