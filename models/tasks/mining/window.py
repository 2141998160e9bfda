"""Keeps the last prompts that no template explains, and which of them hold which item."""

from collections import Counter, OrderedDict
from collections.abc import Iterable

import msgspec

from jitr.models.tasks.matching.text import HEAD, TAIL

# the sizes of a posting list at which its holders are looked at
_LOOKS = frozenset([6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64])
_LOOKS_AT_ENDS = frozenset([6, 8, 12, 16, 24, 32, 64])
MOST_HOLDERS = 64
FEWEST = 6
_MOST_OVERFLOWS = 20_000
_MOST_WAITS = 20_000


class Entry(msgspec.Struct, gc=False):
    """A prompt as the miner keeps it.

    Parameters
    ----------
    seq : int
        Its number in the miner's stream.
    text : str
        Normalised and shortened.
    items : tuple of str
        What it is cluster by; empty until they are needed.
    answer : str or None
        The teacher's answer if it is short, else None.
    time : float
        Event time, seconds since the epoch.
    """

    seq: int
    text: str
    items: tuple[str, ...]
    answer: str | None
    time: float


class Window:
    """Distinct unexplained prompts, oldest first, with a posting list per item.

    A list keeps its newest holders, at most 64; once it overflows, it is looked at at powers of two only.
    Where a look said how many holders it would take, the list waits for them.
    """

    __slots__ = ("_by_text", "_postings", "chars", "entries", "overflows", "waits")

    def __init__(self) -> None:
        # of a plain dict the first is found ever more slowly as firsts are taken out
        self.entries: OrderedDict[int, Entry] = OrderedDict()
        self.chars = 0
        self.overflows: dict[str, int] = {}
        self.waits: dict[str, int] = {}
        self._by_text: dict[str, int] = {}
        self._postings: dict[str, int | list[int]] = {}

    def __len__(self) -> int:
        return len(self.entries)

    def seq_of(self, text: str) -> int | None:
        """The number of the prompt with this very text, if it is here."""
        return self._by_text.get(text)

    def add(self, entry: Entry) -> list[str]:
        """Keep a prompt; return the items whose holders are worth a look, longest first."""
        seq = entry.seq
        self.entries[seq] = entry
        self._by_text[entry.text] = seq
        self.chars += len(entry.text)
        postings = self._postings
        due: list[str] = []
        for item in entry.items:
            held = postings.setdefault(item, seq)  # one holder needs no list
            if held is seq:
                continue
            if held.__class__ is int:
                postings[item] = [held, seq]
            else:
                assert isinstance(held, list)
                held.append(seq)
                n = len(held)
                if (n in _LOOKS or n > MOST_HOLDERS) and self._look(item, held, n):
                    due.append(item)
        if len(self.overflows) > _MOST_OVERFLOWS:
            self.overflows.clear()
        if len(self.waits) > _MOST_WAITS:
            self.waits.clear()
        if len(due) > 1:
            due.sort(key=lambda item: (-len(item), item))
        return due

    def _look(self, item: str, held: list[int], n: int) -> bool:
        overflows = self.overflows
        if n > MOST_HOLDERS:
            del held[: MOST_HOLDERS // 2]
            overflows[item] = overflows.get(item, 0) + 1
            return False
        if (item[0] in _ENDS and n not in _LOOKS_AT_ENDS) or n < self.waits.get(item, 0):
            return False
        if item not in overflows:
            return True
        return n == MOST_HOLDERS and overflows[item] & (overflows[item] - 1) == 0

    def wait(self, item: str, holders: int) -> None:
        """Let a list that only grows rest until it has so many holders: more of them share no more text."""
        self.waits[item] = min(holders, MOST_HOLDERS)

    def holders(self, item: str) -> list[int]:
        """The kept holders of an item, oldest first."""
        held = self._postings.get(item)
        if held is None:
            return []
        return [held] if isinstance(held, int) else held

    def frequent(self, items: Iterable[str], least: int) -> list[str]:
        """Those of some items that at least so many prompts are known to hold, two at least."""
        postings = self._postings
        out = []
        for item in items:
            held = postings.get(item)
            if held.__class__ is list and len(held) >= least:
                out.append(item)
        return out

    def drop(self, seq: int) -> Entry | None:
        """Forget a prompt."""
        entry = self.entries.pop(seq, None)
        if entry is None:
            return None
        del self._by_text[entry.text]
        self.chars -= len(entry.text)
        postings, waits = self._postings, self.waits
        for item in entry.items:
            held = postings.get(item)
            if held == seq:
                del postings[item]
            elif held.__class__ is list and seq in held:
                held.remove(seq)
                waits.pop(item, None)  # the rest may share more
                if not held:
                    del postings[item]
        return entry

    def oldest(self) -> Entry | None:
        """The prompt that came first."""
        return next(iter(self.entries.values()), None)

    def lengths(self) -> dict[str, int]:
        """Lengths of the lists that lack a holder: with the entries, all there is to restore."""
        counts: Counter[str] = Counter()
        for entry in self.entries.values():
            counts.update(entry.items)
        out = {}
        for item, n in counts.items():
            if n > 1:
                held = len(self.holders(item))
                if held != n:
                    out[item] = held
        return out

    def restore(
        self,
        entries: list[Entry],
        overflows: dict[str, int],
        lengths: dict[str, int],
        waits: dict[str, int],
    ) -> None:
        """Fill an empty window as it was.

        A list is always the newest holders of its item, so its length says which.
        """
        postings = self._postings
        for entry in entries:
            self.entries[entry.seq] = entry
            self._by_text[entry.text] = entry.seq
            self.chars += len(entry.text)
            for item in entry.items:
                held = postings.get(item)
                if isinstance(held, list):
                    held.append(entry.seq)
                else:
                    postings[item] = entry.seq if held is None else [held, entry.seq]
        self.overflows, self.waits = dict(overflows), dict(waits)
        for item, keep in lengths.items():
            held = postings[item]
            if not keep:
                del postings[item]
            elif isinstance(held, list):
                del held[: len(held) - keep]


_ENDS = HEAD + TAIL
