"""`jitr scan`: what keeps coming back in a log, and what it costs; no server needed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from jitr.cli.lines import call_lines
from jitr.cli.options import json_option, with_settings
from jitr.cli.output import console, print_json, progress, table, usd
from jitr.models.tasks.finder import FinderPolicy
from jitr.models.tasks.scan import ScanReport
from jitr.models.tasks.scan import scan as scan_calls
from jitr.schemas.calls import Call
from jitr.schemas.errors import ConfigError
from jitr.schemas.settings import Settings

SHOWN = 20  # complaints about lines


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--support", default=None, type=click.IntRange(min=2), help="Calls before a family is a task.")
@click.option("--top", default=30, show_default=True, help="Show so many tasks.")
@json_option
@with_settings
def scan(settings: Settings, file: Path, support: int | None, top: int, as_json: bool) -> int:
    """Read a log of calls (JSON lines, also .gz) and show the recurring tasks in it and what they cost.

    A line is a call (`model`, `messages`, `response` ...) or an OpenAI pair (`request`, `response`). Nothing
    is sent anywhere. Lines that cannot be read are named and left out; then the exit code is 1.
    """
    refused = 0

    with progress(as_json) as bar:
        shown = bar.add_task("scanning", total=None)

        def calls() -> Iterator[Call]:
            nonlocal refused
            for call in call_lines(file, settings.gateway.tenant):
                if isinstance(call, str):
                    refused += 1
                    if refused <= SHOWN:
                        click.echo(call, err=True)
                else:
                    yield call

        policy = FinderPolicy(support=support or settings.policy.support)
        report = scan_calls(
            calls(), settings.prices, progress=lambda n: bar.update(shown, completed=n), policy=policy
        )
    if refused > SHOWN:
        click.echo(f"... and {refused - SHOWN} more lines that cannot be read", err=True)
    if not report.calls:
        raise ConfigError(f"{file} holds no call; a line is an OpenAI pair (`request`, `response`) or a call")
    if as_json:
        print_json(report)
    else:
        _show(report, top)
    return 1 if refused else 0


def _show(report: ScanReport, top: int) -> None:
    rows = [
        (
            t.name,
            t.model,
            t.calls,
            f"{t.share:.1%}",
            usd(t.cost_usd),
            t.kind,
            ", ".join(f"{label} {n}" for label, n in t.labels[:3]) if t.kind == "label" else "",
            " ".join(t.skeleton.split())[:60],
        )
        for t in report.tasks[:top]
    ]
    out = console()
    columns = ["task", "model", ">calls", ">share", ">cost", "answers", "~most frequent", "~skeleton"]
    out.print(table(f"{len(report.tasks)} recurring tasks in {report.calls:,} calls", columns, rows))
    replaceable = [t for t in report.tasks if t.kind in ("label", "labels", "json", "number")]
    out.print(
        f"{usd(report.cost_usd)} in all; {usd(sum(t.cost_usd for t in replaceable))} in {len(replaceable)} "
        f"tasks with a closed set of answers, which a surrogate could take; "
        f"{report.unmatched_share:.1%} of calls are in no task.",
        soft_wrap=True,
    )
    if report.estimated_tokens:
        out.print(
            f"{report.estimated_tokens:,} calls without token counts: four characters taken for a token."
        )
    if report.unpriced:
        out.print(
            f'{report.unpriced:,} calls without a price: add `[prices."model"]` to the settings.',
            markup=False,
        )
