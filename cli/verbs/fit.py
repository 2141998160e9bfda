"""`jitr fit`: a surrogate with its certificate from a file, or from a task's collected answers."""

from __future__ import annotations

from math import isfinite
from pathlib import Path
from typing import Literal

import click

from jitr.cli.options import json_option, with_settings
from jitr.cli.output import console, name_lines, print_json, progress
from jitr.cli.table import route_of, rows
from jitr.models.encoders.weights import Weights
from jitr.models.redaction.redaction import Redaction
from jitr.models.training.search.prior import prior_of
from jitr.offline.fit import FitReport, Material, fit_material, from_collected, from_log, tolerance_of
from jitr.offline.left_out import no_labels, only_llm
from jitr.offline.teaching import read
from jitr.schemas.errors import ConfigError, UnavailableError
from jitr.schemas.settings import Settings
from jitr.schemas.trainings import Limits


@click.command()
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--task", help="Id of a task whose answers were collected; with FILE, a task of that log.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the surrogate.  [default: surrogate]",
)
@click.option(
    "--proof",
    type=click.Choice(["split", "loo"]),
    default="split",
    show_default=True,
    help="Prove on the latest rows (20 to 35%), held back, or train on all and measure by leave-one-out.",
)
@click.option("--target", default=0.95, show_default=True, type=click.FloatRange(0.5, 0.999))
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    help="Numbers no further apart agree.  [default: the policy's]",
)
@click.option("--delta", default=0.05, show_default=True, type=click.FloatRange(0.0001, 0.5))
@click.option("--max-train-s", default=600.0, show_default=True, help="CPU seconds to search and train.")
@click.option(
    "--max-latency-ms", default=50.0, show_default=True, help="CPU milliseconds of an answer, one core (p99)."
)
@click.option("--max-ram-mb", default=512.0, show_default=True, help="Resident megabytes.")
@click.option(
    "--weights",
    multiple=True,
    envvar="JITR_WEIGHTS",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with more encoders; repeatable.",
)
@click.option(
    "--like",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Surrogate of a similar task: what did well there goes first.  [default: what --out holds]",
)
@click.option("--seed", default=0, show_default=True)
@json_option
@with_settings
def fit(
    settings: Settings,
    file: Path | None,
    task: str | None,
    out: Path | None,
    proof: Literal["split", "loo"],
    target: float,
    tolerance: float | None,
    delta: float,
    max_train_s: float,
    max_latency_ms: float,
    max_ram_mb: float,
    weights: tuple[Path, ...],
    like: Path | None,
    seed: int,
    as_json: bool,
) -> int:
    """Train a surrogate from FILE, prove it, and write it with its certificate.

    FILE is JSON lines (also .gz), each an input with its answer (`input`, `answer`) or a call (`messages`,
    `response`; an OpenAI pair too). Without FILE, --task takes what `jitr worker` collected of a task, since
    the last promise that was broken. The exit code is 1 where nothing could be proved; an older certified
    surrogate then stays where it is. Every look at rows costs: who fits again on rows, or some of them, that
    were asked for a proof before has half of the delta of the look before. The folder remembers which they
    were.

    Limits of time count CPU time: a busy machine refuses no surrogate.
    """
    if tolerance is not None and not isfinite(tolerance):
        raise ConfigError(f"--tolerance {tolerance:g}: give a number of 0 or more")
    material = _material(settings, file, task, tolerance)
    kind = material.dataset.kind
    if tolerance is not None and kind not in ("number", "json"):
        click.echo(f"--tolerance has no effect: the answers are read as {kind}", err=True)
    with progress(as_json) as bar:
        shown = bar.add_task(f"fitting {len(material.dataset)} inputs", total=100)
        report = fit_material(
            material,
            out or Path("surrogate"),
            proof=proof,
            target=target,
            delta=delta,
            limits=Limits(max_latency_ms=max_latency_ms, max_ram_mb=max_ram_mb, max_train_s=max_train_s),
            weights=Weights(weights),
            prior=prior_of(like, same=False) if like is not None else None,
            seed=seed,
            progress=lambda stage, done: bar.update(shown, description=stage, completed=round(100 * done)),
        )
    if as_json:
        print_json(report)
    else:
        _show(report)
    return 0 if report.certificate.proof is not None else 1


def _material(settings: Settings, file: Path | None, task: str | None, tolerance: float | None) -> Material:
    """What there is to learn from: a file, or what was collected of a task."""
    apart = tolerance_of(settings, task or (file.stem if file else ""), tolerance)
    if file is not None:
        taught = read(file, task, Redaction(settings), settings.gateway.harmless)
        name_lines(taught.refused)
        return from_log(file, task, taught, apart)
    if task is None:
        raise ConfigError("give a FILE, or a task with --task")
    return from_collected(settings, task, _since(settings, task), apart)


def _since(settings: Settings, task: str) -> int:
    """Where the answers of today's teacher begin: a promise that was broken says so in the routing table."""
    try:
        return route_of(rows(settings, settings.gateway.tenant), task).since_offset
    except UnavailableError as error:
        click.echo(f"{error} All that was collected is learned, also from before a broken promise.", err=True)
        return 0


def _show(report: FitReport) -> None:
    out = console()
    if report.refused_lines:
        out.print(f"{report.refused_lines:,} lines could not be read and were left out")
    if report.no_labels:
        out.print(f"answers that are no labels: {no_labels(report.no_labels)}")
    if report.only_teacher:
        out.print(f"calls whose like the gateway leaves to the LLM: {only_llm(report.only_teacher)}")
    if report.unparsed:
        out.print(f"{report.unparsed:,} answers are nothing of the kind and were left out")
    ceiling = (
        "no input was asked twice"
        if report.self_agreement is None
        else f"{report.self_agreement:.3f} ({report.conflicts} inputs got answers that do not agree)"
    )
    out.print(
        f"[bold]{report.candidate}[/bold] from {report.rows} inputs with {report.labels} different answers,"
        f" in {report.train_s:.1f} s; {report.size_mb:.1f} MB; {report.p99_ms:.1f} ms an answer (p99)",
        soft_wrap=True,
    )
    out.print(
        f"agreement out of sample, all answers: {report.accuracy:.3f}; the teacher's with itself: {ceiling}"
    )
    out.print(report.certificate.proves, soft_wrap=True)
    if report.kept:
        out.print(
            f"the surrogate that was there has a better certificate and stays; this one is in {report.path}",
            soft_wrap=True,
        )
    else:
        out.print(f"written to {report.path}; `jitr card {report.path}` shows more", soft_wrap=True)
