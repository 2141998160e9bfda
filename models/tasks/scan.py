"""A day-one read of a log: the tasks in it, how often they come and what they cost. No server, one pass.

Of each task's answers a sample is kept, evenly over the log, from which a surrogate can be measured.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from math import sqrt

from jitr.models.answers.label_space import LabelSpace
from jitr.models.economics.bills import Bill, bill
from jitr.models.tasks.finder import FinderPolicy, TaskFinder
from jitr.models.tasks.matching.inputs import input_of, patterns_of, slots_in
from jitr.models.tasks.matching.pattern import Pattern
from jitr.models.tasks.matching.signature import text_of
from jitr.models.tasks.sample import Answered, Sample
from jitr.schemas.calls import Call
from jitr.schemas.checks import INVALID, PARAMETER
from jitr.schemas.labels import label_text, no_label
from jitr.schemas.only_teacher import why
from jitr.schemas.prices import Price
from jitr.schemas.scan import ScanReport, ScanTask
from jitr.schemas.tasks import Task

_EVERY = 256
_MIX = 10


@dataclass(frozen=True, slots=True)
class Scan:
    """A report, and of each of its tasks the sampled answers with the label space that reads them."""

    report: ScanReport
    samples: dict[str, tuple[Sample, LabelSpace]]


class _Sums:
    """Running sums of one task, or of the whole log."""

    __slots__ = (
        "calls",
        "cost_squares",
        "cost_usd",
        "first",
        "input_tokens",
        "last",
        "learnable",
        "no_labels",
        "only_teacher",
        "output_tokens",
        "sample",
        "space",
    )

    def __init__(self) -> None:
        self.calls = 0
        self.input_tokens = 0
        self.output_tokens = 0
        self.cost_usd = 0.0
        self.cost_squares = 0.0
        self.first = float("inf")
        self.last = float("-inf")
        self.only_teacher: Counter[str] = Counter()
        self.no_labels: Counter[str] = Counter()
        self.learnable = 0
        self.space = LabelSpace()
        self.sample = Sample()

    def add(self, call: Call, billed: Bill, reason: str | None) -> None:
        cost_usd = billed.usd or 0.0
        self.calls += 1
        self.input_tokens += billed.usage.input_tokens
        self.output_tokens += billed.usage.output_tokens
        self.cost_usd += cost_usd
        self.cost_squares += cost_usd * cost_usd
        self.first = min(self.first, call.time)
        self.last = max(self.last, call.time)
        if reason is not None:
            self.only_teacher[reason] += 1
        why = no_label(call)
        if why is not None:
            self.no_labels[why.value] += 1
        self.learnable += reason is None and why is None

    def join(self, other: _Sums) -> None:
        self.calls += other.calls
        self.input_tokens += other.input_tokens
        self.output_tokens += other.output_tokens
        self.cost_usd += other.cost_usd
        self.cost_squares += other.cost_squares
        self.first = min(self.first, other.first)
        self.last = max(self.last, other.last)
        self.only_teacher += other.only_teacher
        self.no_labels += other.no_labels
        self.learnable += other.learnable
        self.space.absorb(other.space)
        self.sample.join(other.sample)

    @property
    def deviation_usd(self) -> float:
        """Standard deviation of a call's cost."""
        if self.calls < 2:
            return 0.0
        mean = self.cost_usd / self.calls
        return sqrt(max(0.0, self.cost_squares - self.calls * mean * mean) / (self.calls - 1))


