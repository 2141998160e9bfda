"""Scan a log: the recurring tasks in it, what they cost, and how much could be replaced; no server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from math import isfinite
from pathlib import Path

import msgspec

from jitr.models.answers.kinds import are_numbers
from jitr.models.economics.saving import saving, total
from jitr.models.redaction.redaction import Redaction
from jitr.models.tasks.finder import FinderPolicy
from jitr.models.tasks.scan import Scan
from jitr.models.tasks.scan import scan as scan_calls
from jitr.models.training.potential import potential
from jitr.offline.left_out import no_labels, only_llm
from jitr.offline.lines import A_TIME, Line, Log, as_log, call_lines, name_of
from jitr.schemas.calls import Call
from jitr.schemas.errors import ConfigError
from jitr.schemas.scan import Potential, ScanReport, ScanTask, UnreadableLine
from jitr.schemas.settings import Settings

_KEPT = 1000
_MONTH_S = 30 * 86_400.0
Progress = Callable[[str, float], None]


def scan(
    log: str | Path | Iterable[Line],
    *,
    settings: Settings | None = None,
    support: int | None = None,
    target: float | None = None,
    tolerance: float | None = None,
    seconds: float = 90.0,
    progress: Progress | None = None,
) -> ScanReport:
    """Find the recurring tasks of a log, add up what they cost, and measure what could be replaced.

    This is what `jitr scan` runs. Nothing is sent anywhere. Of each task with closed answers a quick
    surrogate (n-grams) learns the earlier 70% of the calls and is proved on the later 30%, the dearest task
    first.

    Parameters
    ----------
    log : str, Path or iterable
        A file of JSON lines, plain or gzip'd, or its lines: JSON, objects, or `Call`. A line is a call
        (``model``, ``messages``, ``response``) or an OpenAI pair (``request``, ``response``).
    settings : Settings, optional
        By default from the environment. Its policy says support, target, delta and tolerance.
    support : int, optional
        Calls before a family of prompts is a task, 2 or more.
    target : float, optional
        The share of answers, in (0, 1), that must agree with the LLM's.
    tolerance : float, optional
        Numbers no further apart agree, 0 or more.
    seconds : float
        Most CPU seconds for measuring.
    progress : callable, optional
        Told, now and then, what is done and which share of it, in [0, 1].

    Returns
    -------
    ScanReport
        The dearest tasks first. Lines that cannot be read are left out and counted there.

    Raises
    ------
    ConfigError
        The log holds no call, or ``tolerance`` is no number of 0 or more.
    OSError
        The file cannot be read.

    Examples
    --------
    >>> animals = "ant bee cat cow dog elk fox gnu hen jay kea owl".split()
    >>> lines = [{"model": "m", "response": {"text": "4"}, "messages": [
    ...     {"role": "user", "content": f"How many legs has this animal? Animal: {a}"}]} for a in animals]
    >>> [(task.name, task.calls) for task in scan(lines, support=8).tasks]
    [('many-legs-animal', 12)]
    """
    started = time.perf_counter()
    settings = settings or Settings.load()
    if tolerance is not None and not (isfinite(tolerance) and tolerance >= 0):
        raise ConfigError(f"tolerance={tolerance:g}: give a number of 0 or more")
    log = as_log(log)
    tell = progress or (lambda stage, done: None)
    target = target if target is not None else settings.policy.target
    found, refused, lines = _read(log, settings, support, tell)
    if not found.report.calls:
        first = f"; line {refused[0].line}: {refused[0].reason}" if refused else ""
        raise ConfigError(
            f"{name_of(log)} holds no call{first}; a line is an OpenAI pair (`request`, `response`) or a call"
        )
    measured = _measured(found, settings, target, tolerance, seconds, tell)
    report = _forecast(measured, target, settings.policy.delta)
    return msgspec.structs.replace(
        report, refused_lines=lines, refused=tuple(refused), seconds=time.perf_counter() - started
    )


def has_numbers(task: ScanTask) -> bool:
    """Whether answers of a task are numbers or may hold some, so that a tolerance has an effect."""
    return task.kind in ("number", "json") or are_numbers([label for label, _ in task.labels])


def _read(
    log: Log, settings: Settings, support: int | None, tell: Progress
) -> tuple[Scan, list[UnreadableLine], int]:
    """Find the tasks; the first lines that could not be read, and how many there were."""
    size = max(1, log.stat().st_size) if isinstance(log, Path) else 1
    redact = Redaction(settings)
    refused: list[UnreadableLine] = []
    lines = 0

    def calls() -> Iterator[Call]:
        nonlocal lines
        for call in call_lines(log, settings.gateway.tenant, progress=lambda at: tell("reading", at / size)):
            if isinstance(call, str):
                lines += 1
                number, _, reason = call.removeprefix(f"{name_of(log)}:").partition(": ")
                if len(refused) < _KEPT:
                    refused.append(UnreadableLine(int(number), reason))
            else:
                # as detect does: what is learned is what would be served
                yield redact.call(call)

    policy = FinderPolicy(support=support or settings.policy.support)
    found = scan_calls(calls(), settings.prices, policy=policy, harmless=settings.gateway.harmless)
    tell("reading", 1.0)
    return found, refused, lines


def _measured(
    found: Scan, settings: Settings, target: float, tolerance: float | None, seconds: float, tell: Progress
) -> ScanReport:
    """The report with what a quick surrogate could take of each task, the dearest first."""
    delta = settings.policy.delta
    until = time.process_time() + seconds
    tasks: list[ScanTask] = []
    for task in found.report.tasks:
        tell(f"measuring {task.name[:30]}", len(tasks) / len(found.report.tasks))
        if time.process_time() < until:
            sample, space = found.samples[task.id]
            apart = settings.policy_of(task.tenant, task.id).tolerance if tolerance is None else tolerance
            got = potential(sample.held, space, target=target, delta=delta, tolerance=apart)
            got = _of_all(got, task)
        else:
            got = Potential(reason=f"not measured: {seconds:g} s were used up (--seconds)")
        tasks.append(msgspec.structs.replace(task, potential=got))
    tell("measuring", 1.0)
    return msgspec.structs.replace(found.report, tasks=tuple(tasks))


def _of_all(potential: Potential, task: ScanTask) -> Potential:
    """What holds of the calls that a surrogate may learn from and answer, said of all calls."""
    if task.learnable:
        share = task.learnable / task.calls
        return msgspec.structs.replace(potential, coverage=share * potential.coverage)
    reasons = [f"only the LLM answers such calls: {only_llm(task.only_teacher)}"] if task.only_teacher else []
    if sum(task.only_teacher.values()) < task.calls:
        reasons.append(f"no answer is a label: {no_labels(task.no_labels)}")
    return Potential(reason="; ".join(reasons))


def _forecast(report: ScanReport, target: float, delta: float) -> ScanReport:
    """The report with what replacing would save in a month, or on as many calls again without times."""
    span_s = report.last_seen - report.first_seen
    timed = report.first_seen > A_TIME and span_s > 0
    ahead = _MONTH_S / span_s if timed else 1.0
    tasks = tuple([_saved(task, ahead) for task in report.tasks])
    # what would lose money is left to the LLM
    return msgspec.structs.replace(
        report,
        tasks=tasks,
        target=target,
        delta=delta,
        period="month" if timed else "log",
        period_usd=report.cost_usd * ahead,
        saving=total(t.saving for t in tasks if t.saving.expected > 0),
    )


def _saved(task: ScanTask, ahead: float) -> ScanTask:
    found = saving(
        calls=task.calls,
        ahead=ahead,
        bill_usd=task.cost_usd / task.calls,
        deviation_usd=task.cost_deviation_usd,
        coverage=task.potential.coverage,
        held=task.potential.held,
    )
    return msgspec.structs.replace(task, saving=found)
