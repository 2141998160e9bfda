"""A text as the patterns see it: a byte a character, whatever its script, without the escapes of JSON."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np

_LETTER: Final = 0xAA
_OTHER: Final = 0xA4
_NOTHING: Final = 0xAD
# one backslash or several: JSON in JSON
_ESCAPED: Final = re.compile(rb"(?<!\\)\\{1,8}u00([2-7][0-9a-fA-F])")
_DASHES: Final = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d"
_INVISIBLE: Final = "\xad\u200b\u200c\u200d\u2060\ufeff"


@dataclass(frozen=True, slots=True)
class Seen:
    """What is searched, and where in the text each of its bytes begins and ends (None: at its own index)."""

    data: bytes
    begins: Any = None
    ends: Any = None

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Where in the text a stretch of the bytes stands."""
        if self.begins is None:
            return start, end
        return int(self.begins[start]), int(self.ends[end - 1])

    def kept(self, held: Any, keep: Any) -> Seen:
        """Some of the bytes, which may be others by now."""
        begins = np.arange(len(held)) if self.begins is None else self.begins
        ends = begins + 1 if self.ends is None else self.ends
        return Seen(held[keep].tobytes(), begins[keep], ends[keep])


def seen(text: str) -> Seen:
    r"""Map a text to bytes.

    Full-width letters and signs, digits of other scripts, dashes and spaces become their ASCII kin, letters
    beyond Latin-1 one letter; invisible characters go; ``\n``, ``\"``, ``\/`` and ``\u0040`` count as what
    they stand for.

    Examples
    --------
    >>> seen("ann\uff20example\uff0eorg 4111\xa01111 \u0663").data
    b'ann@example.org 4111 1111 3'
    >>> found = seen(r'{"to": "ann\u0040example.org"}')
    >>> found.data, found.span(8, 23)
    (b'{"to": "ann@example.org"}', (8, 28))
    """
    if text.isascii():
        found = Seen(text.encode())
    else:
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
        held = _table().take(codes, mode="clip")
        found = Seen(held.tobytes())
        if _NOTHING in found.data:
            found = found.kept(held, held != _NOTHING)
    return found if b"\\" not in found.data else _unescaped(found)


def _unescaped(found: Seen) -> Seen:
    # as long as before: nothing moves
    data = found.data.replace(b'\\"', b' "').replace(b"\\n", b" \n").replace(b"\\/", b"//")
    data = data.replace(b"\\t", b" \t").replace(b"\\r", b" \r")
    if b"\\u00" not in data:
        return Seen(data, found.begins, found.ends)
    held = np.frombuffer(data, np.uint8).copy()
    begins = np.arange(len(held)) if found.begins is None else found.begins
    ends = (begins + 1 if found.ends is None else found.ends).copy()
    keep = np.ones(len(held), bool)
    for escape in _ESCAPED.finditer(data):
        held[escape.start()] = int(escape[1], 16)
        ends[escape.start()] = ends[escape.end() - 1]
        keep[escape.start() + 1 : escape.end()] = False
    return Seen(data, begins, ends).kept(held, keep)


@cache
def _table() -> Any:
    """What each code point of the first plane, and one for all others, is seen as."""
    every = "".join(map(chr, range(0x10000)))
    table = np.full(0x10000, _OTHER, np.uint8)
    letters = np.fromiter((c.isalnum() or unicodedata.combining(c) > 0 for c in every), bool, len(every))
    table[letters] = _LETTER
    table[:0x100] = np.arange(0x100)
    for at, c in enumerate(every):
        if at >= 0x80 and c.isspace():
            table[at] = ord("\n") if c in "\x85\u2028\u2029" else ord(" ")
        elif at >= 0x100 and c.isdecimal():
            table[at] = ord("0") + unicodedata.decimal(c)
        elif at >= 0x100 and len(plain := unicodedata.normalize("NFKC", c)) == 1 and plain.isascii():
            table[at] = ord(plain)  # full-width and small forms
    table[[ord(c) for c in "\u3002\uff61\u2024\ufe52"]] = ord(".")
    table[[ord(c) for c in "\u2018\u2019\u201c\u201d"]] = ord("'")
    table[[ord(c) for c in _DASHES]] = ord("-")
    table[[ord(c) for c in _INVISIBLE]] = _NOTHING
    return table