def scan(
    calls: Iterable[Call],
    prices: dict[str, Price],
    progress: Callable[[int], None] | None = None,
    policy: FinderPolicy | None = None,
    harmless: Collection[str] = (),
) -> Scan:
    """Find the tasks in a log and add up what they cost.

    Parameters
    ----------
    calls : iterable of Call
        The log in order of time; it is read once and never held whole.
    prices : dict of str to Price
        The price table, for calls that do not carry their cost.
    progress : callable, optional
        Told how many calls have been read, now and then and at the end.
    policy : FinderPolicy, optional
        Bounds and thresholds of finding.
    harmless : collection of str
        Parameters of requests with which a surrogate may answer all the same (`gateway.harmless`).

    Returns
    -------
    Scan
        Tasks by cost, then by calls.

    Examples
    --------
    >>> from jitr.schemas.calls import Message, Response
    >>> words = "ant bee cat cow dog elk fox gnu hen jay".split()
    >>> log = [Call(id=w, model="m", time=float(i), response=Response(text="4"), cost_usd=0.01, messages=(
    ...            Message(role="user", content=f"How many legs has this animal? Animal: {w}"),))
    ...        for i, w in enumerate(words)]
    >>> report = scan(log, {}, policy=FinderPolicy(support=8)).report
    >>> [(t.name, t.calls, round(t.cost_usd, 2), t.kind) for t in report.tasks], report.unmatched_share
    ([('many-legs-animal', 10, 0.1, 'label')], 0.0)
    """
    finders: dict[str, TaskFinder] = {}
    tasks: dict[str, Task] = {}
    patterns: dict[tuple[str, int], tuple[Pattern, ...]] = {}
    sums: dict[str, _Sums] = {}
    total = _Sums()
    estimated = unpriced = 0
    for call in calls:
        billed = bill(call, prices)
        estimated += billed.usage.estimated
        unpriced += billed.usd is None
        total.add(call, billed, _only_teacher(call, harmless))
        finder = finders.get(call.tenant)
        if finder is None:
            finder = finders[call.tenant] = TaskFinder(call.tenant, policy)
        for found in finder.learn(call):
            task = tasks[found.task.id] = found.task
            held = sums.setdefault(task.id, _Sums())
            version = (task.id, task.version)
            if version not in patterns:
                patterns[version] = patterns_of(task.templates)
            for member in found.calls:
                reason, answer = _only_teacher(member, harmless), label_text(member)
                held.add(member, bill(member, prices), reason)
                if answer is not None:
                    asked = _input(member, patterns[version])
                    held.space.learn(answer, asked)
                    if reason is None:
                        held.sample.add(Answered(member.id, member.time, asked, answer))
        if progress is not None and total.calls % _EVERY == 0:
            progress(total.calls)
    if progress is not None:
        progress(total.calls)
    _follow_merges(tasks, sums)
    current = {t.id: t for finder in finders.values() for t in finder.tasks}
    rows = [
        _row(current.get(id, tasks[id]), held, total.calls)
        for id, held in sums.items()
        if tasks[id].status == "task" and held.calls
    ]
    rows.sort(key=lambda row: (-row.cost_usd, -row.calls, row.id))
    matched = sum([row.calls for row in rows])
    report = ScanReport(
        calls=total.calls,
        input_tokens=total.input_tokens,
        output_tokens=total.output_tokens,
        cost_usd=total.cost_usd,
        first_seen=total.first if total.calls else 0.0,
        last_seen=total.last if total.calls else 0.0,
        tasks=tuple(rows),
        unmatched=total.calls - matched,
        unmatched_share=(total.calls - matched) / total.calls if total.calls else 0.0,
        unmatched_usd=max(0.0, total.cost_usd - sum([row.cost_usd for row in rows])),
        estimated_tokens=estimated,
        unpriced=unpriced,
        only_teacher=dict(total.only_teacher),
        no_labels=dict(total.no_labels),
    )
    return Scan(report, {row.id: (sums[row.id].sample, sums[row.id].space) for row in rows})


def _only_teacher(call: Call, harmless: Collection[str]) -> str | None:
    """Why no surrogate may answer a call, by the gateway's own rule; with the parameter if it may be any."""
    found = why(call, harmless)
    if found is None:
        return None
    reason, name = found
    return f"{reason} {name}" if reason in (INVALID, PARAMETER) else reason


def _input(call: Call, patterns: tuple[Pattern, ...]) -> str:
    return input_of(slots_in(text_of(call), patterns))


def _follow_merges(tasks: Mapping[str, Task], sums: dict[str, _Sums]) -> None:
    """Calls of a task that was merged count for the one it went on as."""
    for id in list(sums):
        into = tasks[id].merged_into
        while into is not None and into in tasks and tasks[into].merged_into is not None:
            into = tasks[into].merged_into
        if into is not None and into in tasks and into != id:
            sums.setdefault(into, _Sums()).join(sums.pop(id))


def _row(task: Task, held: _Sums, calls: int) -> ScanTask:
    space = held.space
    counts: Counter[str] = space.counts()
    mix = tuple([(label, counts[label]) for label in space.labels[:_MIX]])
    shown = [Pattern.of(s).show() for s in task.templates]
    return ScanTask(
        id=task.id,
        name=task.name,
        tenant=task.tenant,
        model=task.signature.model,
        template=shown[0] if shown else "",
        kind=space.kind,
        calls=held.calls,
        share=held.calls / calls,
        input_tokens=held.input_tokens,
        output_tokens=held.output_tokens,
        cost_usd=held.cost_usd,
        cost_deviation_usd=held.deviation_usd,
        labels=mix,
        label_count=len(space.labels),
        unparsed=space.unparsed(),
        only_teacher=dict(held.only_teacher),
        no_labels=dict(held.no_labels),
        learnable=held.learnable,
        examples=task.examples,
        first_seen=held.first,
        last_seen=held.last,
    )
