"""How the teacher writes a label: byte for byte what it tends to answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from jitr.models.tasks.answers import canonical_json, json_of


class JsonStyle(msgspec.Struct, frozen=True):
    """How a teacher lays out a JSON object: order of its keys, indent, separators, fence."""

    keys: tuple[str, ...]
    indent: int | None
    separators: tuple[str, str]
    ascii: bool
    before: str
    after: str

    def write(self, value: dict[str, Any]) -> str:
        """An object in this style."""
        order = {key: i for i, key in enumerate(self.keys)}
        ordered = dict(sorted(value.items(), key=lambda kv: (order.get(kv[0], len(order)), kv[0])))
        body = json.dumps(ordered, indent=self.indent, separators=self.separators, ensure_ascii=self.ascii)
        return self.before + body + self.after


def style_of(answer: str) -> JsonStyle | None:
    """The style that reproduces an answer exactly, or None where none does.

    Examples
    --------
    >>> style_of('{"b": 1, "a": 2}').write({"a": 5, "b": 6})
    '{"b": 6, "a": 5}'
    """
    value = json_of(answer)
    if value is None:
        return None
    at, end = answer.find("{"), answer.rfind("}") + 1
    before, body, after = answer[:at], answer[at:end], answer[end:]
    for indent, separators in (
        (None, (", ", ": ")),
        (None, (",", ":")),
        (2, (",", ": ")),
        (4, (",", ": ")),
    ):
        for ascii in (False, True):
            style = JsonStyle(tuple(value), indent, separators, ascii, before, after)
            if style.write(value) == answer[:at] + body + after:
                return style
    return None


def render(label: str, renderings: Mapping[str, str]) -> str:
    """The teacher's usual text for a label.

    Parameters
    ----------
    label : str
        A normal form.
    renderings : mapping
        Known labels to the text the teacher tends to write for them.

    Returns
    -------
    str
        The known text; for a JSON object that was never seen, one in the style of those that were; else the
        label.

    Examples
    --------
    >>> render("positive", {"positive": "Positive."})
    'Positive.'
    >>> render('{"a":1,"b":2}', {'{"a":3,"b":4}': '{"b": 4, "a": 3}'})
    '{"b": 2, "a": 1}'
    """
    known = renderings.get(label)
    if known is not None:
        return known
    value = json_of(label)
    if value is not None:
        for seen in renderings.values():
            style = style_of(seen)
            if style is not None and set(style.keys) == set(value):
                return style.write(value)
    return label


def matches_rendering(label: str, answer: str) -> bool:
    """Whether an answer is a rendering of a JSON label."""
    value = json_of(answer)
    return value is not None and canonical_json(value) == label
