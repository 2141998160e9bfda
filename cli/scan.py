"""`jitr scan`: what keeps coming back in a log, what it costs, and how much could be replaced; no server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from math import isfinite
from pathlib import Path

import click
import msgspec
from rich.markup import escape
from rich.progress import Progress

from jitr.cli.left_out import no_labels, only_llm
from jitr.cli.lines import A_TIME, call_lines, name_lines
from jitr.cli.options import json_option, with_settings
from jitr.cli.output import console, print_json, progress, table, usd
from jitr.cli.scan_page import page
from jitr.models.redaction.redaction import Redaction
from jitr.models.saving import saving, total
from jitr.models.surrogates.potential import potential
from jitr.models.tasks.finder import FinderPolicy
from jitr.models.tasks.kinds import are_numbers
from jitr.models.tasks.scan import Scan
from jitr.models.tasks.scan import scan as scan_calls
from jitr.schemas.calls import Call
from jitr.schemas.errors import ConfigError
from jitr.schemas.scan import Potential, Refused, ScanReport, ScanTask
from jitr.schemas.settings import Settings

_KEPT = 1000
_MONTH_S = 30 * 86_400.0


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--html", type=click.Path(dir_okay=False, path_type=Path), help="Write a page for a browser too."
)
@click.option("--support", default=None, type=click.IntRange(min=2), help="Calls before a family is a task.")
@click.option("--target", default=None, type=click.FloatRange(0.5, 0.999), help="Agreement to prove.")
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    help="Numbers no further apart agree.  [default: the policy's]",
)
@click.option("--seconds", default=90.0, show_default=True, help="Most CPU seconds for measuring tasks.")
@click.option("--top", default=30, show_default=True, help="Show so many tasks.")
@json_option
@with_settings
def scan(
    settings: Settings,
    file: Path,
    html: Path | None,
    support: int | None,
    target: float | None,
    tolerance: float | None,
    seconds: float,
    top: int,
    as_json: bool,
) -> None:
    """Read a log of calls (JSON lines, also .gz) and show its recurring tasks and what they cost.

    A line is a call in any dialect that `jitr publish` takes: a call (`model`, `messages`, `response` ...) or
    an OpenAI pair (`request`, `response`). Nothing is sent anywhere. For each task with closed answers a
    quick surrogate (n-grams) learns from the earlier 70% of its calls and is proved on the later 30%; jitr's
    own training has better candidates. The dearest tasks are measured first, until --seconds are used. Lines
    that cannot be read are named and left out; answers that are no labels (cut short, filtered, without text,
    tool calls) are counted, teach nothing, and their calls stay with the LLM.
    """
    started = time.perf_counter()
    if html is not None and not html.absolute().parent.is_dir():
        raise ConfigError(f"--html {html}: there is no folder {html.parent}")
    if tolerance is not None and not isfinite(tolerance):
        raise ConfigError(f"--tolerance {tolerance:g}: give a number of 0 or more")
    refused: list[Refused] = []
    target = target if target is not None else settings.policy.target
    with progress(as_json) as bar:
        found, lines = _read(settings, file, support, refused, bar)
        if not found.report.calls:
            first = f"; line {refused[0].line}: {refused[0].reason}" if refused else ""
            raise ConfigError(
                f"{file} holds no call{first}; a line is an OpenAI pair (`request`, `response`) or a call"
            )
        measured = _measured(found, settings, target, tolerance, seconds, bar)
    if tolerance is not None and not any(_has_numbers(task) for task in measured.tasks):
        click.echo("--tolerance has no effect: no task has numbers for answers", err=True)
    report = _forecast(measured, target, settings.policy.delta)
    report = msgspec.structs.replace(
        report, refused_lines=lines, refused=tuple(refused), seconds=time.perf_counter() - started
    )
    name_lines([f"{file}:{line.line}: {line.reason}" for line in report.refused], lines)
    if as_json:
        print_json(report)
    else:
        _show(report, top)
    # what was found is told even where the page cannot be written
    if html is not None:
        html.write_text(page(report, file.name, tuple(notes(report))), encoding="utf-8")
        click.echo(f"written to {html}", err=as_json)


def _read(
    settings: Settings, file: Path, support: int | None, refused: list[Refused], bar: Progress
) -> tuple[Scan, int]:
    """Find the tasks; how many lines could not be read."""
    size = max(1, file.stat().st_size)
    shown = bar.add_task("reading", total=100)
    lines = 0

    redact = Redaction(settings)

    def calls() -> Iterator[Call]:
        nonlocal lines
        read = lambda at: bar.update(shown, completed=100 * at // size)  # noqa: E731
        for call in call_lines(file, settings.gateway.tenant, progress=read):
            if isinstance(call, str):
                lines += 1
                number, _, reason = call.removeprefix(f"{file}:").partition(": ")
                if len(refused) < _KEPT:
                    refused.append(Refused(int(number), reason))
            else:
                # as detect does: what is learned is what would be served
                yield redact.call(call)

    policy = FinderPolicy(support=support or settings.policy.support)
    found = scan_calls(calls(), settings.prices, policy=policy, harmless=settings.gateway.harmless)
    bar.update(shown, completed=100)
    return found, lines


def _measured(
    found: Scan, settings: Settings, target: float, tolerance: float | None, seconds: float, bar: Progress
) -> ScanReport:
    """The report with what a quick surrogate could take of each task, the dearest first."""
    delta = settings.policy.delta
    shown = bar.add_task("measuring", total=len(found.report.tasks))
    until = time.process_time() + seconds
    tasks = []
    for task in found.report.tasks:
        bar.update(shown, description=f"measuring {escape(task.name[:30])}")
        if time.process_time() < until:
            sample, space = found.samples[task.id]
            apart = settings.policy_of(task.tenant, task.id).tolerance if tolerance is None else tolerance
            got = potential(sample.held, space, target=target, delta=delta, tolerance=apart)
            got = _of_all(got, task)
        else:
            got = Potential(reason=f"not measured: {seconds:g} s were used up (--seconds)")
        tasks.append(msgspec.structs.replace(task, potential=got))
        bar.advance(shown)
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


def _has_numbers(task: ScanTask) -> bool:
    return task.kind in ("number", "json") or are_numbers([label for label, _ in task.labels])


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


def _show(report: ScanReport, top: int) -> None:
    rows = [
        (
            t.name,
            t.model,
            t.calls,
            f"{t.share:.1%}",
            usd(t.cost_usd),
            t.kind,
            f"{t.potential.agreement:.2f}" if t.potential.agreement is not None else "",
            f"{t.potential.agreement_low:.2f}" if t.potential.agreement_low is not None else "",
            f"{t.potential.coverage:.0%}" if t.potential.coverage else "",
            usd(t.saving.expected) if t.saving.expected > 0 else "",
            t.potential.reason or " ".join(t.skeleton.split())[:60],
        )
        for t in report.tasks[:top]
    ]
    out = console()
    period = "a month" if report.period == "month" else "such a log"
    columns = [
        "task", "model", ">calls", ">share", ">cost", "answers", ">agrees", ">at least", ">replaceable",
        f">saves {period}", "~why not, or skeleton",
    ]  # fmt: skip
    out.print(table(f"{len(report.tasks)} recurring tasks in {report.calls:,} calls", columns, rows))
    proved = [t for t in report.tasks if t.saving.expected > 0]
    out.print(
        f"{usd(report.cost_usd)} in this log, {usd(report.period_usd)} {period}; at {report.target:g} "
        f"agreement proved with confidence {1 - report.delta:g}, {len(proved)} tasks would save "
        f"{usd(report.saving.expected)} {period} ({usd(report.saving.low)} to {usd(report.saving.high)}); "
        f"{report.unmatched_share:.1%} of calls are in no task.",
        soft_wrap=True,
    )
    for note in notes(report):
        out.print(note, markup=False, soft_wrap=True)


def notes(report: ScanReport) -> list[str]:
    """What a reader should know of the figures."""
    said = []
    if report.refused_lines:
        first = ", ".join([str(line.line) for line in report.refused[:5]])
        more = " ..." if report.refused_lines > 5 else ""
        said.append(
            f"Lines that could not be read and are left out: {report.refused_lines:,} ({first}{more})."
        )
    if report.only_teacher:
        said.append(f"Calls that the gateway leaves to the LLM: {only_llm(report.only_teacher)}.")
    if report.no_labels:
        said.append(
            "Answers that are no labels, so that those calls stay with the LLM: "
            f"{no_labels(report.no_labels)}."
        )
    if report.estimated_tokens:
        said.append(
            f"{report.estimated_tokens:,} calls without token counts: theirs are estimated from the texts."
        )
    if report.unpriced:
        said.append(f'{report.unpriced:,} calls without a price: add `[prices."model"]` to the settings.')
    span_s = report.last_seen - report.first_seen
    if report.period == "log":
        said.append("Calls have no times: the saving is for as many calls again, in place of a month.")
    elif span_s < 7 * 86_400:
        said.append(
            f"The log spans {span_s / 86_400:.1f} days, taken for typical of a month: days and weeks differ."
        )
    return said
