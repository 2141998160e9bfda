"""`jitr demo`: the whole loop on this machine."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from jitr.cli.output import console, print_json, table, usd
from jitr.sandbox.demo.report import Report
from jitr.sandbox.demo.run import Options, run


@click.command()
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=None,
    help="Folder of recorded data: its answers play the teacher.",
)
@click.option("--kafka", metavar="HOST:PORT", help="Your Kafka, in the place of the development broker.")
@click.option("--redis", metavar="URL", help="Your Redis, in the place of one of our own.")
@click.option(
    "--calls", default=15_000, show_default=True, type=click.IntRange(min=100), help="Requests to send."
)
@click.option("--rate", default=60.0, show_default=True, type=click.FloatRange(1), help="Requests a second.")
@click.option("--seed", default=0, show_default=True, help="Of the traffic.")
@click.option("--drift/--no-drift", default=True, show_default=True, help="Change the teacher's mind midway.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".jitr/demo"),
    show_default=True,
    help="Where the report, logs and state go.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON, and nothing else.")
def demo(
    data: Path | None,
    kafka: str | None,
    redis: str | None,
    calls: int,
    rate: float,
    seed: int,
    drift: bool,
    out: Path,
    as_json: bool,
) -> None:
    """Run the whole loop on this machine: no server, no key, no network needed.

    Starts a development Kafka broker, Redis, a SIMULATED LLM, a worker with all agents and the gateway on
    loopback; sends mixed traffic through the gateway with the stock `openai` client; shows tasks found,
    surrogates trained and proved, routes switched and dollars saved; then the LLM changes its mind about
    one task, and the route is held and demoted. Ends with a report (HTML and JSON). Ctrl-C stops it.

    Approval is automatic here; outside the demo nothing changes an answer until someone approves.
    """
    options = Options(
        out=out,
        calls=calls,
        rate=rate,
        seed=seed,
        kafka=kafka,
        redis=redis,
        data=data,
        drift=drift,
        live=not as_json,
    )
    report = run(options, console(stderr=True))
    if as_json:
        print_json(report)
    else:
        show(report, console())
        click.echo(f"report: {(out / 'report.html').resolve()}")


def show(report: Report, out: Console) -> None:
    """The closing table."""
    rows = [
        (
            t.name[:40],
            t.state,
            t.encoders or "",
            t.calls,
            f"{t.certified_bound:.3f}" if t.certified_bound is not None else "",
            f"{t.agreement:.3f} (>= {t.agreement_bound:.3f})" if t.agreement is not None else "",
            f"{t.true_agreement:.3f}" if t.true_agreement is not None else "",
            f"{t.replaced_share:.0%}",
            f"{t.holds}/{t.demotions}",
            usd(t.saved_usd) if t.replaced_share else "",
            f"{t.first_saving_s:.0f} s" if t.first_saving_s is not None else "",
        )
        for t in report.tasks
    ]
    columns = [
        "task",
        "state",
        "encoders",
        ">calls",
        ">certified",
        ">audited agreement",
        ">true",
        ">replaced",
    ]
    columns += [">holds/demotions", ">saved", ">first saving"]
    out.print(table(f"{len(rows)} tasks, target {report.target:.2f}", columns, rows))
    first = f"{report.first_saving_s:.0f} s" if report.first_saving_s is not None else "none"
    out.print(
        f"{report.calls} calls in {report.wall_s:.0f} s, {report.errors} errors; first saving after {first}; "
        f"the LLM alone {usd(report.teacher_cost_usd)}, with jitr {usd(report.actual_cost_usd)}, "
        f"net saving {usd(report.net_saving_usd)}; "
        f"true agreement of surrogate answers {report.true_agreement or 0:.4f} ({report.teacher})",
        soft_wrap=True,
    )
