"""Remembers which clauses are slot values: seen in a slot of a known template, and constant in none."""

from collections import Counter
from collections.abc import Container, Mapping

from jitr.models.tasks.matching.pattern import Pattern
from jitr.models.tasks.matching.text import clause_key, clauses, weight

_LONG_ENOUGH = 12
_MOST_OWNERS = 6


class SlotValues:
    """A bounded table from clause to the templates whose members held it.

    The same document sent through several templates must not become a template of its own: its clauses
    have been seen as slot values elsewhere.
    """

    __slots__ = ("literals", "most", "owners")

    def __init__(self, most: int = 60_000) -> None:
        self.most = most
        self.owners: dict[str, tuple[int, ...]] = {}
        self.literals: Counter[str] = Counter()

    def note(self, text: str, owner: int) -> None:
        """Remember the clauses of a member."""
        owners, alone = self.owners, (owner,)
        for clause in clauses(text)[:64]:
            if len(clause) > _LONG_ENOUGH:
                key = clause_key(clause)
                known = owners.setdefault(key, alone)
                if known is not alone and owner not in known and len(known) < _MOST_OWNERS:
                    owners[key] = (*known, owner)
        if len(owners) > self.most:
            for key in list(owners)[: self.most // 2]:
                del owners[key]

    def add_literals(self, pattern: Pattern) -> None:
        """Count the clauses of a template's runs as constants."""
        self.literals.update([clause_key(c) for run in pattern.runs for c in clauses(run)])

    def remove_literals(self, pattern: Pattern) -> None:
        """Undo `add_literals`."""
        for run in pattern.runs:
            for clause in clauses(run):
                key = clause_key(clause)
                self.literals[key] -= 1
                if self.literals[key] <= 0:
                    del self.literals[key]

    def is_slot_value(self, clause: str, patterns: Mapping[int, Pattern], but: Container[int] = ()) -> bool:
        """Whether a clause was slot text of a live template other than those of `but`."""
        key = clause_key(clause)
        if key in self.literals:
            return False
        for owner in self.owners.get(key, ()):
            pattern = patterns.get(owner)
            if pattern is not None and owner not in but and key not in pattern.lowered:
                return True
        return False

    def holds_run(self, run: str, patterns: Mapping[int, Pattern], but: Container[int] = ()) -> bool:
        """Whether the longest clauses of a run are slot values of other templates."""
        long = sorted([c.strip() for c in clauses(run) if len(c) > _LONG_ENOUGH], key=lambda c: (-len(c), c))[
            :3
        ]
        long = [c for c in long if weight(c) >= 3]
        return bool(long) and sum([self.is_slot_value(c, patterns, but) for c in long]) >= min(2, len(long))
