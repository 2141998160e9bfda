"""A marker of what is being worked on, so that an event that kills its process can be told.

Before a batch its range is marked. A clean end removes the mark; one that is found at the start names the
batch in which the last process died. After two deaths the events of that range are worked on one by one;
the third death then names one event.
"""

from __future__ import annotations

import os
from contextlib import suppress

import fsspec
import msgspec

DEATHS = 3
_LENGTH = 512


class Range(msgspec.Struct, frozen=True):
    """Events from ``first`` to ``last`` (each an offset and an index in its record), and deaths in it."""

    first: tuple[int, int]
    last: tuple[int, int]
    deaths: int = 0


class _Marker(msgspec.Struct, frozen=True):
    current: Range
    suspect: Range | None = None


class CrashMarker:
    """The crash marker of one source partition.

    Parameters
    ----------
    url : str
        The file, any fsspec URL or path.

    Examples
    --------
    >>> marker = CrashMarker("memory://doc/marker.json")
    >>> marker.begin((5, 0), (9, 2))              # and the process dies
    >>> marker = CrashMarker("memory://doc/marker.json")
    >>> marker.suspect.deaths, marker.one_by_one((6, 0)), marker.is_poison((6, 0))
    (1, False, False)
    >>> for _ in range(2):                       # and again, at last alone
    ...     marker.begin((6, 0), (6, 0)); marker = CrashMarker("memory://doc/marker.json")
    >>> marker.is_poison((6, 0)), marker.is_poison((7, 0))
    (True, False)
    >>> marker.close()
    """

    def __init__(self, url: str) -> None:
        self._fs, self._path = fsspec.core.url_to_fs(url)
        self.suspect: Range | None = None
        self._made = False
        self._file: int | None = None
        try:
            with self._fs.open(self._path, "rb") as file:
                found = msgspec.json.decode(file.read(), type=_Marker)
        except (OSError, ValueError, RecursionError):
            return
        died = msgspec.structs.replace(found.current, deaths=found.current.deaths + 1)
        other = found.suspect
        # a death before the suspect range was reached again says nothing about that range
        self.suspect = other if other is not None and died.last < other.first else died

    def one_by_one(self, at: tuple[int, int]) -> bool:
        """Must the event at this place be worked on alone?"""
        s = self.suspect
        return s is not None and s.deaths >= DEATHS - 1 and s.first <= at <= s.last

    def is_poison(self, at: tuple[int, int]) -> bool:
        """Has this very event killed its process often enough?"""
        s = self.suspect
        return s is not None and s.deaths >= DEATHS and s.first == s.last == at

    def begin(self, first: tuple[int, int], last: tuple[int, int]) -> None:
        """Mark a batch before it is worked on."""
        s = self.suspect
        if s is not None and first > s.last:
            s = self.suspect = None
        deaths = s.deaths if s is not None and last >= s.first else 0
        self._write(_Marker(Range(first, last, deaths), s))

    def close(self) -> None:
        """A clean end: whoever goes on need not suspect anything, unless there was a suspect before.

        Where the mark cannot be written (a full disk), it stays as it was.
        """
        self.leave()
        with suppress(OSError):
            if self.suspect is None:
                if self._fs.exists(self._path):
                    self._fs.rm_file(self._path)
            elif self._made:
                keep = msgspec.structs.replace(self.suspect, deaths=self.suspect.deaths - 1)
                with self._fs.open(self._path, "wb") as file:
                    file.write(msgspec.json.encode(_Marker(keep)))

    def leave(self) -> None:
        """Another works here now: what stands there is its own."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _write(self, marker: _Marker) -> None:
        """Replace the mark; a local file stays open and is written over, for there is one mark a batch."""
        if not self._made:
            self._fs.makedirs(self._path.rpartition("/")[0], exist_ok=True)
            self._made = True
        text = msgspec.json.encode(marker)
        if "file" not in self._fs.protocol:
            with self._fs.open(self._path, "wb") as file:
                file.write(text)
            return
        if self._file is None:
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
        # blanks at the end are no part of the JSON: what was longer before does not show
        os.pwrite(self._file, text.ljust(_LENGTH), 0)
