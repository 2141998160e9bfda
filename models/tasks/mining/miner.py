"""The online loop: a prompt goes in, and now and then a template comes out."""

from collections.abc import Iterable, Sequence
from zlib import crc32

from jitr.models.tasks.matching.text import HEAD, TAIL
from jitr.models.tasks.mining.absorb import absorbs, covered
from jitr.models.tasks.mining.acceptance import Judge
from jitr.models.tasks.mining.asked import closed
from jitr.models.tasks.mining.catalogue import Catalogue, Event, MinerPolicy
from jitr.models.tasks.mining.cluster import MEMBERS, YOUNG, Mined
from jitr.models.tasks.mining.draft import Draft, draft, holders_of, tolerance
from jitr.models.tasks.mining.items import is_word, items_of, shorten
from jitr.models.tasks.mining.refine import format_drafts, split_drafts
from jitr.models.tasks.mining.short import SUPPORT, may_be_short, short_family
from jitr.models.tasks.mining.support import opens_or_ends, support_needed
from jitr.models.tasks.mining.window import FEWEST, MOST_HOLDERS, Entry
from jitr.models.tasks.mining.wrappers import Dissolved, is_frame

_ENDS = HEAD + TAIL
_MOST_SEEN = 30_000
_FEWEST_OF_A_WORD = 24


class Miner(Catalogue):
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
        self.dissolved = Dissolved()
        self.judge = Judge(self.shelf, self.dissolved)
        self.seen: list[set[int]] = [set(), set()]

    # the fast path

    def match(self, text: str) -> Mined | None:
        """The live template of a normalised text; learns nothing."""
        return self.shelf.find(text)

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
        mined = self.shelf.find(text)
        if mined is not None:
            self.hit(mined, text, seq, answer, time)
            return mined.id
        return self._miss(text, seq, answer, time)

    def hit(self, mined: Mined, text: str, seq: int, answer: str | None, time: float) -> None:
        """Count a member, sample it, and refine its template when that is due."""
        self.clock += 1
        mined.n += 1
        mined.last = self.clock
        if mined.n < YOUNG:
            if mined.blocks:
                self._count_heads(mined, text)
        elif mined.heads:
            mined.heads = {}
        if mined.samples:
            kept = shorten(text)
            if kept is text or mined.pattern.matches(kept):
                mined.sample(Entry(seq, kept, (), answer, time))
                self.shelf.slot_values.note(mined.between(kept), mined.id)
        if mined.n >= mined.next_refinement:
            mined.schedule()
            before = len(self.events)
            self._refine(mined)
            mined.quiet = mined.quiet + 1 if len(self.events) == before else 0

    def _count_heads(self, mined: Mined, text: str) -> None:
        blocks = mined.blocks_of(text)
        if not blocks:
            return
        # exact repeats are no evidence; two generations of checksums keep the memory bounded
        digest = crc32(text.encode("utf-8", "surrogatepass"))
        new, old = self.seen
        if digest not in new and digest not in old:
            new.add(digest)
            mined.count_heads(blocks)
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
            mined = self._mine(item, group)
            if mined is not None and seq not in window.entries:
                return mined.id
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
            self.events.append(Event("forgotten", seqs=(oldest.seq,)))

    def _mine(self, seed: str, group: tuple[int, ...]) -> Mined | None:
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
        if not self.judge.believes(found, self.clock):
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

    def _refine(self, mined: Mined) -> None:
        shelf = self.shelf
        mined.members = list({e.text: e for e in mined.members}.values())
        if mined.checked != shelf.changes:
            mined.checked = shelf.changes
            mined.members = [e for e in mined.members if shelf.find(e.text) is mined]
        if len(mined.members) < 12:
            return
        texts = mined.texts()
        for other in covered(mined.pattern, shelf.live.values()):
            if other is not mined and absorbs(mined.pattern, texts, mined.n, other):
                self._merge(other, mined)
        entries = mined.entries()
        if closed(entries) and self._join_twin(mined, entries):
            return
        covering = shelf.covering(texts)
        framed = is_frame(mined, entries, shelf, covering)
        if framed:
            mined.next_refinement = min(mined.next_refinement, mined.n + 64)
            if self.dissolved.times(mined.pattern) < 3 and not self.dissolved.waits(
                mined.pattern, self.clock
            ):
                self._dissolve(mined)
                return
        formats = format_drafts(mined, entries)
        for found in formats:
            self._split(found, mined)
        if formats:
            entries = mined.entries()
        for found in split_drafts(mined, entries, shelf, covering, framed):
            self._split(found, mined)

    def _dissolve(self, mined: Mined) -> None:
        """Take a frame down and mine its members again."""
        self.dissolved.note(mined.pattern, self.clock)
        entries = mined.entries()
        self._remove(mined)
        back: list[Entry] = []
        for entry in entries:
            if self.shelf.find(entry.text) is None and self.window.seq_of(entry.text) is None:
                back.append(entry)
        for entry in back:
            self._miss(entry.text, entry.seq, entry.answer, entry.time)

    def _split(self, found: Draft, mined: Mined) -> None:
        if len(found.members) < support_needed(found, splitting=True):
            return
        if not self.judge.believes(found, self.clock, mined):
            return
        before = self.next_id
        child = self._establish(found, (), mined)
        if child.id < before:
            return
        moved = [e for e in mined.members if self.shelf.find(e.text) is child]
        child.members = moved[:MEMBERS]
        child.n += len(moved)
        mined.members = [e for e in mined.members if self.shelf.find(e.text) is mined]
        mined.n = max(len(mined.members), mined.n - len(moved))
        self.events.append(Event("split", mined.id, child.id))
