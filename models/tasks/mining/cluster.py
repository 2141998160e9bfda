"""A cluster of prompts with one template: a sample of its members, and how its slots begin at first."""

from collections.abc import Sequence

from jitr.models.tasks.matching.pattern import Pattern
from jitr.models.tasks.matching.text import BREAKS, CLAUSE, MARKS, tail_of
from jitr.models.tasks.mining.edges import edge
from jitr.models.tasks.mining.items import items_of
from jitr.models.tasks.mining.window import Entry

MEMBERS = 40
YOUNG = 1200
_MOST_HEADS = 600
_FIRST_REFINEMENT = 16
_LINES = ("\n", *MARKS)


def block_slots(pattern: Pattern) -> tuple[int, ...]:
    """Slots that may hold a block, such as a second instruction, and not what follows a heading on its line.

    A block stands at the prompt's start, after a role or a colon, or goes on where a run stops in mid
    sentence.

    Examples
    --------
    >>> block_slots(Pattern("### Instruction:", ('Name: "',), ""))
    (0,)
    """
    found = []
    for j, left in enumerate((pattern.prefix, *pattern.inner)):
        line = left[max([left.rfind(c) for c in _LINES]) + 1 :]
        if left[-1:] in (":", *_LINES[1:], "") or not (edge(tail_of(left)) or any(c in ':"(“' for c in line)):
            found.append(j)
    return tuple(found)


class Cluster:
    """Prompts that share a template: its number, a sample of its members and its counts."""

    __slots__ = (
        "blocks",
        "checked",
        "heads",
        "id",
        "label_slot",
        "last",
        "members",
        "n",
        "next_refinement",
        "outer",
        "pattern",
        "quiet",
    )

    def __init__(self, id: int, pattern: Pattern, seq: int) -> None:
        self.id = id
        self.n = 0
        self.members: list[Entry] = []
        self.last = seq
        self.next_refinement = _FIRST_REFINEMENT
        self.quiet = 0
        self.label_slot = False
        self.checked = -1
        self.take(pattern)

    def take(self, pattern: Pattern) -> None:
        """Go on with these literals; how the slots begin is counted anew."""
        self.pattern = pattern
        self.blocks = block_slots(pattern)
        # whole clauses of the two ends
        self.outer = (
            max([pattern.prefix.rfind(c) for c in BREAKS]) + 1,
            min([at for c in BREAKS if (at := pattern.suffix.find(c)) >= 0], default=len(pattern.suffix)),
        )
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

    def between(self, text: str) -> str:
        """A member's text without the whole clauses of the constant text at its two ends."""
        left, kept = self.outer
        return text[left : len(text) - len(self.pattern.suffix) + kept]

    def blocks_of(self, text: str) -> list[tuple[int, str]]:
        """The slots that hold a block in a text."""
        pattern = self.pattern
        slots = pattern.slots(text)
        found = []
        for j in self.blocks:
            left = pattern.inner[j - 1] if j else pattern.prefix
            # what follows a heading on its line is a slot value
            if left[-1:] != ":" or slots[j][:1] == "\n":
                found.append((j, slots[j]))
        return found

    def count_heads(self, blocks: Sequence[tuple[int, str]]) -> None:
        """Count how blocks begin: few, repeated, sentence-like beginnings are instructions."""
        heads = self.heads
        for j, block in blocks:
            found = CLAUSE.match(block.lstrip(' \n"')[:300])
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
