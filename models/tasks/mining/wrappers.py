"""Finds wrappers, constant text round the instructions of many tasks, and dissolves them into those tasks."""

from collections.abc import Sequence

from jitr.models.tasks.matching.pattern import Pattern
from jitr.models.tasks.matching.text import weight
from jitr.models.tasks.mining.cluster import Cluster
from jitr.models.tasks.mining.cluster_store import ClusterStore
from jitr.models.tasks.mining.support import vocabulary
from jitr.models.tasks.mining.window import Entry

_KEPT = 64
YOUNGEST, OLDEST = 64, 1300


class DissolvedWrappers:
    """Wrappers that were dissolved, and how long their like must wait."""

    __slots__ = ("rest", "seen")

    def __init__(self, rest: int = 1500) -> None:
        self.rest = rest
        self.seen: list[tuple[int, dict[str, int]]] = []

    def _times(self, pattern: Pattern) -> list[int]:
        if not self.seen:
            return []
        words = vocabulary(pattern)
        return [at for at, wrapper in self.seen if all(wrapper.get(w, 0) >= n for w, n in words.items())]

    def times(self, pattern: Pattern) -> int:
        """How often a wrapper with these words was dissolved."""
        return len(self._times(pattern))

    def waits(self, pattern: Pattern, now: int) -> bool:
        """Whether it was dissolved so lately that it must wait; each time four times as long."""
        times = self._times(pattern)
        return bool(times) and now - times[-1] < self.rest * 4 ** (len(times) - 1)

    def note(self, pattern: Pattern, now: int) -> None:
        """Remember that a wrapper was dissolved."""
        self.seen.append((now, dict(vocabulary(pattern))))
        del self.seen[:-_KEPT]


def is_wrapper(
    cluster: Cluster, entries: Sequence[Entry], clusters: ClusterStore, covering: set[int]
) -> bool:
    """Whether a block slot holds the instructions of many tasks.

    Its beginnings are few and keep coming back, and they are no slot values known from elsewhere. After a
    heading it stands on lines of its own.
    """
    if not YOUNGEST <= cluster.n < OLDEST or not cluster.heads:
        return False
    pattern = cluster.pattern
    for j in cluster.blocks:
        heads = [(head, n) for (slot, head), n in cluster.heads.items() if slot == j]
        total = sum([n for _, n in heads])
        if total < 48 or len(heads) * 3 > total:
            continue
        if (pattern.prefix, *pattern.inner)[j][-1:] == ":":
            own_line = [pattern.slots(e.text)[j][:1] == "\n" for e in entries]
            if sum(own_line) <= 0.9 * len(entries):
                continue
        again = [
            n
            for head, n in heads
            if 2 <= n <= 0.5 * total and weight(head) >= 3 and not clusters.is_slot_value(head, covering)
        ]
        if len(again) >= 3 and sum(again) >= 0.6 * total:
            return True
    return False
