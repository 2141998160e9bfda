"""Reads answers that are a set of labels: a JSON list, or labels with commas, semicolons, bars or lines."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from jitr.models.answers.normalize import normal, unfenced

SEPARATORS = ("\n", ";", " |", ",")
DASHES = ("- ", "* ", "• ")
_LEAD = re.compile(r"[^,;|\n\[\]]{1,40}:\s+")
_LONGEST, _LONGEST_PART = 600, 60
_MOST_WORDS = 6


def parts_of(answer: str) -> tuple[str, ...] | None:
    """The labels that an answer lists, as they are written; one alone is a list too, prose is None.

    Examples
    --------
    >>> parts_of("Topics: Sports, Law."), parts_of('["b", "a"]'), parts_of("- x\\n- y"), parts_of("[]")
    (('Sports', 'Law'), ('b', 'a'), ('x', 'y'), ())
    >>> parts_of("It is hard to say what this text is about, because it is long.") is None
    True
    """
    if len(answer) > _LONGEST:
        return None
    text = unfenced(answer)
    first, last = text.find("["), text.rfind("]")
    if 0 <= first < last:
        try:
            return tuple(msgspec.json.decode(text[first : last + 1], type=list[str]))
        except (msgspec.DecodeError, UnicodeError):
            return None
    if (lead := _LEAD.match(text)) is not None:
        text = text[lead.end() :]
    text = text.removesuffix(".")
    separator = next((s for s in SEPARATORS if s in text), ",")
    parts = [part.strip() for part in text.split(separator)]
    parts = [next((part[len(d) :].strip() for d in DASHES if part.startswith(d)), part) for part in parts]
    if any(len(part) > _LONGEST_PART or part.count(" ") >= _MOST_WORDS for part in parts):
        return None
    return tuple(part for part in parts if part)


def canonical_list(parts: Iterable[str]) -> str:
    """The normal form of a set of labels: their normal forms, sorted, as a JSON list.

    Examples
    --------
    >>> canonical_list(["Sports", "**law**", "sports"])
    '["law","sports"]'
    """
    return msgspec.json.encode(sorted({normal(part) for part in parts} - {""})).decode()


def set_of(answer: str) -> str | None:
    """The normal form of an answer that lists labels, or None; that of a normal form is itself.

    Examples
    --------
    >>> set_of("Sports; Law"), set_of('["law","sports"]'), set_of("It is hard to say what this is.")
    ('["law","sports"]', '["law","sports"]', None)
    """
    parts = parts_of(answer)
    return None if parts is None else canonical_list(parts)


def members_of(label: str) -> tuple[str, ...] | None:
    """The labels in a normal form of a set; None where it is none.

    Examples
    --------
    >>> members_of('["law","sports"]'), members_of("law"), members_of('["b","a"]')
    (('law', 'sports'), None, None)
    """
    if not label.startswith("["):
        return None
    try:
        found = msgspec.json.decode(label, type=tuple[str, ...])
    except (msgspec.DecodeError, UnicodeError):
        return None
    return found if msgspec.json.encode(sorted(set(found))).decode() == label else None
