"""`jitr scan`: what keeps coming back in a log, what it costs, and how much could be replaced; no server."""

from __future__ import annotations

from math import isfinite
from pathlib import Path

import click
from rich.markup import escape

from jitr.cli.options import json_option, with_settings
from jitr.cli.output import console, name_lines, print_json, progress, table, usd
from jitr.cli.scan_page import page
from jitr.offline.left_out import no_labels, only_llm
from jitr.offline.scan import has_numbers
from jitr.offline.scan import scan as scan_log
from jitr.schemas.errors import ConfigError
from jitr.schemas.scan import ScanReport
from jitr.schemas.settings import Settings


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
    if html is not None and not html.absolute().parent.is_dir():
        raise ConfigError(f"--html {html}: there is no folder {html.parent}")
    if tolerance is not None and not isfinite(tolerance):
        raise ConfigError(f"--tolerance {tolerance:g}: give a number of 0 or more")
    with progress(as_json) as bar:
        shown = bar.add_task("reading", total=100)
        report = scan_log(
            file,
            settings=settings,
            support=support,
            target=target,
            tolerance=tolerance,
            seconds=seconds,
            progress=lambda stage, done: bar.update(
                shown, description=escape(stage), completed=round(100 * done)
            ),
        )
    if tolerance is not None and not any(has_numbers(task) for task in report.tasks):
        click.echo("--tolerance has no effect: no task has numbers for answers", err=True)
    name_lines([f"{file}:{line.line}: {line.reason}" for line in report.refused], report.refused_lines)
    if as_json:
        print_json(report)
    else:
        _show(report, top)
    # what was found is told even where the page cannot be written
    if html is not None:
        html.write_text(page(report, file.name, tuple(notes(report))), encoding="utf-8")
        click.echo(f"written to {html}", err=as_json)


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
            t.potential.reason or " ".join(t.template.split())[:60],
        )
        for t in report.tasks[:top]
    ]
    out = console()
    period = "a month" if report.period == "month" else "such a log"
    columns = [
        "task", "model", ">calls", ">share", ">cost", "answers", ">agrees", ">at least", ">replaceable",
        f">saves {period}", "~why not, or template",
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
