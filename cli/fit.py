"""`jitr fit`: a surrogate with its certificate from a file, or from a task's collected answers."""

from __future__ import annotations

from math import isfinite
from pathlib import Path
from typing import Literal

import click
import msgspec

from jitr.cli.left_out import no_labels, only_llm
from jitr.cli.lines import name_lines
from jitr.cli.options import json_option, with_settings
from jitr.cli.output import console, print_json, progress
from jitr.cli.table import route_of, rows
from jitr.cli.teaching import Teaching, read
from jitr.models.bases.weights import Weights
from jitr.models.datasets.examples import Dataset
from jitr.models.datasets.parts import list_parts, read_parts
from jitr.models.redaction.redaction import Redaction
from jitr.models.search.prior import Prior, prior_of
from jitr.models.surrogates.artifact import read_manifest
from jitr.models.surrogates.certificate import Certificate
from jitr.models.surrogates.looks import Looks
from jitr.models.surrogates.offline import Fit, fit_offline
from jitr.models.surrogates.train import Recipe
from jitr.models.tasks.extract import space_of
from jitr.schemas.errors import ArtifactError, ConfigError, NotFoundError, UnavailableError
from jitr.schemas.settings import Settings
from jitr.schemas.trainings import Limits


class FitReport(msgspec.Struct, frozen=True, kw_only=True):
    """What `jitr fit --json` prints.

    ``kept``: an older surrogate, whose certificate is better, stays. ``refused_lines`` could not be read,
    ``unparsed`` answers are nothing of the kind, and ``no_labels`` counts calls whose answers teach nothing,
    by why (`jitr.schemas.labels`), and ``only_teacher`` those that the gateway leaves to the LLM
    (`jitr.schemas.only_teacher`): they teach, but no surrogate will be asked for their like.
    """

    path: str
    kept: bool
    candidate: str
    rows: int
    labels: int
    accuracy: float
    self_agreement: float | None
    conflicts: int
    train_s: float
    size_mb: float
    p99_ms: float
    certificate: Certificate
    refused_lines: int = 0
    unparsed: int = 0
    no_labels: dict[str, int] = {}
    only_teacher: dict[str, int] = {}


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
    help="Folder with more base models; repeatable.",
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
    name = task or (file.stem if file else "")
    asked = tolerance
    if asked is not None and not isfinite(asked):
        raise ConfigError(f"--tolerance {asked:g}: give a number of 0 or more")
    if tolerance is None:
        tolerance = settings.policy_of(settings.gateway.tenant, name).tolerance
    since = _since(settings, task) if file is None and task is not None else 0
    dataset, taught, parts = _dataset(settings, file, task, since, tolerance)
    if asked is not None and dataset.kind not in ("number", "json"):
        click.echo(f"--tolerance has no effect: the answers are read as {dataset.kind}", err=True)
    recipe = Recipe(
        task=name,
        kind=dataset.kind,
        renderings=dataset.renderings,
        target=target,
        tolerance=tolerance,
        since_offset=since,
    )
    out = out or Path("surrogate")
    prior = prior_of(like, same=False) if like is not None else _before(out, task)
    limits = Limits(max_latency_ms=max_latency_ms, max_ram_mb=max_ram_mb, max_train_s=max_train_s)
    with progress(as_json) as bar:
        shown = bar.add_task(f"fitting {len(dataset)} inputs", total=100)
        made = fit_offline(
            dataset,
            recipe,
            limits,
            out,
            proof=proof,
            delta=delta,
            seed=seed,
            parts=parts,
            weights=Weights(weights),
            prior=prior,
            progress=lambda stage, done: bar.update(shown, description=stage, completed=round(100 * done)),
        )
    report = _report(made, dataset, taught)
    if as_json:
        print_json(report)
    else:
        _show(report)
    return 0 if made.certificate.proof is not None else 1


def _before(out: Path, task: str | None) -> Prior:
    """What the surrogate that is to be replaced tells; names of files do not say that a task is the same."""
    try:
        return prior_of(out, same=task is not None and read_manifest(out)[0].task == task)
    except ArtifactError:
        return Prior()


def _since(settings: Settings, task: str) -> int:
    """Where the answers of today's teacher begin: a promise that was broken says so in the routing table."""
    try:
        return route_of(rows(settings, settings.gateway.tenant), task).since_offset
    except UnavailableError as error:
        click.echo(f"{error} All that was collected is learned, also from before a broken promise.", err=True)
        return 0


def _dataset(
    settings: Settings, file: Path | None, task: str | None, since: int, tolerance: float
) -> tuple[Dataset, Teaching, tuple[str, ...]]:
    """What there is to learn from, what a file taught, and the digests of what was collected."""
    if file is not None:
        taught = read(file, task, Redaction(settings), settings.gateway.harmless)
        name_lines(taught.refused)
        if not taught.examples:
            raise ConfigError(f"{file} holds no answer that teaches{_why(taught)}; see `jitr fit --help`")
        return Dataset.from_examples(taught.examples, taught.kind, tolerance), taught, ()
    if task is None:
        raise ConfigError("give a FILE, or a task with --task")
    root = f"{settings.state.root.rstrip('/')}/{settings.kafka.prefix}datasets"
    parts = list_parts(root, task)
    if not parts:
        raise NotFoundError(
            f"nothing was collected of task {task!r} under {root}; `jitr tasks list` shows ids"
        )
    # answers kept before their kind was known tell it together with the others
    kind = space_of(read_parts(parts, since).labels).kind
    dataset = read_parts(parts, since, kind, tolerance)
    return dataset, Teaching(), tuple(sorted(part.digest for part in parts))


def _why(taught: Teaching) -> str:
    """Why a file teaches nothing."""
    if taught.no_labels:
        return f": {no_labels(taught.no_labels)}"
    return f": {taught.refused[0].partition(': ')[2]}" if taught.refused else ""


def _report(made: Fit, dataset: Dataset, taught: Teaching) -> FitReport:
    manifest, measured = made.result.manifest, made.result.measured
    return FitReport(
        path=made.result.path,
        kept=made.kept,
        candidate=manifest.candidate,
        rows=manifest.rows,
        labels=len(set(dataset.labels)),
        accuracy=manifest.accuracy,
        self_agreement=dataset.self_agreement,
        conflicts=dataset.conflicts,
        train_s=measured.train_s,
        size_mb=measured.size_mb,
        p99_ms=measured.p99_ms,
        # the rows that it remembers are for the next fit, and may be many
        certificate=msgspec.structs.replace(made.certificate, looks=Looks()),
        refused_lines=len(taught.refused),
        unparsed=dataset.unparsed,
        no_labels=dict(taught.no_labels),
        only_teacher=dict(taught.only_teacher),
    )


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
