"""Keeps the clusters that a miner has found: indexed for matching, with the values that their slots held."""

from collections.abc import Container, Sequence

from jitr.models.tasks.matching.index import Index
from jitr.models.tasks.matching.pattern import Pattern
from jitr.models.tasks.mining.cluster import Cluster
from jitr.models.tasks.mining.slot_values import SlotValues

_TASK_SIZE = 20


class ClusterStore:
    """Live clusters by number.

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
        self.live: dict[int, Cluster] = {}
        self.aliases: dict[int, int] = {}
        self.patterns: dict[int, Pattern] = {}
        self.changes = 0  # who asks again can see that nothing has changed
        self._index: Index[Cluster] = Index()
        self._by_key: dict[tuple[str, tuple[str, ...], str], Cluster] = {}

    def __len__(self) -> int:
        return len(self.live)

    def find(self, text: str) -> Cluster | None:
        """The live cluster with most constant characters that matches."""
        found = self._index.find(text)
        return found[1] if found else None

    def covering(self, texts: Sequence[str]) -> set[int]:
        """Numbers of the clusters that match the first of these texts too.

        What their slots hold proves nothing about these texts.
        """
        return {cluster.id for text in texts[:2] for cluster in self._index.all(text)}

    def same(self, pattern: Pattern) -> Cluster | None:
        """The live cluster with exactly these literals."""
        return self._by_key.get(pattern.key)

    def resolve(self, id: int) -> int:
        """The live number behind one that was merged."""
        while id in self.aliases:
            id = self.aliases[id]
        return id

    def put(self, cluster: Cluster) -> None:
        """Keep a cluster."""
        self.live[cluster.id] = cluster
        self._file(cluster)

    def _file(self, cluster: Cluster) -> None:
        self.changes += 1
        self.patterns[cluster.id] = cluster.pattern
        self._by_key[cluster.pattern.key] = cluster
        self._index.add(cluster.pattern, cluster)
        self.slot_values.add_literals(cluster.pattern)

    def _unfile(self, cluster: Cluster) -> None:
        self.changes += 1
        self.patterns.pop(cluster.id, None)
        if self._by_key.get(cluster.pattern.key) is cluster:
            del self._by_key[cluster.pattern.key]
        self._index.remove(cluster.pattern)
        self.slot_values.remove_literals(cluster.pattern)

    def change(self, cluster: Cluster, pattern: Pattern) -> None:
        """Give a cluster another template; its number stays."""
        self._unfile(cluster)
        cluster.take(pattern)
        self._file(cluster)

    def remove(self, cluster: Cluster) -> None:
        """Remove a cluster."""
        self._unfile(cluster)
        self.live.pop(cluster.id, None)

    def merge(self, cluster: Cluster, into: Cluster, most_members: int) -> None:
        """Let one cluster go on under another's number."""
        self.aliases[cluster.id] = into.id
        into.n += cluster.n
        into.members = (into.members + cluster.members)[:most_members]
        self.remove(cluster)

    def weakest(self) -> Cluster:
        """The one to go when the store is full."""
        return min(self.live.values(), key=lambda m: (m.n >= _TASK_SIZE, m.last, m.id))

    def is_slot_value(self, clause: str, but: Container[int] = ()) -> bool:
        """Whether a clause is slot text of a live template other than those of `but`."""
        return self.slot_values.is_slot_value(clause, self.patterns, but)

    def holds_run(self, run: str, but: Container[int] = ()) -> bool:
        """Whether a run is made of slot values of other templates."""
        return self.slot_values.holds_run(run, self.patterns, but)
