"""Accepts or rejects a draft: every objection is tried, the cheap ones first."""

from jitr.models.tasks.matching.text import HEAD, TAIL, weight
from jitr.models.tasks.mining.cluster import Cluster
from jitr.models.tasks.mining.cluster_store import ClusterStore
from jitr.models.tasks.mining.draft import Draft
from jitr.models.tasks.mining.objections import (
    few_neighbours,
    repeated_items,
    same_slot_values,
    stands_at_an_end,
    telling,
)
from jitr.models.tasks.mining.wrappers import DissolvedWrappers

_ENDS = HEAD + TAIL
_LONG_RUN = 12


class Acceptance:
    """Accepts or rejects drafts by the clusters that are known.

    Parameters
    ----------
    clusters : ClusterStore
        Known templates, and what their slots held.
    dissolved : DissolvedWrappers
        Wrappers that must wait.
    """

    __slots__ = ("clusters", "dissolved")

    def __init__(self, clusters: ClusterStore, dissolved: DissolvedWrappers) -> None:
        self.clusters = clusters
        self.dissolved = dissolved

    def accepts(self, found: Draft, clock: int, parent: Cluster | None = None) -> bool:
        """Whether a draft that has support may become a template; the cheap objections come first."""
        n = len(found.members)
        clusters = self.clusters
        if parent is None and self.dissolved.waits(found.pattern, clock):
            return False
        if same_slot_values(found) or stands_at_an_end(found):
            return False
        if few_neighbours(found, splitting=parent is not None):
            return False
        covering: set[int] | None = None
        if n < 24:
            for run in found.pattern.runs:
                if weight(run) >= _LONG_RUN:
                    covering = clusters.covering(found.texts) if covering is None else covering
                    if clusters.holds_run(run, covering):
                        return False
        if parent is None:
            return not self._is_mixture(found, covering)
        return True

    def _is_mixture(self, found: Draft, covering: set[int] | None) -> bool:
        """Strong items that repeat in a part of the group say that it holds more than one template."""
        clusters = self.clusters
        repeated = repeated_items(found)
        strong: set[str] = set()
        for item in repeated:
            if item[0] in _ENDS and item[1:] not in repeated:
                continue
            if telling(item, found.pattern):
                covering = clusters.covering(found.texts) if covering is None else covering
                if not clusters.is_slot_value(item.lstrip(_ENDS), covering):
                    strong.add(item)
        if not strong:
            return False
        n = len(found.members)
        sharing = sum([not strong.isdisjoint(e.items) for e in found.members])
        return sharing >= (0.5 if n < 40 else 0.75) * n
