"""The report of a run: what was found, switched, proved and saved."""

from __future__ import annotations

import math
from collections import Counter, defaultdict

import msgspec

from jitr.models.economics.money import saved_interval, saved_usd, total_saved_interval
from jitr.models.promise.bounds import lower_bound
from jitr.sandbox.demo.driver import AnsweredRequest
from jitr.sandbox.demo.watch import DemoWatch
from jitr.schemas.routes import Route
from jitr.schemas.tasks import Template


class TaskReport(msgspec.Struct, frozen=True, kw_only=True):
    """One task of the report.

    ``agreement`` is that of the audits, with its exact lower bound at the policy's confidence;
    ``true_agreement`` is asked of the simulation, over all answers that the surrogate gave;
    ``replaced_share`` is the share of the task's calls that the surrogate answered. ``saved_low_usd`` and
    ``saved_high_usd`` bound ``saved_usd`` at 95%, None where there are too few bills to say.
    ``self_agreement`` is the share of ``repeats`` in which the teacher gave one input the same answer twice,
    measured on what came twice by itself; ``withheld`` says why the task is not trained on.
    """

    name: str
    id: str
    template: str
    workload: str | None
    calls: int
    labels: int
    state: str
    surrogate: str | None
    encoders: str | None
    certified_bound: float | None
    certified_coverage: float | None
    audits: int
    agreement: float | None
    agreement_bound: float | None
    true_agreement: float | None
    replaced_share: float
    holds: int
    demotions: int
    saved_usd: float
    first_saving_s: float | None
    history: list[tuple[float, str, str]]
    saved_low_usd: float | None = None
    saved_high_usd: float | None = None
    self_agreement: float | None = None
    repeats: int = 0
    withheld: str | None = None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What `report.json` holds; money in US dollars, times in seconds since the first call.

    ``net_saving_low_usd`` and ``net_saving_high_usd`` bound the net saving at 95%.
    """

    tasks: list[TaskReport]
    calls: int
    errors: int
    wall_s: float
    first_saving_s: float | None
    teacher_cost_usd: float
    actual_cost_usd: float
    net_saving_usd: float
    true_agreement: float | None
    target: float
    delta: float
    changed: dict[str, float]
    latency_ms: dict[str, float]
    machine: str
    teacher: str
    timeline: list[RunSlice]
    net_saving_low_usd: float | None = None
    net_saving_high_usd: float | None = None


class RunSlice(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of the run: how many calls ended in it, by who answered, and of each task by id.

    ``tasks`` maps a task id to (calls, answered by the surrogate, of these right, of these judged).
    """

    at_s: float
    calls: int
    answered: int
    tasks: dict[str, tuple[int, int, int, int]]


def slices(outcomes: list[AnsweredRequest], width_s: float) -> list[RunSlice]:
    """Cut a run into stretches of so many seconds.

    Examples
    --------
    >>> o = AnsweredRequest(at_s=3.0, latency_s=0.1, task="x", found="t", route="surrogate", right=True)
    >>> slices([o], 2.0)[-1].tasks
    {'t': (1, 1, 1, 1)}
    """
    last = max((o.at_s for o in outcomes), default=0.0)
    cut: list[list[AnsweredRequest]] = [[] for _ in range(int(last / width_s) + 1)]
    for outcome in outcomes:
        cut[int(outcome.at_s / width_s)].append(outcome)
    made = []
    for number, part in enumerate(cut):
        tasks: dict[str, tuple[int, int, int, int]] = {}
        for o in part:
            if o.found:
                calls, answered, right, judged = tasks.get(o.found, (0, 0, 0, 0))
                by = o.route == "surrogate"
                tasks[o.found] = (
                    calls + 1,
                    answered + by,
                    right + (by and o.right is True),
                    judged + (by and o.right is not None),
                )
        answered = sum(o.route == "surrogate" for o in part)
        made.append(RunSlice(at_s=number * width_s, calls=len(part), answered=answered, tasks=tasks))
    return made


