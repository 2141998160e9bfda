"""The templates a miner has found: filed for matching, and known for what their slots held."""

from collections.abc import Container, Sequence

from jitr.models.tasks.matching.index import Index
from jitr.models.tasks.matching.pattern import Pattern
from jitr.models.tasks.mining.cluster import Mined
from jitr.models.tasks.mining.slot_values import SlotValues

_TASK_SIZE = 20


class Shelf:
    """Live templates by number.

    Parameters
    ----------
    most : int
        How many are kept; small ones go first, then old ones.
    values : SlotValues
        What their slots held.
    """

    def __init__(self, most: int, values: SlotValues) -> None:
        self.most = most
        self.slot_values = values
        self.live: dict[int, Mined] = {}
        self.aliases: dict[int, int] = {}
        self.patterns: dict[int, Pattern] = {}
        self.changes = 0  # who asks again can see that nothing has changed
        self._index: Index[Mined] = Index()
        self._by_key: dict[tuple[str, tuple[str, ...], str], Mined] = {}

    def __len__(self) -> int:
        return len(self.live)

    def find(self, text: str) -> Mined | None:
        """The live template with most constant characters that matches."""
        found = self._index.find(text)
        return found[1] if found else None

    def covering(self, texts: Sequence[str]) -> set[int]:
        """Templates that match the first of these texts too: what their slots hold proves nothing about
        them.
        """
        return {mined.id for text in texts[:2] for mined in self._index.all(text)}

    def same(self, pattern: Pattern) -> Mined | None:
        """The live template with exactly these literals."""
        return self._by_key.get(pattern.key)

    def resolve(self, id: int) -> int:
        """The live number behind one that was merged."""
        while id in self.aliases:
            id = self.aliases[id]
        return id

    def put(self, mined: Mined) -> None:
        """File a template."""
        self.live[mined.id] = mined
        self._file(mined)

    def _file(self, mined: Mined) -> None:
        self.changes += 1
        self.patterns[mined.id] = mined.pattern
        self._by_key[mined.pattern.key] = mined
        self._index.add(mined.pattern, mined)
        self.slot_values.add_literals(mined.pattern)

    def _unfile(self, mined: Mined) -> None:
        self.changes += 1
        self.patterns.pop(mined.id, None)
        if self._by_key.get(mined.pattern.key) is mined:
            del self._by_key[mined.pattern.key]
        self._index.remove(mined.pattern)
        self.slot_values.remove_literals(mined.pattern)

    def change(self, mined: Mined, pattern: Pattern) -> None:
        """Give a template other literals; its number stays."""
        self._unfile(mined)
        mined.take(pattern)
        self._file(mined)

    def remove(self, mined: Mined) -> None:
        """Take a template down."""
        self._unfile(mined)
        self.live.pop(mined.id, None)

    def merge(self, mined: Mined, into: Mined, most_members: int) -> None:
        """Let one template go on under another's number."""
        self.aliases[mined.id] = into.id
        into.n += mined.n
        into.members = (into.members + mined.members)[:most_members]
        self.remove(mined)

    def weakest(self) -> Mined:
        """The one to go when the shelf is full."""
        return min(self.live.values(), key=lambda m: (m.n >= _TASK_SIZE, m.last, m.id))

    def is_slot_value(self, clause: str, but: Container[int] = ()) -> bool:
        """Whether a clause is slot text of a live template other than those of `but`."""
        return self.slot_values.is_slot_value(clause, self.patterns, but)

    def holds_run(self, run: str, but: Container[int] = ()) -> bool:
        """Whether a run is made of slot values of other templates."""
        return self.slot_values.holds_run(run, self.patterns, but)
