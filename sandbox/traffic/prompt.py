"""A prompt with one hole: how a slot value is put into messages and found in them again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

HOLE = "{slot_value}"


@dataclass(frozen=True, slots=True)
class Prompt:
    """Messages of a chat, the last of which holds `{slot_value}` once.

    Parameters
    ----------
    turns : tuple of (role, content)
        All but the last are constant: system prompt, few-shot turns.

    Raises
    ------
    ValueError
        The last turn does not hold `{slot_value}` exactly once.

    Examples
    --------
    >>> prompt = Prompt((("system", "Say yes or no."), ("user", "Text: {slot_value} Answer:")))
    >>> prompt.parse(prompt.render("It rains."))
    'It rains.'
    >>> prompt.parse([{"role": "user", "content": "hello"}]) is None
    True
    """

    turns: tuple[tuple[str, str], ...]

    def __post_init__(self) -> None:
        if not self.turns or self.turns[-1][1].count(HOLE) != 1:
            raise ValueError(f"the last turn of {self.turns!r} must hold {HOLE} exactly once")

    def render(self, slot_value: str) -> list[dict[str, str]]:
        """Messages with the slot value in its place."""
        messages = [{"role": role, "content": content} for role, content in self.turns]
        messages[-1]["content"] = messages[-1]["content"].replace(HOLE, slot_value)
        return messages

    def parse(self, messages: Sequence[Mapping[str, Any]]) -> str | None:
        """The slot value of messages that this prompt rendered, else None."""
        if len(messages) != len(self.turns):
            return None
        for message, (role, content) in zip(messages[:-1], self.turns, strict=False):
            if message.get("role") != role or message.get("content") != content:
                return None
        text = messages[-1].get("content")
        before, after = self.turns[-1][1].split(HOLE)
        if messages[-1].get("role") != self.turns[-1][0] or not isinstance(text, str):
            return None
        if len(text) < len(before) + len(after) or not (text.startswith(before) and text.endswith(after)):
            return None
        return text[len(before) : len(text) - len(after)]
