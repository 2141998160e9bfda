"""Finds what is to be replaced: one pass rules out most texts, and only patterns that occur look closer."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

import re2

from jitr.models.redaction.checks import is_fraction
from jitr.models.redaction.pattern import Rule
from jitr.models.redaction.seen import Seen, seen
from jitr.schemas.errors import ConfigError

Found = tuple[int, int, str]
_MEMORY: Final = 128 * 2**20
# what a number of JSON is given to, so that what replaces it is quoted as JSON wants it
_FIELD: Final = re.compile(r"(\\{0,8}\")\s{0,2}:\s{0,2}\Z")
_SPACE: Final = 32
_LONGEST_WORD: Final = 512
_SHORTEST: Final = 8
_NUMBERS: Final = frozenset({"card", "phone", "id"})
_MOST_PASSES: Final = 8
# short texts in which nothing was found are remembered: the answers of a task come again and again
_SHORT: Final = 200
_MOST_CLEAN: Final = 2000


class Finder:
    """Patterns, compiled by RE2: its time is linear in the text's length, whatever pattern and text.

    Parameters
    ----------
    patterns : sequence of Rule
        Where two find the same, the first counts.

    Raises
    ------
    ConfigError
        Naming the pattern that is not in RE2's syntax.

    Examples
    --------
    >>> finder = Finder([Rule("staff", "E[0-9]{6}")])
    >>> finder.redact("of E123456 and E12"), finder.find("E123456")
    ('of [staff] and E12', [(0, 7, 'staff')])
    """

    def __init__(self, patterns: Sequence[Rule]) -> None:
        self._patterns: Final = tuple(patterns)
        self._compiled: Final = [_compiled(pattern) for pattern in patterns]
        self._any: Final = re2.Set.SearchSet(_options())
        for pattern in patterns:
            self._any.Add(_as_seen(pattern.sign or pattern.regex))
        if patterns:
            self._any.Compile()
        self._clean: Final[set[str]] = set()
        words = "|".join({"name", *(pattern.kind for pattern in patterns)})
        self._word: Final = re.compile(rf"\[(?:{words})\]".encode())

    def redact(self, text: str) -> str:
        """The text with a word in brackets for all that was found."""
        return self.redact_all([text], [""])[0]

    def redact_all(self, texts: list[str], separators: Sequence[str]) -> list[str]:
        """Texts that belong together, each with what stands before it when they are read as one."""
        for _ in range(_MOST_PASSES):
            joined = "".join([part for pair in zip(separators, texts, strict=True) for part in pair])
            found = [] if joined in self._clean else self.find(joined)
            if not found:
                self._remember(joined)
                break
            texts = _replaced(joined, texts, separators, found)  # what a word lays bare is looked at again
        return texts

    def _remember(self, clean: str) -> None:
        if len(clean) <= _SHORT:
            if len(self._clean) >= _MOST_CLEAN:
                self._clean.clear()
            self._clean.add(clean)

    def find(self, text: str) -> list[Found]:
        """Where something begins and ends, and of which kind it is; in order, none over another."""
        if not self._patterns:
            return []
        held = seen(text)
        found = [one for at in self._occurring(held.data) for one in self._look(at, held)]
        if b"\n" in held.data:
            found += self._broken(held, found)
        return _apart(found, self._placed(held)) if found else found

    def _occurring(self, data: bytes) -> list[int]:
        """Which patterns occur, or may by their sign, in their order."""
        return sorted(self._any.Match(data) or ())

    def _placed(self, held: Seen) -> list[tuple[int, int]]:
        """Words that stand for what was found before."""
        return (
            [held.span(*match.span()) for match in self._word.finditer(held.data)]
            if b"[" in held.data
            else []
        )

    def _look(self, at: int, held: Seen) -> list[Found]:
        pattern, found = self._patterns[at], []
        group = min(1, self._compiled[at].groups)
        for match in self._compiled[at].finditer(held.data):
            span: tuple[int, int] | None = match.span(group)
            if span is not None and span[0] < 0:
                continue
            if pattern.kind in _NUMBERS and span is not None and is_fraction(held.data, span[0]):
                continue
            if pattern.check is not None and span is not None:
                span = pattern.check(held.data, *span)
            if span is not None and span[0] < span[1]:
                found.append((*held.span(*span), pattern.kind))
        return found

    def _broken(self, held: Seen, found: list[Found]) -> list[Found]:
        """What a line break divides: where nothing was found, or only the beginning of it."""
        pieces = _divided(held.data)
        if not pieces:
            return []
        more = []
        joined = [held.data[begin:middle] + held.data[middle + 1 : end] for begin, middle, end in pieces]
        for at in self._occurring(b" \0 ".join(joined)):
            if not self._patterns[at].broken:
                continue
            for (begin, middle, _), piece in zip(pieces, joined, strict=True):
                for start, stop, kind in self._look(at, Seen(piece)):
                    if not begin + start < middle < begin + stop:
                        continue
                    place = held.span(begin + start, begin + stop + 1)
                    rest = held.data[middle + 1 : begin + stop + 1]
                    over = [one for one in found if one[0] < place[1] and place[0] < one[1]]
                    # a word that follows is not the key's
                    drawn = kind == "key" and len(rest) >= 6 and any(48 <= c <= 57 for c in rest)
                    if not over or (over[0][0] == place[0] and drawn):
                        more.append((*place, kind))
        return more


def _divided(data: bytes) -> list[tuple[int, int, int]]:
    """Where the word before each line break begins, where the break is, and where the word after it ends."""
    pieces, at = [], 0
    lines = data.split(b"\n")
    for above, below in pairwise(lines):
        at += len(above)
        if above and below and above[-1] > _SPACE and below[0] > _SPACE:  # two words, which may be one
            left = above[-_LONGEST_WORD:].rsplit(None, 1)[-1]
            right = below[:_LONGEST_WORD].split(None, 1)[0]
            if len(left) + len(right) >= _SHORTEST:
                pieces.append((at - len(left), at, at + 1 + len(right)))
        at += 1
    return pieces


def _compiled(pattern: Rule) -> Any:
    try:
        compiled = re2.compile(_as_seen(pattern.regex), _options())
    except re2.error as error:
        reason = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error)
        raise ConfigError(
            f"the pattern of {pattern.kind!r}, {pattern.regex!r}, is not in RE2's syntax: {reason};"
            " RE2 has no look-around and no back-references: put what is to be replaced into a group instead"
        ) from error
    if compiled.search(b"") is not None:
        raise ConfigError(
            f"the pattern of {pattern.kind!r}, {pattern.regex!r}, matches nothing at all everywhere;"
            " let it want one character at least"
        )
    return compiled


def _as_seen(regex: str) -> bytes:
    """A letter beyond Latin-1 is one letter, as in texts."""
    return re.sub("[^\0-\xff]", "\xaa", regex).encode("latin-1")


def _options() -> Any:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.max_mem = _MEMORY
    options.log_errors = False
    return options


def _apart(found: list[Found], placed: list[tuple[int, int]]) -> list[Found]:
    """In order; of those that overlap the first; nothing within a word that stands for what was found."""
    kept: list[Found] = []
    for one in sorted(found, key=lambda f: (f[0], f[2] != "key", -f[1])):
        if not kept or one[0] >= kept[-1][1]:
            kept.append(one)
    if not placed:
        return kept
    starts = [start for start, _ in placed]
    free = []
    for one in kept:
        at = bisect_left(starts, one[1]) - 1
        if at < 0 or placed[at][1] <= one[0]:
            free.append(one)
    return free


def _replaced(joined: str, texts: list[str], separators: Sequence[str], found: list[Found]) -> list[str]:
    made, begin, left = [], 0, iter(found)
    one = next(left, None)
    for separator, text in zip(separators, texts, strict=True):
        begin += len(separator)
        end, at, parts = begin + len(text), begin, []
        if one is None or one[0] >= end:
            made.append(text)
            begin = end
            continue
        while one is not None and one[0] < end:
            start = max(one[0], begin)
            if one[1] > start:
                field = _FIELD.search(joined, max(0, start - 16), start) if joined[start].isdigit() else None
                quote = field[1] if field else ""
                parts += [joined[at:start], quote, "[", one[2], "]", quote]
                at = min(one[1], end)
            if one[1] > end:
                break  # it goes on in the next text
            one = next(left, None)
        parts.append(joined[at:end])
        made.append("".join(parts))
        begin = end
    return made
