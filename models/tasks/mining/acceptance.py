"""Whether a draft is believed: all that speaks against it, the cheap reasons first."""

from jitr.models.tasks.matching.text import HEAD, TAIL, weight
from jitr.models.tasks.mining.cluster import Mined
from jitr.models.tasks.mining.cluster_store import Shelf
from jitr.models.tasks.mining.draft import Draft
from jitr.models.tasks.mining.objections import (
    few_neighbours,
    repeated_items,
    same_slot_values,
    stands_at_an_end,
    telling,
)
from jitr.models.tasks.mining.wrappers import Dissolved

_ENDS = HEAD + TAIL
_LONG_RUN = 12


class Judge:
    """Judges drafts by what is on the shelf.

    Parameters
    ----------
    shelf : Shelf
        Known templates, and what their slots held.
    dissolved : Dissolved
        Frames that must wait.
    """

    __slots__ = ("dissolved", "shelf")

    def __init__(self, shelf: Shelf, dissolved: Dissolved) -> None:
        self.shelf = shelf
        self.dissolved = dissolved

    def believes(self, found: Draft, clock: int, parent: Mined | None = None) -> bool:
        """Judge a draft that has support, the cheap reasons against it first."""
        n = len(found.members)
        shelf = self.shelf
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
                    covering = shelf.covering(found.texts) if covering is None else covering
                    if shelf.holds_run(run, covering):
                        return False
        if parent is None:
            return not self._is_mixture(found, covering)
        return True

    def _is_mixture(self, found: Draft, covering: set[int] | None) -> bool:
        """Strong items that repeat in a part of the group say that it holds more than one template."""
        shelf = self.shelf
        repeated = repeated_items(found)
        strong: set[str] = set()
        for item in repeated:
            if item[0] in _ENDS and item[1:] not in repeated:
                continue
            if telling(item, found.pattern):
                covering = shelf.covering(found.texts) if covering is None else covering
                if not shelf.is_slot_value(item.lstrip(_ENDS), covering):
                    strong.add(item)
        if not strong:
            return False
        n = len(found.members)
        sharing = sum([not strong.isdisjoint(e.items) for e in found.members])
        return sharing >= (0.5 if n < 40 else 0.75) * n
