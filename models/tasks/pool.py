"""All that is learned of one signature: its miner, the calls that wait in it, and the cases they become."""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from jitr.models.tasks.answers import terse
from jitr.models.tasks.edits import predecessor
from jitr.models.tasks.evidence import opens_only
from jitr.models.tasks.extract import input_of
from jitr.models.tasks.items import shorten
from jitr.models.tasks.mined import Mined
from jitr.models.tasks.miner import Event, Miner
from jitr.models.tasks.registry import Case, merged, record, retired, task_id
from jitr.models.tasks.signature import SignatureKey, text_of
from jitr.schemas.calls import Call
from jitr.schemas.tasks import Task

_MOST_REPEATS = 8
_MOST_IDS = 160
_PATIENCE = 4


class Found(msgspec.Struct, frozen=True):
    """A task, and calls of it that must be handed on as its task calls.

    Parameters
    ----------
    task : Task
        Its record.
    calls : tuple of Call
        Calls that were kept, now explained; in order of arrival.
    changed : bool
        Whether the record is new or has changed, and must be published.
    """

    task: Task
    calls: tuple[Call, ...] = ()
    changed: bool = True


@dataclass(slots=True)
class Waiting:
    """Calls with one and the same text, kept until a skeleton explains it."""

    text: str
    calls: list[Call]


