"""Keeps the candidates of one signature while templates merge, split or go, or a prompt is edited."""

from dataclasses import dataclass

import msgspec

from jitr.models.tasks.matching.inputs import input_of
from jitr.models.tasks.matching.signature import SignatureKey, text_of
from jitr.models.tasks.mining.cluster import Cluster
from jitr.models.tasks.mining.clustering import ClusterEvent
from jitr.models.tasks.mining.miner import Miner
from jitr.models.tasks.records.edits import predecessor
from jitr.models.tasks.records.task_record import TaskCandidate, ended, task_id
from jitr.schemas.calls import Call
from jitr.schemas.tasks import Change, Task

MOST_REPEATS = 8
_MOST_IDS = 160


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
class WaitingCalls:
    """Calls with one and the same text, kept until a template explains it."""

    text: str
    calls: list[Call]


class CandidateLineage:
    """The candidates of one signature, kept through all that happens to their templates.

    Parameters
    ----------
    key : SignatureKey
        The signature.
    miner : Miner
        Its miner.
    """

    def __init__(self, key: SignatureKey, miner: Miner) -> None:
        self.key = key
        self.miner = miner
        self.candidates: dict[int, TaskCandidate] = {}
        self.waiting: dict[int, WaitingCalls] = {}
        self.now = 0.0
        self._edited: dict[int, None] = {}
        self._touched: dict[int, bool] = {}
        self._out: list[Found] = []

    def resume(self, candidates: dict[int, TaskCandidate], waiting: dict[int, WaitingCalls]) -> None:
        """Go on with what an earlier pool knew."""
        self.candidates, self.waiting = candidates, waiting
        self._edited = {id: None for id, candidate in candidates.items() if candidate.earlier}

    def _count(self, id: int, seq: int, call: Call, text: str) -> TaskCandidate:
        candidate = self.candidates.get(id)
        if candidate is None:
            candidate = self.candidates[id] = TaskCandidate(seq, call.id, call.time)
        cluster = self.miner.clusters.live.get(id)
        fits = cluster is not None and cluster.pattern.matches(text)
        candidate.learn(
            seq, call, input_of(cluster.pattern.slots(text)) if cluster is not None and fits else text
        )
        if seq < candidate.order and candidate.task is None:
            candidate.order, candidate.founder = seq, call.id
        if len(candidate.ids) > _MOST_IDS:
            self._prune(candidate, cluster)
        # a record is looked at again when its calls have doubled
        self._touched.setdefault(id, False)
        if candidate.count & (candidate.count - 1) == 0:
            self._touched[id] = True
        return candidate

    @staticmethod
    def _prune(candidate: TaskCandidate, cluster: Cluster | None) -> None:
        members = {e.seq for e in cluster.members} if cluster is not None else set()
        candidate.ids = {seq: id for seq, id in candidate.ids.items() if seq in members}

    def _of_earlier(self, text: str) -> int | None:
        """The task that had this template before its prompt was edited, where no template of today fits."""
        for id in self._edited:
            candidate = self.candidates.get(id)
            if candidate is not None and any(p.matches(text) for p in candidate.earlier):
                return None if self.miner.match(text) is not None else id
        return None

    def _merge(self, event: ClusterEvent) -> None:
        gone = self.candidates.pop(event.id, None)
        self._touched.pop(event.id, None)
        if gone is None:
            return
        if gone.earlier:
            self._edited[event.other] = None
        into = self.candidates.get(event.other)
        if into is None:
            self.candidates[event.other] = gone
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
            other = into.task.id if into.task else task_id(self.key.tenant, into.founder)
            change = Change(version=0, time=self.now, kind="merged", other=other)
            self._out.append(Found(ended(gone.task, "merged", change)))
            into.news = Change(version=0, time=self.now, kind="took", other=gone.task.id)
        self._touched[event.other] = True

    def _split(self, event: ClusterEvent, *, anew: bool = False) -> None:
        """Give some of a candidate's calls to that of another template; ``anew``: under an id never used."""
        parent = self.candidates.get(event.id)
        child = self.miner.clusters.live.get(event.other)
        if parent is None or child is None:
            return
        members = sorted(child.members, key=lambda e: e.seq)
        first = next((e for e in members if e.seq in parent.ids), None)
        order = first.seq if first is not None else parent.order
        founder = parent.ids[first.seq] if first is not None else f"{parent.founder}/{child.id}"
        # what this call founded before and was merged since is another task, whose record ends there
        history = parent.task.history if parent.task is not None else ()
        ended_here = task_id(self.key.tenant, founder) in [change.other for change in history]
        if founder == parent.founder or ended_here or anew:
            founder = f"{founder}/{child.id}"
        candidate = self.candidates[child.id] = TaskCandidate(
            order, founder, members[0].time if members else parent.first_seen
        )
        moved = {n: c for n, c in parent.kept.items() if self.miner.match(text_of(c)) is child}
        if parent.status == "task":
            # its calls match the parent elsewhere and will not come here: it is a task as its parent is one
            candidate.status = "task"
            of = parent.task.id if parent.task is not None else None
            candidate.news = Change(version=0, time=self.now, kind="split", other=of)
            stay = self.miner.clusters.live[event.id]
            candidate.count = parent.count * len(members) // max(1, len(members) + len(stay.members))
            parent.count -= candidate.count
            for member in members:
                if member.answer is not None:
                    candidate.labels.learn(member.answer)
                if len(candidate.inputs) < 3:
                    candidate.inputs.append(input_of(child.pattern.slots(member.text))[:300])
            candidate.kept = moved
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
        self._count(id, number // (MOST_REPEATS + 1), call, text_of(call)).kept[number] = call

    def _remove(self, id: int) -> list[int]:
        candidate = self.candidates.pop(id, None)
        self._touched.pop(id, None)
        if candidate is None:
            return []
        if candidate.task is not None and candidate.status == "task":
            change = Change(version=0, time=self.now, kind="retired")
            self._out.append(Found(ended(candidate.task, "retired", change)))
        seqs: dict[int, None] = {}
        for number, call in candidate.kept.items():
            seq = number // (MOST_REPEATS + 1)
            if seq in self.waiting:
                self.waiting[seq].calls.append(call)
            else:
                self.waiting[seq] = WaitingCalls(text_of(call), [call])
            seqs[seq] = None
        return list(seqs)

    def _recognise(self, id: int, candidate: TaskCandidate, cluster: Cluster) -> None:
        """See whether a new task is an old one whose prompt was edited, and let that one go on in it."""
        live = self.miner.clusters.live
        others = [
            (i, c, live[i].pattern) for i, c in self.candidates.items() if c.task is not None and i in live
        ]
        old = predecessor(candidate, cluster.pattern, others, self.now)
        if old is None:
            return
        self.miner.supersede(live[old], cluster)
        gone = self.candidates.pop(old)
        self._edited[id] = None
        candidate.follow(gone, next(pattern for i, _, pattern in others if i == old))