def shown(template: Template, width: int = 160) -> str:
    """A template in one line, its slots marked.

    Examples
    --------
    >>> shown(Template(prefix="Is this spam? ", suffix=" Answer:"))
    'Is this spam? <*> Answer:'
    """
    text = "<*>".join((template.prefix, *template.inner, template.suffix))
    # message borders are control characters
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= width else f"{text[: width // 2]} ... {text[-width // 2 :]}"


def build(
    watch: DemoWatch,
    outcomes: list[AnsweredRequest],
    *,
    bill_usd: float,
    target: float,
    delta: float,
    changed: dict[str, float],
    machine: str,
    teacher: str,
) -> Report:
    """Put the report together from what was seen from outside."""
    by_task: defaultdict[str, list[AnsweredRequest]] = defaultdict(list)
    for outcome in outcomes:
        if outcome.found:
            by_task[outcome.found].append(outcome)
    tasks = [
        _task(watch, id, by_task[id], delta) for id, task in watch.tasks.items() if task.status == "task"
    ]
    tasks.sort(key=lambda t: (-t.saved_usd, -t.calls, t.id))
    answered = [o for o in outcomes if o.route == "surrogate"]
    rows = watch.routes.values()
    compute = sum(r.money.surrogate_usd + r.money.shadow_usd + r.money.train_usd for r in rows)
    net = sum(saved_usd(r.money) for r in rows)
    low, high = (_told(x) for x in total_saved_interval(r.money for r in rows))
    actual = bill_usd + compute
    return Report(
        tasks=tasks,
        calls=len(outcomes),
        errors=sum(o.error is not None for o in outcomes),
        wall_s=max((o.at_s for o in outcomes), default=0.0),
        first_saving_s=min((o.at_s for o in answered), default=None),
        teacher_cost_usd=actual + net,
        actual_cost_usd=actual,
        net_saving_usd=net,
        net_saving_low_usd=low,
        net_saving_high_usd=high,
        true_agreement=_share(answered),
        target=target,
        delta=delta,
        changed=changed,
        latency_ms={
            route: _median([o.latency_s for o in outcomes if o.route == route]) * 1e3
            for route in ("teacher", "surrogate")
        },
        machine=machine,
        teacher=teacher,
        timeline=slices(outcomes, 5.0),
    )


def _task(watch: DemoWatch, id: str, outcomes: list[AnsweredRequest], delta: float) -> TaskReport:
    task = watch.tasks[id]
    route = watch.routes.get(id) or Route(tenant=task.tenant, task=id)
    version = route.surrogate or route.candidate
    proof = version.proof if version else None
    answered = [o for o in outcomes if o.route == "surrogate"]
    names = Counter(o.task for o in outcomes if o.task)
    low, high = saved_interval(route.money)
    return TaskReport(
        name=task.name or id[:8],
        id=id,
        template=shown(task.templates[0]) if task.templates else task.caller_name or "",
        workload=names.most_common(1)[0][0] if names else None,
        calls=max(route.calls, len(outcomes)),
        labels=route.labels,
        state=route.state,
        surrogate=version.version if version else None,
        encoders=version.encoders if version else None,
        certified_bound=proof.bound if proof else None,
        certified_coverage=proof.coverage if proof else None,
        audits=route.audits,
        agreement=route.agreed / route.audits if route.audits else None,
        agreement_bound=lower_bound(route.agreed, route.audits, delta) if route.audits else None,
        true_agreement=_share(answered),
        replaced_share=len(answered) / len(outcomes) if outcomes else 0.0,
        holds=route.holds,
        demotions=route.demotions,
        saved_usd=saved_usd(route.money),
        saved_low_usd=_told(low),
        saved_high_usd=_told(high),
        self_agreement=route.repeats_agreed / route.repeats if route.repeats else None,
        repeats=route.repeats,
        withheld=route.withheld.reason if route.withheld is not None else None,
        first_saving_s=min((o.at_s for o in answered), default=None),
        history=[(round(m.at_s, 1), m.kind, m.text) for m in watch.moments if m.task == id],
    )


def _told(bound: float) -> float | None:
    """JSON has no infinity."""
    return bound if math.isfinite(bound) else None


def _share(outcomes: list[AnsweredRequest]) -> float | None:
    judged = [o.right for o in outcomes if o.right is not None]
    return sum(judged) / len(judged) if judged else None


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2] if values else 0.0
