"""The templates of one stream: how they are put up, joined, taken over and taken down, and who is told."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from jitr.models.tasks.matching.pattern import Pattern
from jitr.models.tasks.matching.text import HEAD, TAIL, clauses
from jitr.models.tasks.mining.absorb import absorbs, covered
from jitr.models.tasks.mining.asked import other_labels, same_labels
from jitr.models.tasks.mining.cluster import MEMBERS, Mined
from jitr.models.tasks.mining.cluster_store import Shelf
from jitr.models.tasks.mining.draft import Draft
from jitr.models.tasks.mining.siblings import Siblings
from jitr.models.tasks.mining.slot_values import SlotValues
from jitr.models.tasks.mining.window import Entry, Window


@dataclass(frozen=True, slots=True)
class MinerPolicy:
    """Bounds of a miner.

    Parameters
    ----------
    window : int
        Unexplained distinct prompts that are kept.
    window_chars : int
        Their characters in all.
    templates : int
        Live templates that are kept.
    slot_clauses : int
        Clauses remembered as slot values.
    horizon_s : float
        Unexplained prompts older than this (event time) are forgotten, in seconds.
    """

    window: int = 12_000
    window_chars: int = 16_000_000
    templates: int = 4_000
    slot_clauses: int = 60_000
    horizon_s: float = 14 * 86_400.0


class Event(msgspec.Struct, frozen=True, gc=False):
    """Something that happened to a template or to kept prompts.

    ``explained``: the prompts ``seqs`` left the window for template ``id``. ``forgotten``: they left it
    unexplained.
    ``changed``: the template has other literals. ``split``: some of its members are now in ``other``.
    ``merged``: it goes on as ``other``. ``removed``: it is gone; its members may come back to the window as
    ``seqs``.
    """

    kind: Literal["explained", "forgotten", "changed", "split", "merged", "removed"]
    id: int = -1
    other: int = -1
    seqs: tuple[int, ...] = ()


class Catalogue:
    """What a miner knows, and each change of it as an event.

    Parameters
    ----------
    policy : MinerPolicy
        Bounds.
    """

    def __init__(self, policy: MinerPolicy) -> None:
        self.policy = policy
        self.window = Window()
        self.shelf = Shelf(policy.templates, SlotValues(policy.slot_clauses))
        self.siblings = Siblings()
        self.clock = 0
        self.next_id = 0
        self.events: list[Event] = []

    def _establish(self, found: Draft, group: Sequence[int], parent: Mined | None = None) -> Mined:
        shelf, pattern = self.shelf, found.pattern
        known = shelf.same(pattern)
        if known is not None:
            if known.pattern.most_words and not pattern.most_words:
                shelf.change(known, pattern)
                self.events.append(Event("changed", known.id))
                self._explain(known, group)
            return known
        if len(shelf) >= shelf.most:
            self._remove(shelf.weakest())
        taken: Mined | None = None
        for other in covered(pattern, shelf.live.values()):
            if absorbs(pattern, found.texts, 0, other):
                if taken is None:
                    taken = other
                else:
                    self._merge(other, taken)
        if taken is not None:
            shelf.change(taken, pattern)
            self.events.append(Event("changed", taken.id))
            mined = taken
        else:
            alone = parent is not None or pattern.most_words > 0
            if not alone:
                joined = self._join_siblings(pattern, found.members)
                if joined is not None:
                    self._explain(joined, group)
                    return joined
            mined = Mined(self.next_id, pattern, self.clock)
            self.next_id += 1
            if not alone:
                self.siblings.note(pattern, mined.id, shelf.live)
            shelf.put(mined)
        self._explain(mined, group)
        return mined

    def _join_siblings(self, pattern: Pattern, members: Sequence[Entry]) -> Mined | None:
        shelf = self.shelf
        found = self.siblings.family(pattern, shelf.live)
        if found is None:
            return None
        wide, ids = found
        if any(other_labels(members, shelf.live[id].members) for id in ids):
            return None
        return self._widen(wide, ids)

    def _widen(self, wide: Pattern, ids: Sequence[int]) -> Mined:
        """Let templates that differ in a word go on as one with a slot there."""
        shelf = self.shelf
        known = shelf.same(wide)
        first = known or shelf.live[ids[0]]
        first.label_slot = True
        if known is None:
            shelf.change(first, wide)
            self.events.append(Event("changed", first.id))
        for id in ids:
            if id != first.id:
                self._merge(shelf.live[id], first)
        return first

    def _explain(self, mined: Mined, group: Sequence[int]) -> None:
        """The window's prompts that a template explains leave the window."""
        window, pattern = self.window, mined.pattern
        likely = set(group)
        for run in pattern.runs:
            for clause in clauses(run):
                clause = clause.strip()
                for item in (clause, HEAD + clause, TAIL + clause):
                    likely.update(window.holders(item))
        seqs = []
        for seq in sorted(likely):
            entry = window.entries.get(seq)
            if entry is not None and pattern.matches(entry.text) and self.shelf.find(entry.text) is mined:
                window.drop(seq)
                mined.n += 1
                if len(mined.members) < MEMBERS:
                    mined.members.append(entry)
                seqs.append(seq)
        if seqs:
            self.events.append(Event("explained", mined.id, seqs=tuple(seqs)))

    def _merge(self, mined: Mined, into: Mined) -> None:
        self.shelf.merge(mined, into, MEMBERS)
        self.events.append(Event("merged", mined.id, into.id))

    def adopt(self, pattern: Pattern, beside: Mined) -> Mined:
        """File a template that a person gave, with its bound; members of another that it fits move to it."""
        child = self.shelf.same(pattern)
        if child is None:
            child = Mined(self.next_id, pattern, self.clock)
            self.next_id += 1
            self.shelf.put(child)
        elif child.pattern.most_words != pattern.most_words:
            self.shelf.change(child, pattern)
            self.events.append(Event("changed", child.id))
        moved = [e for e in beside.members if self.shelf.find(e.text) is child]
        child.members = moved[:MEMBERS]
        child.n = max(child.n, len(moved))
        beside.members = [e for e in beside.members if self.shelf.find(e.text) is beside]
        return child

    def supersede(self, mined: Mined, by: Mined) -> None:
        """Take a template down for the one that its prompt was edited to; its number means that one now."""
        self.shelf.aliases[mined.id] = by.id
        self.shelf.remove(mined)

    def _remove(self, mined: Mined) -> None:
        self.shelf.remove(mined)
        self.events.append(Event("removed", mined.id))

    def _join_twin(self, mined: Mined, entries: Sequence[Entry]) -> bool:
        """Join a template that differs in one word if that word makes no difference to the answers."""
        if mined.pattern.most_words:
            return False
        for wide, twin in self.siblings.twins(mined.pattern, mined.id, self.shelf.live):
            if same_labels(entries, twin.members) and all(wide.matches(e.text) for e in entries):
                self._widen(wide, sorted([mined.id, twin.id]))
                return True
        return False
