"""The online loop: a prompt goes in, and now and then a skeleton comes out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from zlib import crc32

from jitr.models.tasks.absorb import absorbs
from jitr.models.tasks.asked import other_labels, same_labels
from jitr.models.tasks.build import Draft, draft, tolerance
from jitr.models.tasks.evidence import (
    few_neighbours,
    opens_or_ends,
    repeated_items,
    same_payload,
    stands_at_an_end,
    support_needed,
    telling,
)
from jitr.models.tasks.frames import Dissolved, is_frame
from jitr.models.tasks.items import items_of, shorten
from jitr.models.tasks.mined import MEMBERS, YOUNG, Mined
from jitr.models.tasks.payload import SlotMemory
from jitr.models.tasks.refine import format_drafts, split_drafts
from jitr.models.tasks.shelf import Shelf
from jitr.models.tasks.siblings import Siblings
from jitr.models.tasks.skeleton import Pattern
from jitr.models.tasks.text import HEAD, TAIL, clauses, weight
from jitr.models.tasks.window import FEWEST, MOST_HOLDERS, Entry, Window

_ENDS = HEAD + TAIL
_LONG_RUN = 12
_MANY = 24
_MOST_SEEN = 30_000


@dataclass(frozen=True, slots=True)
class MinerPolicy:
    """Bounds of a miner.

    Parameters
    ----------
    window : int
        Unexplained distinct prompts that are kept.
    window_chars : int
        Their characters in all.
    skeletons : int
        Live skeletons that are kept.
    slot_clauses : int
        Clauses remembered as payload.
    horizon_s : float
        Unexplained prompts older than this (event time) are forgotten, in seconds.
    """

    window: int = 12_000
    window_chars: int = 16_000_000
    skeletons: int = 4_000
    slot_clauses: int = 60_000
    horizon_s: float = 14 * 86_400.0


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a skeleton or to kept prompts.

    ``explained``: the prompts ``seqs`` left the window for skeleton ``id``. ``forgotten``: they left it
    unexplained.
    ``changed``: the skeleton has other literals. ``split``: some of its members are now in ``other``.
    ``merged``: it goes on as ``other``. ``removed``: it is gone; its members may come back to the window as
    ``seqs``.
    """

    kind: Literal["explained", "forgotten", "changed", "split", "merged", "removed"]
    id: int = -1
    other: int = -1
    seqs: tuple[int, ...] = ()


