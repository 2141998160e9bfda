"""A skeleton as the miner keeps it: its members, and how its slots begin while it is young."""

from jitr.models.tasks.items import items_of
from jitr.models.tasks.skeleton import Pattern
from jitr.models.tasks.text import CLAUSE
from jitr.models.tasks.window import Entry

MEMBERS = 40
YOUNG = 1200
_MOST_HEADS = 600
_FIRST_REFINEMENT = 16


class Mined:
    """A live skeleton with its number, its sampled members and its counts."""

    __slots__ = ("heads", "id", "label_slot", "last", "members", "n", "next_refinement", "pattern", "quiet")

    def __init__(self, id: int, pattern: Pattern, seq: int) -> None:
        self.id = id
        self.pattern = pattern
        self.n = 0
        self.members: list[Entry] = []
        self.last = seq
        self.next_refinement = _FIRST_REFINEMENT
        self.quiet = 0
        self.label_slot = False
        self.heads: dict[tuple[int, str], int] = {}

    @property
    def samples(self) -> bool:
        """Whether the call that was counted last is one to keep; ever more rarely as they come."""
        n = self.n
        return len(self.members) < MEMBERS or not n & (3 if n < 512 else 15 if n < 4096 else 63)

    def sample(self, entry: Entry) -> None:
        """Keep a member, in the place of an older one where there are enough."""
        if len(self.members) < MEMBERS:
            self.members.append(entry)
            return
        bits = 2 if self.n < 512 else 4 if self.n < 4096 else 6
        self.members[(self.n >> bits) % MEMBERS] = entry

    def count_heads(self, text: str) -> None:
        """Count how each slot begins: few, repeated, sentence-like beginnings are instructions."""
        heads = self.heads
        lefts = (self.pattern.prefix, *self.pattern.inner)
        for j, slot in enumerate(self.pattern.slots(text)):
            if lefts[j][-1:] == ":" and slot[:1] != "\n":
                continue  # no block: what follows a heading on its line is payload
            found = CLAUSE.match(slot.lstrip(' \n"')[:300])
            if found:
                key = (j, found.group())
                if key in heads:
                    heads[key] += 1
                elif len(heads) < _MOST_HEADS:
                    heads[key] = 1

    def schedule(self) -> None:
        """Refine at 16, 32, 64, then ever more rarely; most rarely where nothing came of it three times."""
        n = self.n
        if self.quiet >= 3 and n < 4096:
            self.next_refinement = 2 * n
            return
        step = n if n < 64 else 64 if n < 512 else 256 if n < 4096 else 1024 if n < 32768 else 4096
        self.next_refinement = n + step

    def entries(self) -> list[Entry]:
        """The members with their items; repeats of a text once."""
        out = list({e.text: e for e in self.members}.values())
        for entry in out:
            if not entry.items:
                entry.items = items_of(entry.text)
        return out

    def texts(self) -> list[str]:
        """The members' texts."""
        return [e.text for e in self.members]
