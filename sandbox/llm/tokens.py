"""What the simulation counts as tokens. It charges the list prices of `jitr.schemas.prices`.

The generated workload asks for models such as `gpt-4.1-simulated`, which is charged like the model it is
named after; a model without a price costs nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any

CHARACTERS_PER_TOKEN = 4
TOKENS_PER_MESSAGE = 4


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
