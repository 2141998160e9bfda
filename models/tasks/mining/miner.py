"""Mines templates online: prompts go in one by one, and a template comes out once enough of them share it."""

from collections.abc import Iterable, Sequence
from zlib import crc32

from jitr.models.tasks.matching.text import HEAD, TAIL
from jitr.models.tasks.mining.absorb import absorbs, covered
from jitr.models.tasks.mining.acceptance import Acceptance
from jitr.models.tasks.mining.asked import closed
from jitr.models.tasks.mining.cluster import MEMBERS, YOUNG, Cluster
from jitr.models.tasks.mining.clustering import ClusterEvent, Clustering, MinerPolicy
from jitr.models.tasks.mining.draft import Draft, draft, holders_of, tolerance
from jitr.models.tasks.mining.items import is_word, items_of, shorten
from jitr.models.tasks.mining.refine import format_drafts, split_drafts
from jitr.models.tasks.mining.short import SUPPORT, may_be_short, short_family
from jitr.models.tasks.mining.support import opens_or_ends, support_needed
from jitr.models.tasks.mining.window import FEWEST, MOST_HOLDERS, Entry
from jitr.models.tasks.mining.wrappers import DissolvedWrappers, is_wrapper

_ENDS = HEAD + TAIL
_MOST_SEEN = 30_000
_FEWEST_OF_A_WORD = 24


