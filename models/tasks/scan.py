"""A day-one read of a log: the tasks in it, how often they come and what they cost. No server, one pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

import msgspec

from jitr.models.money import call_usd
from jitr.models.tasks.extract import LabelSpace, input_of
from jitr.models.tasks.finder import Finder, FinderPolicy
from jitr.models.tasks.signature import text_of
from jitr.models.tasks.skeleton import Pattern
from jitr.schemas.calls import Call, Usage
from jitr.schemas.prices import Price
from jitr.schemas.tasks import OutputKind, Task

_CHARS_A_TOKEN = 4  # the usual rule of thumb for English
_EVERY = 256
_MIX = 10


class ScanTask(msgspec.Struct, frozen=True, kw_only=True):
    """One task of a log.

    ``skeleton`` has its slots marked. ``labels`` are the most frequent labels with their counts,
    ``unparsed`` the
    answers that are none of them. ``examples`` are payloads.
    """

    id: str
    name: str
    tenant: str
    model: str
    skeleton: str
    kind: OutputKind
    calls: int
    share: float
    input_tokens: int
    output_tokens: int
    cost_usd: float
    labels: tuple[tuple[str, int], ...]
    label_count: int
    unparsed: int
    examples: tuple[str, ...]
    first_seen: float
    last_seen: float


class ScanReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a log holds.

    ``estimated_tokens`` says how many calls had no token counts, so that four characters were taken for a
    token;
    ``unpriced`` how many calls had no price; ``unmatched_share`` is the share of calls in no task.
    """

    calls: int
    input_tokens: int
    output_tokens: int
    cost_usd: float
    first_seen: float
    last_seen: float
    tasks: tuple[ScanTask, ...]
    unmatched: int
    unmatched_share: float
    unmatched_usd: float
    estimated_tokens: int
    unpriced: int


class _Sums:
    """Running sums of one task, or of the whole log."""

    __slots__ = ("calls", "cost_usd", "first", "input_tokens", "last", "output_tokens", "space")

    def __init__(self) -> None:
        self.calls = 0
        self.input_tokens = 0
        self.output_tokens = 0
        self.cost_usd = 0.0
        self.first = float("inf")
        self.last = float("-inf")
        self.space = LabelSpace()

    def add(self, call: Call, usage: Usage, cost_usd: float) -> None:
        self.calls += 1
        self.input_tokens += usage.input_tokens
        self.output_tokens += usage.output_tokens
        self.cost_usd += cost_usd
        self.first = min(self.first, call.time)
        self.last = max(self.last, call.time)

    def join(self, other: _Sums) -> None:
        self.calls += other.calls
        self.input_tokens += other.input_tokens
        self.output_tokens += other.output_tokens
        self.cost_usd += other.cost_usd
        self.first = min(self.first, other.first)
        self.last = max(self.last, other.last)
        self.space.absorb(other.space)


def scan(
    calls: Iterable[Call],
    prices: dict[str, Price],
    progress: Callable[[int], None] | None = None,
    policy: FinderPolicy | None = None,
) -> ScanReport:
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

    Returns
    -------
    ScanReport
        Tasks by cost, then by calls.

    Examples
    --------
    >>> from jitr.schemas.calls import Message, Response
    >>> words = "ant bee cat cow dog elk fox gnu hen jay".split()
    >>> log = [Call(id=w, model="m", time=float(i), response=Response(text="4"), cost_usd=0.01, messages=(
    ...            Message(role="user", content=f"How many legs has this animal? Animal: {w}"),))
    ...        for i, w in enumerate(words)]
    >>> report = scan(log, {}, policy=FinderPolicy(support=8))
    >>> [(t.name, t.calls, round(t.cost_usd, 2), t.kind) for t in report.tasks], report.unmatched_share
    ([('many-legs-animal', 10, 0.1, 'label')], 0.0)
    """
    finders: dict[str, Finder] = {}
    tasks: dict[str, Task] = {}
    patterns: dict[tuple[str, int], tuple[Pattern, ...]] = {}
    sums: dict[str, _Sums] = {}
    total = _Sums()
    estimated = unpriced = 0
    for call in calls:
        usage, guessed = _usage(call)
        cost, known = _cost(call, usage, prices)
        estimated += guessed
        unpriced += not known
        total.add(call, usage, cost)
        finder = finders.get(call.tenant)
        if finder is None:
            finder = finders[call.tenant] = Finder(call.tenant, policy)
        for found in finder.learn(call):
            task = tasks[found.task.id] = found.task
            held = sums.setdefault(task.id, _Sums())
            version = (task.id, task.version)
            if version not in patterns:
                patterns[version] = tuple([Pattern(s.prefix, s.inner, s.suffix) for s in task.skeletons])
            for member in found.calls:
                usage, _ = _usage(member)
                held.add(member, usage, _cost(member, usage, prices)[0])
                if member.response is not None:
                    held.space.learn(member.response.text, _input(member, patterns[version]))
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
    return ScanReport(
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
    )


def _usage(call: Call) -> tuple[Usage, bool]:
    """The tokens of a call, and whether they had to be guessed from its length."""
    if call.usage.input_tokens or call.usage.output_tokens:
        return call.usage, False
    read = sum([len(m.content) for m in call.messages])
    written = len(call.response.text) if call.response is not None else 0
    return Usage(input_tokens=-(-read // _CHARS_A_TOKEN), output_tokens=-(-written // _CHARS_A_TOKEN)), True


def _cost(call: Call, usage: Usage, prices: dict[str, Price]) -> tuple[float, bool]:
    """The dollars of a call, and whether its price is known."""
    if call.cost_usd is not None:
        return call.cost_usd, True
    cost = call_usd(call.model, usage, prices)
    return (0.0, False) if cost is None else (cost, True)


def _input(call: Call, patterns: tuple[Pattern, ...]) -> str:
    text = text_of(call)
    return input_of(next((p.slots(text) for p in patterns if p.matches(text)), (text,)))


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
    shown = [Pattern(s.prefix, s.inner, s.suffix).show() for s in task.skeletons]
    return ScanTask(
        id=task.id,
        name=task.name,
        tenant=task.tenant,
        model=task.signature.model,
        skeleton=shown[0] if shown else "",
        kind=space.kind,
        calls=held.calls,
        share=held.calls / calls,
        input_tokens=held.input_tokens,
        output_tokens=held.output_tokens,
        cost_usd=held.cost_usd,
        labels=mix,
        label_count=len(space.labels),
        unparsed=space.unparsed(),
        examples=task.examples,
        first_seen=held.first,
        last_seen=held.last,
    )
