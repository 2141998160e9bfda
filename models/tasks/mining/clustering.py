"""Founds, joins, widens, merges and removes the clusters of one stream, and says so in events."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from jitr.models.tasks.matching.pattern import Pattern
from jitr.models.tasks.matching.text import HEAD, TAIL, clauses
from jitr.models.tasks.mining.absorb import absorbs, covered
from jitr.models.tasks.mining.asked import other_labels, same_labels
from jitr.models.tasks.mining.cluster import MEMBERS, Cluster
from jitr.models.tasks.mining.cluster_store import ClusterStore
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


class ClusterEvent(msgspec.Struct, frozen=True, gc=False):
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


class Clustering:
    """The clusters of one stream; each change of them is an event.

    Parameters
    ----------
    policy : MinerPolicy
        Bounds.
    """

    def __init__(self, policy: MinerPolicy) -> None:
        self.policy = policy
        self.window = Window()
        self.clusters = ClusterStore(policy.templates, SlotValues(policy.slot_clauses))
        self.siblings = Siblings()
        self.clock = 0
        self.next_id = 0
        self.events: list[ClusterEvent] = []

    def _establish(self, found: Draft, group: Sequence[int], parent: Cluster | None = None) -> Cluster:
        clusters, pattern = self.clusters, found.pattern
        known = clusters.same(pattern)
        if known is not None:
            if known.pattern.most_words and not pattern.most_words:
                clusters.change(known, pattern)
                self.events.append(ClusterEvent("changed", known.id))
                self._explain(known, group)
            return known
        if len(clusters) >= clusters.most:
            self._remove(clusters.weakest())
        taken: Cluster | None = None
        for other in covered(pattern, clusters.live.values()):
            if absorbs(pattern, found.texts, 0, other):
                if taken is None:
                    taken = other
                else:
                    self._merge(other, taken)
        if taken is not None:
            clusters.change(taken, pattern)
            self.events.append(ClusterEvent("changed", taken.id))
            cluster = taken
        else:
            alone = parent is not None or pattern.most_words > 0
            if not alone:
                joined = self._join_siblings(pattern, found.members)
                if joined is not None:
                    self._explain(joined, group)
                    return joined
            cluster = Cluster(self.next_id, pattern, self.clock)
            self.next_id += 1
            if not alone:
                self.siblings.note(pattern, cluster.id, clusters.live)
            clusters.put(cluster)
        self._explain(cluster, group)
        return cluster

    def _join_siblings(self, pattern: Pattern, members: Sequence[Entry]) -> Cluster | None:
        clusters = self.clusters
        found = self.siblings.family(pattern, clusters.live)
        if found is None:
            return None
        wide, ids = found
        if any(other_labels(members, clusters.live[id].members) for id in ids):
            return None
        return self._widen(wide, ids)

    def _widen(self, wide: Pattern, ids: Sequence[int]) -> Cluster:
        """Let templates that differ in a word go on as one with a slot there."""
        clusters = self.clusters
        known = clusters.same(wide)
        first = known or clusters.live[ids[0]]
        first.label_slot = True
        if known is None:
            clusters.change(first, wide)
            self.events.append(ClusterEvent("changed", first.id))
        for id in ids:
            if id != first.id:
                self._merge(clusters.live[id], first)
        return first

    def _explain(self, cluster: Cluster, group: Sequence[int]) -> None:
        """The window's prompts that a template explains leave the window."""
        window, pattern = self.window, cluster.pattern
        likely = set(group)
        for run in pattern.runs:
            for clause in clauses(run):
                clause = clause.strip()
                for item in (clause, HEAD + clause, TAIL + clause):
                    likely.update(window.holders(item))
        seqs = []
        for seq in sorted(likely):
            entry = window.entries.get(seq)
            if (
                entry is not None
                and pattern.matches(entry.text)
                and self.clusters.find(entry.text) is cluster
            ):
                window.drop(seq)
                cluster.n += 1
                if len(cluster.members) < MEMBERS:
                    cluster.members.append(entry)
                seqs.append(seq)
        if seqs:
            self.events.append(ClusterEvent("explained", cluster.id, seqs=tuple(seqs)))

    def _merge(self, cluster: Cluster, into: Cluster) -> None:
        self.clusters.merge(cluster, into, MEMBERS)
        self.events.append(ClusterEvent("merged", cluster.id, into.id))

    def adopt(self, pattern: Pattern, beside: Cluster) -> Cluster:
        """File a template that a person gave, with its bound; members of another that it fits move to it."""
        child = self.clusters.same(pattern)
        if child is None:
            child = Cluster(self.next_id, pattern, self.clock)
            self.next_id += 1
            self.clusters.put(child)
        elif child.pattern.most_words != pattern.most_words:
            self.clusters.change(child, pattern)
            self.events.append(ClusterEvent("changed", child.id))
        moved = [e for e in beside.members if self.clusters.find(e.text) is child]
        child.members = moved[:MEMBERS]
        child.n = max(child.n, len(moved))
        beside.members = [e for e in beside.members if self.clusters.find(e.text) is beside]
        return child

    def supersede(self, cluster: Cluster, by: Cluster) -> None:
        """Take a template down for the one that its prompt was edited to; its number means that one now."""
        self.clusters.aliases[cluster.id] = by.id
        self.clusters.remove(cluster)

    def _remove(self, cluster: Cluster) -> None:
        self.clusters.remove(cluster)
        self.events.append(ClusterEvent("removed", cluster.id))

    def _join_twin(self, cluster: Cluster, entries: Sequence[Entry]) -> bool:
        """Join a template that differs in one word if that word makes no difference to the answers."""
        if cluster.pattern.most_words:
            return False
        for wide, twin in self.siblings.twins(cluster.pattern, cluster.id, self.clusters.live):
            if same_labels(entries, twin.members) and all(wide.matches(e.text) for e in entries):
                self._widen(wide, sorted([cluster.id, twin.id]))
                return True
        return False