class Miner(Clustering):
    """Finds the templates in one stream of texts; deterministic, in bounded memory, without a quadratic step.

    Parameters
    ----------
    policy : MinerPolicy
        Bounds.

    Examples
    --------
    >>> miner = Miner()
    >>> cities = "Rome Oslo Lima Cairo Quito Paris Tokyo Delhi".split()
    >>> prompt = "Name the country of this city, in one word.\\nCity: "
    >>> ids = [miner.add(prompt + city, i) for i, city in enumerate(cities)]
    >>> ids[-1] is not None and ids[-1] == miner.match(prompt + "Bern").id
    True
    """

    def __init__(self, policy: MinerPolicy | None = None) -> None:
        super().__init__(policy or MinerPolicy())
        self.dissolved = DissolvedWrappers()
        self.acceptance = Acceptance(self.clusters, self.dissolved)
        self.seen: list[set[int]] = [set(), set()]

    # the fast path

    def match(self, text: str) -> Cluster | None:
        """The live template of a normalised text; learns nothing."""
        return self.clusters.find(text)

    def add(self, text: str, seq: int, answer: str | None = None, time: float = 0.0) -> int | None:
        """Learn from one normalised text.

        Parameters
        ----------
        text : str
            Normalised (and rendered) text of a call.
        seq : int
            Its number, larger than all before.
        answer : str or None
            The teacher's answer if short.
        time : float
            Event time, seconds since the epoch.

        Returns
        -------
        int or None
            Number of its template, or None where it has none yet.
        """
        if not text:
            return None
        cluster = self.clusters.find(text)
        if cluster is not None:
            self.hit(cluster, text, seq, answer, time)
            return cluster.id
        return self._miss(text, seq, answer, time)

    def hit(self, cluster: Cluster, text: str, seq: int, answer: str | None, time: float) -> None:
        """Count a member, sample it, and refine its template when that is due."""
        self.clock += 1
        cluster.n += 1
        cluster.last = self.clock
        if cluster.n < YOUNG:
            if cluster.blocks:
                self._count_heads(cluster, text)
        elif cluster.heads:
            cluster.heads = {}
        if cluster.samples:
            kept = shorten(text)
            if kept is text or cluster.pattern.matches(kept):
                cluster.sample(Entry(seq, kept, (), answer, time))
                self.clusters.slot_values.note(cluster.between(kept), cluster.id)
        if cluster.n >= cluster.next_refinement:
            cluster.schedule()
            before = len(self.events)
            self._refine(cluster)
            cluster.quiet = cluster.quiet + 1 if len(self.events) == before else 0

    def _count_heads(self, cluster: Cluster, text: str) -> None:
        blocks = cluster.blocks_of(text)
        if not blocks:
            return
        # exact repeats are no evidence; two generations of checksums keep the memory bounded
        digest = crc32(text.encode("utf-8", "surrogatepass"))
        new, old = self.seen
        if digest not in new and digest not in old:
            new.add(digest)
            cluster.count_heads(blocks)
            if len(new) >= _MOST_SEEN:
                self.seen = [set(), new]

    # the slow path

    def _miss(self, text: str, seq: int, answer: str | None, time: float) -> int | None:
        text = shorten(text)
        window = self.window
        if window.seq_of(text) is not None:
            return None
        self.clock += 1
        due = window.add(Entry(seq, text, items_of(text), answer, time))
        self._forget(time)
        if not due:
            return None
        tried: set[tuple[int, ...]] = set()
        for item in due:
            group = tuple(window.holders(item))
            if len(group) < FEWEST or group in tried or (len(group) < _FEWEST_OF_A_WORD and is_word(item)):
                continue
            tried.add(group)
            cluster = self._mine(item, group)
            if cluster is not None and seq not in window.entries:
                return cluster.id
        return None

    def _forget(self, now: float) -> None:
        window, policy = self.window, self.policy
        entries, horizon = window.entries, now - policy.horizon_s
        while entries:
            oldest = next(iter(entries.values()))
            if (
                len(entries) <= policy.window
                and window.chars <= policy.window_chars
                and oldest.time >= horizon
            ):
                return
            window.drop(oldest.seq)
            self.events.append(ClusterEvent("forgotten", seqs=(oldest.seq,)))

    def _mine(self, seed: str, group: tuple[int, ...]) -> Cluster | None:
        members = [self.window.entries[seq] for seq in group]
        able = self._able(seed, members)
        texts = [e.text for e in members]
        brief = len(group) > SUPPORT // 2 and may_be_short(texts)
        if (
            seed[0] in _ENDS
            and not (brief and len(group) >= SUPPORT)
            and all(item[0] == seed[0] for item in able)
            and opens_or_ends(members)
        ):
            self.window.wait(seed, SUPPORT if brief else 2 * len(group))
            return None
        common, members = self._common(able, members)
        found = draft(common, members, FEWEST)
        if found is None:
            return None
        needed = support_needed(found)
        if brief and needed > SUPPORT and len(members) >= SUPPORT:
            bounded = short_family(
                found.pattern, texts, (e.text for e in reversed(self.window.entries.values()))
            )
            if bounded is not None:
                found.pattern, needed = bounded, SUPPORT
        if len(members) < needed:
            self.window.wait(seed, min(needed, 2 * len(group)))
            return None
        if not self.acceptance.accepts(found, self.clock):
            return None
        return self._establish(found, group)

    def _able(self, seed: str, members: Sequence[Entry]) -> dict[str, None]:
        """Items that nearly all members may hold; their posting lists rule most out without a count."""
        need = tolerance(len(members))
        # a long list was cut, and may lack some of the members
        least = min(need, MOST_HOLDERS // 2)
        able = {seed: None}
        for member in members[-(len(members) - need + 1) :]:
            able.update(dict.fromkeys(self.window.frequent(member.items, least)))
        return able

    def _common(self, able: Iterable[str], members: list[Entry]) -> tuple[list[str], list[Entry]]:
        """Those of some items that nearly all members hold, and the members that hold them all."""
        n = len(members)
        need = tolerance(n)
        numbers = {e.seq for e in members}
        common, lacking = [], []
        for item in able:
            held = self.window.holders(item)
            if held[0] <= members[0].seq:
                count = len(numbers.intersection(held))
            else:  # cut too short to say
                count = sum([item in member.items for member in members])
            if count >= need:
                common.append(item)
                if count < n:
                    lacking.append(item)
        return common, holders_of(lacking, members)

    # refinement

    def _refine(self, cluster: Cluster) -> None:
        clusters = self.clusters
        cluster.members = list({e.text: e for e in cluster.members}.values())
        if cluster.checked != clusters.changes:
            cluster.checked = clusters.changes
            cluster.members = [e for e in cluster.members if clusters.find(e.text) is cluster]
        if len(cluster.members) < 12:
            return
        texts = cluster.texts()
        for other in covered(cluster.pattern, clusters.live.values()):
            if other is not cluster and absorbs(cluster.pattern, texts, cluster.n, other):
                self._merge(other, cluster)
        entries = cluster.entries()
        if closed(entries) and self._join_twin(cluster, entries):
            return
        covering = clusters.covering(texts)
        wraps = is_wrapper(cluster, entries, clusters, covering)
        if wraps:
            cluster.next_refinement = min(cluster.next_refinement, cluster.n + 64)
            if self.dissolved.times(cluster.pattern) < 3 and not self.dissolved.waits(
                cluster.pattern, self.clock
            ):
                self._dissolve(cluster)
                return
        formats = format_drafts(cluster, entries)
        for found in formats:
            self._split(found, cluster)
        if formats:
            entries = cluster.entries()
        for found in split_drafts(cluster, entries, clusters, covering, wraps):
            self._split(found, cluster)

    def _dissolve(self, cluster: Cluster) -> None:
        """Take a wrapper down and mine its members again."""
        self.dissolved.note(cluster.pattern, self.clock)
        entries = cluster.entries()
        self._remove(cluster)
        back: list[Entry] = []
        for entry in entries:
            if self.clusters.find(entry.text) is None and self.window.seq_of(entry.text) is None:
                back.append(entry)
        for entry in back:
            self._miss(entry.text, entry.seq, entry.answer, entry.time)

    def _split(self, found: Draft, cluster: Cluster) -> None:
        if len(found.members) < support_needed(found, splitting=True):
            return
        if not self.acceptance.accepts(found, self.clock, cluster):
            return
        before = self.next_id
        child = self._establish(found, (), cluster)
        if child.id < before:
            return
        moved = [e for e in cluster.members if self.clusters.find(e.text) is child]
        child.members = moved[:MEMBERS]
        child.n += len(moved)
        cluster.members = [e for e in cluster.members if self.clusters.find(e.text) is cluster]
        cluster.n = max(len(cluster.members), cluster.n - len(moved))
        self.events.append(ClusterEvent("split", cluster.id, child.id))