class Pool:
    """Learns from the calls of one signature.

    Parameters
    ----------
    key : SignatureKey
        The signature.
    miner : Miner
        Its miner.
    support : int
        Calls before a candidate is a task.
    keep : int
        Calls that are kept for a candidate.
    names : callable
        The names that other tasks have.
    """

    def __init__(
        self, key: SignatureKey, miner: Miner, support: int, keep: int, names: Callable[[], frozenset[str]]
    ) -> None:
        self.key = key
        self.miner = miner
        self.support = support
        self.keep = keep
        self.names = names
        self.cases: dict[int, Case] = {}
        self.waiting: dict[int, Waiting] = {}
        self._now = 0.0
        self._edited: dict[int, None] = {}
        self._touched: dict[int, bool] = {}
        self._out: list[Found] = []

    def learn(self, seq: int, text: str, call: Call) -> list[Found]:
        """Learn from an unmatched call; see `Finder.learn`."""
        miner = self.miner
        answer = terse(call.response.text) if call.response is not None else None
        self._now = max(self._now, call.time)
        known = self._of_earlier(text)
        if known is not None:
            self._take(known, seq, Waiting(text, [call]))
            return self._flush()
        self.waiting[seq] = Waiting(text, [call])
        for _ in range(2):
            miner.add(text, seq, answer, call.time)
            self._settle()
            if seq not in self.waiting or seq in miner.window.entries:
                break
            mined = miner.match(text)
            if mined is not None:
                self._take(mined.id, seq, self.waiting.pop(seq))
                break
            same = miner.window.seq_of(shorten(text))
            if same is not None:
                del self.waiting[seq]
                repeats = self.waiting[same].calls
                if len(repeats) < _MOST_REPEATS:
                    repeats.append(call)
                break
            # its skeleton was taken down by this very call: it is mined like any other
        else:
            self.waiting.pop(seq, None)
        return self._flush()

    def observe(self, seq: int, text: str, call: Call) -> list[Found]:
        """Let a call that was matched elsewhere refine its skeleton; it is not handed on."""
        self._now = max(self._now, call.time)
        mined = self.miner.match(text)
        if mined is None:
            known = self._of_earlier(text)
            if known is not None:
                self._count(known, seq, call, text)
            return self._flush()
        answer = terse(call.response.text) if call.response is not None else None
        self._count(mined.id, seq, call, text)
        self.miner.hit(mined, text, seq, answer, call.time)
        self._settle()
        return self._flush()

    def _of_earlier(self, text: str) -> int | None:
        """The task that had this skeleton before its prompt was edited, where no skeleton of today fits."""
        for id in self._edited:
            case = self.cases.get(id)
            if case is not None and any(p.matches(text) for p in case.earlier):
                return None if self.miner.match(text) is not None else id
        return None

    def resume(self, cases: dict[int, Case], waiting: dict[int, Waiting]) -> None:
        """Go on with what an earlier pool knew."""
        self.cases, self.waiting = cases, waiting
        self._edited = {id: None for id, case in cases.items() if case.earlier}

    def forget(self, n: int) -> int:
        """Drop the n oldest waiting prompts; says how many there were."""
        window = self.miner.window
        dropped = 0
        while dropped < n and (oldest := window.oldest()) is not None:
            window.drop(oldest.seq)
            self.waiting.pop(oldest.seq, None)
            dropped += 1
        return dropped

    def _support(self, case: Case, mined: Mined) -> int:
        """Calls before a candidate is a task.

        A system prompt with free answers to anything may be no task at all, and as a task it would hide
        those that are
        inside it: it has to wait longer.
        """
        if case.labels.kind == "text" and opens_only(mined.pattern):
            return self.support * _PATIENCE
        return self.support

    @property
    def has_tasks(self) -> bool:
        """Whether a task was found here."""
        return any(case.status == "task" for case in self.cases.values())

    # from the miner's events to cases

    def _settle(self) -> None:
        lost: list[int] = []
        events, self.miner.events = self.miner.events, []
        for event in events:
            if event.kind == "explained":
                for seq in event.seqs:
                    if seq in self.waiting:
                        self._take(event.id, seq, self.waiting.pop(seq))
            elif event.kind == "forgotten":
                for seq in event.seqs:
                    self.waiting.pop(seq, None)
            elif event.kind == "changed":
                self._touched[event.id] = True
            elif event.kind == "merged":
                self._merge(event)
            elif event.kind == "split":
                self._split(event)
            else:
                lost += self._remove(event.id)
        entries = self.miner.window.entries
        for seq in lost:
            if seq not in entries:
                self.waiting.pop(seq, None)

    def _take(self, id: int, seq: int, waiting: Waiting) -> None:
        """File calls under the case of a skeleton."""
        for call in waiting.calls:
            self._count(id, seq, call, waiting.text)
        case = self.cases[id]
        # repeats of a text share its number
        for offset, call in enumerate(waiting.calls):
            case.kept[seq * (_MOST_REPEATS + 1) + offset] = call
        if case.status != "task":
            while len(case.kept) > self.keep:
                del case.kept[next(iter(case.kept))]

    def _count(self, id: int, seq: int, call: Call, text: str) -> Case:
        case = self.cases.get(id)
        if case is None:
            case = self.cases[id] = Case(seq, call.id, call.time)
        mined = self.miner.shelf.live.get(id)
        fits = mined is not None and mined.pattern.matches(text)
        case.learn(seq, call, input_of(mined.pattern.slots(text)) if mined is not None and fits else text)
        if seq < case.order and case.task is None:
            case.order, case.founder = seq, call.id
        if len(case.ids) > _MOST_IDS:
            self._prune(case, mined)
        # a record is looked at again when its calls have doubled
        self._touched.setdefault(id, False)
        if case.count & (case.count - 1) == 0:
            self._touched[id] = True
        return case

    @staticmethod
    def _prune(case: Case, mined: Mined | None) -> None:
        members = {e.seq for e in mined.members} if mined is not None else set()
        case.ids = {seq: id for seq, id in case.ids.items() if seq in members}

    def _merge(self, event: Event) -> None:
        gone = self.cases.pop(event.id, None)
        self._touched.pop(event.id, None)
        if gone is None:
            return
        if gone.earlier:
            self._edited[event.other] = None
        into = self.cases.get(event.other)
        if into is None:
            self.cases[event.other] = gone
            self._touched[event.other] = True
            return
        into.absorb(gone)
        # of two tasks the older lives on; a task lives on rather than a candidate
        if gone.task is not None and (into.task is None or gone.order < into.order):
            into.task, gone.task = gone.task, into.task
            into.founder, gone.founder = gone.founder, into.founder
            into.order, gone.order = gone.order, into.order
            into.status = "task"
        elif into.task is None and gone.order < into.order:
            into.founder, into.order = gone.founder, gone.order
        if gone.task is not None:
            self._out.append(Found(merged(gone.task, task_id(self.key.tenant, into.founder))))
        self._touched[event.other] = True

    def _split(self, event: Event) -> None:
        parent = self.cases.get(event.id)
        child = self.miner.shelf.live.get(event.other)
        if parent is None or child is None:
            return
        members = sorted(child.members, key=lambda e: e.seq)
        first = next((e for e in members if e.seq in parent.ids), None)
        order = first.seq if first is not None else parent.order
        founder = parent.ids[first.seq] if first is not None else f"{parent.founder}/{child.id}"
        if founder == parent.founder:
            founder = f"{founder}/{child.id}"
        case = self.cases[child.id] = Case(order, founder, members[0].time if members else parent.first_seen)
        moved = {n: c for n, c in parent.kept.items() if self.miner.match(text_of(c)) is child}
        if parent.status == "task":
            # its calls match the parent elsewhere and will not come here: it is a task as its parent is one
            case.status = "task"
            stay = self.miner.shelf.live[event.id]
            case.count = parent.count * len(members) // max(1, len(members) + len(stay.members))
            parent.count -= case.count
            for member in members:
                if member.answer is not None:
                    case.labels.learn(member.answer)
                if len(case.inputs) < 3:
                    case.inputs.append(input_of(child.pattern.slots(member.text))[:300])
            case.kept = moved
        else:
            kept, parent.kept = parent.kept, {}
            parent.count, parent.labels, parent.inputs = 0, type(parent.labels)(), []
            for n, call in kept.items():
                owner = self.miner.match(text_of(call))
                self._take_back(event.id if owner is None else owner.id, n, call)
        for n in moved:
            parent.kept.pop(n, None)
        self._touched[event.id] = self._touched[child.id] = True

    def _take_back(self, id: int, number: int, call: Call) -> None:
        self._count(id, number // (_MOST_REPEATS + 1), call, text_of(call)).kept[number] = call

    def _remove(self, id: int) -> list[int]:
        case = self.cases.pop(id, None)
        self._touched.pop(id, None)
        if case is None:
            return []
        if case.task is not None and case.status == "task":
            self._out.append(Found(retired(case.task)))
        seqs: dict[int, None] = {}
        for number, call in case.kept.items():
            seq = number // (_MOST_REPEATS + 1)
            if seq in self.waiting:
                self.waiting[seq].calls.append(call)
            else:
                self.waiting[seq] = Waiting(text_of(call), [call])
            seqs[seq] = None
        return list(seqs)

    def _recognise(self, id: int, case: Case, mined: Mined) -> None:
        """See whether a new task is an old one whose prompt was edited, and let that one go on in it."""
        live = self.miner.shelf.live
        others = [(i, c, live[i].pattern) for i, c in self.cases.items() if c.task is not None and i in live]
        old = predecessor(case, mined.pattern, others, self._now)
        if old is None:
            return
        self.miner.supersede(live[old], mined)
        gone = self.cases.pop(old)
        self._edited[id] = None
        case.follow(gone, next(pattern for i, _, pattern in others if i == old))

    def _flush(self) -> list[Found]:
        out, self._out = self._out, []
        touched, self._touched = self._touched, {}
        for id, look in touched.items():
            case = self.cases.get(id)
            mined = self.miner.shelf.live.get(id)
            if case is None or mined is None:
                continue
            if case.status != "task" and case.count < self._support(case, mined):
                continue
            changed = look or case.task is None
            if changed:
                case.status = "task"
                if case.task is None:
                    self._recognise(id, case, mined)
                before = case.task
                taken = frozenset() if before is not None else self.names()
                case.task = record(case, self.key, (mined.pattern, *case.earlier), taken)
                changed = before is None or _differs(before, case.task)
            assert case.task is not None
            if changed or case.kept:
                out.append(Found(case.task, tuple(case.kept.values()), changed))
                case.kept = {}
        return out


def _differs(before: Task, after: Task) -> bool:
    """Whether two records differ in more than their counts."""
    return any(
        [
            before.skeletons != after.skeletons,
            before.status != after.status,
            before.kind != after.kind,
            before.labels != after.labels,
            before.renderings != after.renderings,
        ]
    )