class Miner:
    """Finds the skeletons in one stream of texts; deterministic, in bounded memory, without a quadratic step.

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
        self.policy = policy or MinerPolicy()
        self.window = Window()
        self.shelf = Shelf(self.policy.skeletons, SlotMemory(self.policy.slot_clauses))
        self.siblings = Siblings()
        self.dissolved = Dissolved()
        self.clock = 0
        self.next_id = 0
        self.seen: list[set[int]] = [set(), set()]
        self.events: list[Event] = []

    # the fast path

    def match(self, text: str) -> Mined | None:
        """The live skeleton of a normalised text; learns nothing."""
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
            Number of its skeleton, or None where it has none yet.
        """
        if not text:
            return None
        mined = self.shelf.find(text)
        if mined is not None:
            self.hit(mined, text, seq, answer, time)
            return mined.id
        return self._miss(text, seq, answer, time)

    def hit(self, mined: Mined, text: str, seq: int, answer: str | None, time: float) -> None:
        """Count a member, sample it, and refine its skeleton when that is due."""
        self.clock += 1
        mined.n += 1
        mined.last = self.clock
        if mined.n < YOUNG:
            self._count_heads(mined, text)
        elif mined.heads:
            mined.heads = {}
        if mined.samples:
            kept = shorten(text)
            if kept is text or mined.pattern.matches(kept):
                mined.sample(Entry(seq, kept, (), answer, time))
                self.shelf.memory.note(kept, mined.id)
        if mined.n >= mined.next_refinement:
            mined.schedule()
            before = len(self.events)
            self._refine(mined)
            mined.quiet = mined.quiet + 1 if len(self.events) == before else 0

    def _count_heads(self, mined: Mined, text: str) -> None:
        # exact repeats are no evidence; two generations of checksums keep the memory bounded
        digest = crc32(text.encode("utf-8", "surrogatepass"))
        new, old = self.seen
        if digest not in new and digest not in old:
            new.add(digest)
            mined.count_heads(text)
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
        tried: set[tuple[int, ...]] = set()
        for item in due:
            group = tuple(window.holders(item))
            if len(group) < FEWEST or group in tried:
                continue
            tried.add(group)
            mined = self._mine(item, group)
            if mined is not None and seq not in window.entries:
                return mined.id
        return None

    def _forget(self, now: float) -> None:
        window, policy = self.window, self.policy
        while (oldest := window.oldest()) is not None and (
            len(window) > policy.window
            or window.chars > policy.window_chars
            or oldest.time < now - policy.horizon_s
        ):
            window.drop(oldest.seq)
            self.events.append(Event("forgotten", seqs=(oldest.seq,)))

    def _mine(self, seed: str, group: tuple[int, ...]) -> Mined | None:
        members = [self.window.entries[seq] for seq in group]
        common = self._common(seed, members)
        if len(members) < _MANY and opens_or_ends(common, members):
            return None
        found = draft(members, common, FEWEST)
        if found is None or not self._believes(found):
            return None
        return self._establish(found, group)

    def _common(self, seed: str, members: Sequence[Entry]) -> list[str]:
        """Items that nearly all members hold; their posting lists rule most out without a count."""
        n = len(members)
        need = tolerance(n)
        # a long list was cut, and may lack some of the members
        least = min(need, MOST_HOLDERS // 2)
        able = {seed: None}
        for member in members[-(n - need + 1) :]:
            able.update(dict.fromkeys(self.window.frequent(member.items, least)))
        if len(able) < 2:
            return list(able)
        counts = dict.fromkeys(able, 0)
        for member in members:
            for item in member.items:
                if item in counts:
                    counts[item] += 1
        return [item for item, count in counts.items() if count >= need]

    def _believes(self, found: Draft, parent: Mined | None = None) -> bool:
        """Judge a draft, the cheap reasons against it first."""
        n = len(found.members)
        if n < support_needed(found, splitting=parent is not None):
            return False
        shelf = self.shelf
        if parent is None and self.dissolved.waits(found.pattern, self.clock):
            return False
        if same_payload(found) or stands_at_an_end(found) or few_neighbours(found):
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
                if not shelf.is_payload(item.lstrip(_ENDS), covering):
                    strong.add(item)
        if not strong:
            return False
        n = len(found.members)
        sharing = sum([not strong.isdisjoint(e.items) for e in found.members])
        return sharing >= (0.5 if n < 40 else 0.75) * n

    def _establish(self, found: Draft, group: Sequence[int], parent: Mined | None = None) -> Mined:
        shelf, pattern = self.shelf, found.pattern
        known = shelf.same(pattern)
        if known is not None:
            return known
        if len(shelf) >= shelf.most:
            self._remove(shelf.weakest())
        taken: Mined | None = None
        for other in list(shelf.live.values()):
            if pattern.size < other.pattern.size and absorbs(pattern, found.texts, 0, other):
                if taken is None:
                    taken = other
                else:
                    self._merge(other, taken)
        if taken is not None:
            shelf.change(taken, pattern)
            self.events.append(Event("changed", taken.id))
            mined = taken
        else:
            if parent is None:
                joined = self._join_siblings(pattern, found.members)
                if joined is not None:
                    self._explain(joined, group)
                    return joined
            mined = Mined(self.next_id, pattern, self.clock)
            self.next_id += 1
            if parent is None:
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
        """Let skeletons that differ in a word go on as one with a slot there."""
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
        """The window's prompts that a skeleton explains leave the window."""
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
        """File a skeleton that a person gave; members of another that it fits move to it."""
        child = self.shelf.same(pattern)
        if child is None:
            child = Mined(self.next_id, pattern, self.clock)
            self.next_id += 1
            self.shelf.put(child)
        moved = [e for e in beside.members if self.shelf.find(e.text) is child]
        child.members = moved[:MEMBERS]
        child.n = max(child.n, len(moved))
        beside.members = [e for e in beside.members if self.shelf.find(e.text) is beside]
        return child

    def supersede(self, mined: Mined, by: Mined) -> None:
        """Take a skeleton down for the one that its prompt was edited to; its number means that one now."""
        self.shelf.aliases[mined.id] = by.id
        self.shelf.remove(mined)

    def _remove(self, mined: Mined) -> None:
        self.shelf.remove(mined)
        self.events.append(Event("removed", mined.id))

    # refinement

    def _refine(self, mined: Mined) -> None:
        shelf = self.shelf
        unique = {e.text: e for e in mined.members}
        mined.members = [e for e in unique.values() if shelf.find(e.text) is mined]
        if len(mined.members) < 12:
            return
        texts = mined.texts()
        size = mined.pattern.size
        for other in list(shelf.live.values()):
            if (
                other is not mined
                and other.pattern.size > size
                and absorbs(mined.pattern, texts, mined.n, other)
            ):
                self._merge(other, mined)
        entries = mined.entries()
        if self._join_twin(mined, entries):
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
        for found in format_drafts(mined):
            if self._believes(found, mined):
                self._split(found, mined)
        for found in split_drafts(mined, shelf, covering, framed):
            if self._believes(found, mined):
                self._split(found, mined)

    def _join_twin(self, mined: Mined, entries: Sequence[Entry]) -> bool:
        """Join a skeleton that differs in one word if that word makes no difference to the answers."""
        for wide, twin in self.siblings.twins(mined.pattern, mined.id, self.shelf.live):
            if same_labels(entries, twin.members) and all(wide.matches(e.text) for e in entries):
                self._widen(wide, sorted([mined.id, twin.id]))
                return True
        return False

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
