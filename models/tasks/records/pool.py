"""Learns the tasks of one signature: its miner, the calls that wait in it, and the candidates they become."""

from collections.abc import Callable

from jitr.models.answers.normalize import terse
from jitr.models.tasks.matching.signature import SignatureKey
from jitr.models.tasks.mining.cluster import Cluster
from jitr.models.tasks.mining.items import shorten
from jitr.models.tasks.mining.miner import Miner
from jitr.models.tasks.mining.support import opens_only
from jitr.models.tasks.records.lineage import MOST_REPEATS, Found, WaitingCalls
from jitr.models.tasks.records.manual_edits import ManualEdits
from jitr.models.tasks.records.task_record import TaskCandidate, record
from jitr.schemas.calls import Call
from jitr.schemas.labels import label_text
from jitr.schemas.tasks import Task

_PATIENCE = 4


class SignaturePool(ManualEdits):
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
        super().__init__(key, miner)
        self.support = support
        self.keep = keep
        self.names = names

    def learn(self, seq: int, text: str, call: Call) -> list[Found]:
        """Learn from an unmatched call; see `TaskFinder.learn`."""
        miner = self.miner
        answer = _terse(call)
        self.now = max(self.now, call.time)
        known = self._of_earlier(text)
        if known is not None:
            self._take(known, seq, WaitingCalls(text, [call]))
            return self.flush()
        self.waiting[seq] = WaitingCalls(text, [call])
        for _ in range(2):
            miner.add(text, seq, answer, call.time)
            self._settle()
            if seq not in self.waiting or seq in miner.window.entries:
                break
            cluster = miner.match(text)
            if cluster is not None:
                self._take(cluster.id, seq, self.waiting.pop(seq))
                break
            same = miner.window.seq_of(shorten(text))
            if same is not None:
                del self.waiting[seq]
                repeats = self.waiting[same].calls
                if len(repeats) < MOST_REPEATS:
                    repeats.append(call)
                break
            # its template was taken down by this very call: it is mined like any other
        else:
            self.waiting.pop(seq, None)
        return self.flush()

    def observe(self, seq: int, text: str, call: Call) -> list[Found]:
        """Let a call that was matched elsewhere refine its template; it is not handed on."""
        self.now = max(self.now, call.time)
        cluster = self.miner.match(text)
        if cluster is None:
            known = self._of_earlier(text)
            if known is not None:
                self._count(known, seq, call, text)
            return self.flush()
        answer = _terse(call)
        self._count(cluster.id, seq, call, text)
        self.miner.hit(cluster, text, seq, answer, call.time)
        self._settle()
        return self.flush()

    def forget(self, n: int) -> int:
        """Drop the n oldest waiting prompts; says how many there were."""
        window = self.miner.window
        dropped = 0
        while dropped < n and (oldest := window.oldest()) is not None:
            window.drop(oldest.seq)
            self.waiting.pop(oldest.seq, None)
            dropped += 1
        return dropped

    def _support(self, candidate: TaskCandidate, cluster: Cluster) -> int:
        """Calls before a candidate is a task.

        A system prompt with free answers to anything may be no task at all, and as a task it would hide
        those that are
        inside it: it has to wait longer.
        """
        if candidate.labels.kind == "text" and opens_only(cluster.pattern):
            return self.support * _PATIENCE
        return self.support

    @property
    def has_tasks(self) -> bool:
        """Whether a task was found here."""
        return any(candidate.status == "task" for candidate in self.candidates.values())

    # from the miner's events to candidates

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

    def _take(self, id: int, seq: int, waiting: WaitingCalls) -> None:
        """File calls under the candidate of a template."""
        for call in waiting.calls:
            self._count(id, seq, call, waiting.text)
        candidate = self.candidates[id]
        # repeats of a text share its number
        for offset, call in enumerate(waiting.calls):
            candidate.kept[seq * (MOST_REPEATS + 1) + offset] = call
        if candidate.status != "task":
            while len(candidate.kept) > self.keep:
                del candidate.kept[next(iter(candidate.kept))]

    def record(self, id: int) -> Task:
        """The record of a task."""
        task = self.candidates[id].task
        assert task is not None, f"{id} is a candidate"
        return task

    def flush(self) -> list[Found]:
        """Tasks that are new or have changed since, and the calls that must be handed on."""
        out, self._out = self._out, []
        touched, self._touched = self._touched, {}
        for id, look in touched.items():
            candidate = self.candidates.get(id)
            cluster = self.miner.clusters.live.get(id)
            if candidate is None or cluster is None:
                continue
            if candidate.status != "task" and candidate.count < self._support(candidate, cluster):
                continue
            changed = look or candidate.task is None
            if changed:
                candidate.status = "task"
                if candidate.task is None:
                    self._recognise(id, candidate, cluster)
                before = candidate.task
                taken = frozenset() if before is not None else self.names()
                candidate.task = record(candidate, self.key, (cluster.pattern, *candidate.earlier), taken)
                candidate.news = None
                changed = before is None or _differs(before, candidate.task)
            assert candidate.task is not None
            if changed or candidate.kept:
                out.append(Found(candidate.task, tuple(candidate.kept.values()), changed))
                candidate.kept = {}
        return out


def _differs(before: Task, after: Task) -> bool:
    """Whether two records differ in more than their counts, or those have doubled."""
    return any(
        [
            before.templates != after.templates,
            before.status != after.status,
            before.kind != after.kind,
            before.labels != after.labels,
            before.renderings != after.renderings,
            before.version != after.version,
            2 * before.calls <= after.calls,
        ]
    )


def _terse(call: Call) -> str | None:
    """The normal form of a call's answer, where it is a label of few words."""
    answer = label_text(call)
    return terse(answer) if answer is not None else None
