"""Fit a surrogate from a log, or from a task's collected answers, prove it and write it; no server."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Literal

import msgspec

from jitr.models.answers.labelling import space_of
from jitr.models.datasets.examples import Dataset
from jitr.models.datasets.parts import list_parts, read_parts
from jitr.models.encoders.weights import Weights
from jitr.models.redaction.redaction import Redaction
from jitr.models.surrogates.artifact.artifact import read_manifest
from jitr.models.surrogates.artifact.certificate import Certificate
from jitr.models.surrogates.artifact.proof_history import ProofHistory
from jitr.models.training.offline import Fit, fit_offline
from jitr.models.training.search.prior import Prior, prior_of
from jitr.models.training.search.race import Progress
from jitr.models.training.train import Recipe
from jitr.offline.left_out import no_labels
from jitr.offline.lines import Line, Log, as_log, name_of
from jitr.offline.teaching import Teaching, read
from jitr.schemas.errors import ArtifactError, ConfigError, NotFoundError
from jitr.schemas.settings import Settings
from jitr.schemas.trainings import Limits


class FitReport(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a fit; `jitr fit --json` prints it.

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


@dataclass(frozen=True)
class Material:
    """What a surrogate is fitted on.

    Attributes
    ----------
    name : str
        The task's id or name, or the name of the file.
    dataset : Dataset
    taught : Teaching
        What a log taught; empty for collected answers.
    tolerance : float
        Numbers no further apart agree.
    parts : tuple of str
        Digests of collected parts, for the lineage.
    since_offset : int
        Where the collected answers of today's teacher begin.
    is_task : bool
        Whether the name is a task's: names of files do not say that a task is the same.
    """

    name: str
    dataset: Dataset
    taught: Teaching
    tolerance: float
    parts: tuple[str, ...] = ()
    since_offset: int = 0
    is_task: bool = False


def fit(
    log: str | Path | Iterable[Line],
    out: str | Path = "surrogate",
    *,
    task: str | None = None,
    settings: Settings | None = None,
    proof: Literal["split", "loo"] = "split",
    target: float = 0.95,
    delta: float = 0.05,
    tolerance: float | None = None,
    limits: Limits | None = None,
    weights: Sequence[str | Path] = (),
    like: str | Path | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> FitReport:
    """Train a surrogate from a log, prove it, and write it with its certificate into a folder.

    This is what `jitr fit` runs. `jitr.Surrogate.load` loads the folder.

    Parameters
    ----------
    log : str, Path or iterable
        A file of JSON lines, plain or gzip'd, or its lines: JSON, objects, or `Call`. A line is an input with
        its answer (``input``, ``answer``) or a call (``messages``, ``response``; an OpenAI pair too).
    out : str or Path
        Folder of the surrogate. A certified one that it holds already is replaced only by another one.
    task : str, optional
        A task of a log of calls (name, id or its start); needed where the log holds several.
    settings : Settings, optional
        By default from the environment.
    proof : "split" or "loo"
        Prove on the latest rows (20 to 35%), held back, or train on all and only measure by leave-one-out.
    target : float
        The share of answers, in (0, 1), that must agree with the LLM's.
    delta : float
        Chance in (0, 1) that the certificate is wrong.
    tolerance : float, optional
        Numbers no further apart agree, 0 or more; by default the policy's.
    limits : Limits, optional
        CPU seconds to train (600), CPU milliseconds of an answer (50, p99), resident megabytes (512).
    weights : sequence of str or Path
        Folders with more encoders.
    like : str or Path, optional
        Surrogate of a similar task: what did well there is tried first.
    seed : int
    progress : callable, optional
        Told, now and then, what is done and which share of it, in [0, 1].

    Returns
    -------
    FitReport
        Its ``certificate.proof`` is None where nothing could be proved, and ``certificate.reason`` says why.

    Raises
    ------
    ConfigError
        The log holds nothing that teaches, or ``out`` holds something that must not be removed.
    NotFoundError
        The log has no such task, or several and none is named.
    TrainingError
        Too few rows, answers that are not closed, or no candidate within the limits.
    """
    settings = settings or Settings.load()
    log = as_log(log if isinstance(log, str | Path) else list(log))  # it is read more than once
    tolerance = tolerance_of(settings, task or file_name(log), tolerance)
    taught = read(log, task, Redaction(settings), settings.gateway.harmless)
    material = from_log(log, task, taught, tolerance)
    prior = prior_of(Path(like), same=False) if like is not None else None
    return fit_material(
        material,
        Path(out),
        proof=proof,
        target=target,
        delta=delta,
        limits=limits or Limits(),
        weights=Weights([Path(folder) for folder in weights]),
        prior=prior,
        seed=seed,
        progress=progress,
    )


def tolerance_of(settings: Settings, task: str, tolerance: float | None = None) -> float:
    """How far apart two numbers may lie and still agree: as given, or else as the policy says.

    Raises
    ------
    ConfigError
        It is no number of 0 or more.
    """
    if tolerance is None:
        return settings.policy_of(settings.gateway.tenant, task).tolerance
    if not (isfinite(tolerance) and tolerance >= 0):
        raise ConfigError(f"tolerance={tolerance:g}: give a number of 0 or more")
    return tolerance


def from_log(log: Log, task: str | None, taught: Teaching, tolerance: float) -> Material:
    """What a log teaches (of one task, where it is named), as a dataset.

    Raises
    ------
    ConfigError
        No answer of it teaches.
    """
    if not taught.examples:
        raise ConfigError(f"{name_of(log)} holds no answer that teaches{_why(taught)}; see `jitr fit --help`")
    dataset = Dataset.from_examples(taught.examples, taught.kind, tolerance)
    return Material(task or file_name(log), dataset, taught, tolerance, is_task=task is not None)


def file_name(log: Log) -> str:
    """What a surrogate of a log is called where no task is named.

    Examples
    --------
    >>> file_name(Path("logs/intents.jsonl"))
    'intents'
    """
    return log.stem if isinstance(log, Path) else name_of(log)


def from_collected(settings: Settings, task: str, since_offset: int, tolerance: float) -> Material:
    """What `jitr worker` collected of a task, from an offset on, as a dataset.

    Raises
    ------
    NotFoundError
        Nothing was collected of it.
    """
    root = f"{settings.state.root.rstrip('/')}/{settings.kafka.prefix}datasets"
    parts = list_parts(root, task)
    if not parts:
        raise NotFoundError(
            f"nothing was collected of task {task!r} under {root}; `jitr tasks list` shows ids"
        )
    # answers kept before their kind was known tell it together with the others
    kind = space_of(read_parts(parts, since_offset).labels).kind
    dataset = read_parts(parts, since_offset, kind, tolerance)
    digests = tuple(sorted(part.digest for part in parts))
    return Material(task, dataset, Teaching(), tolerance, digests, since_offset, is_task=True)


def fit_material(
    material: Material,
    out: Path,
    *,
    proof: Literal["split", "loo"],
    target: float,
    delta: float,
    limits: Limits,
    weights: Weights,
    prior: Prior | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> FitReport:
    """Train, prove and write a surrogate; `fit` explains the parameters.

    Without a prior, what ``out`` holds tells which candidates go first.
    """
    dataset = material.dataset
    recipe = Recipe(
        task=material.name,
        kind=dataset.kind,
        renderings=dataset.renderings,
        target=target,
        tolerance=material.tolerance,
        since_offset=material.since_offset,
    )
    made = fit_offline(
        dataset,
        recipe,
        limits,
        out,
        proof=proof,
        delta=delta,
        seed=seed,
        parts=material.parts,
        weights=weights,
        prior=prior if prior is not None else _before(out, material),
        progress=progress,
    )
    return _report(made, dataset, material.taught)


def _before(out: Path, material: Material) -> Prior:
    """What the surrogate that is to be replaced tells."""
    try:
        return prior_of(out, same=material.is_task and read_manifest(out)[0].task == material.name)
    except ArtifactError:
        return Prior()


def _why(taught: Teaching) -> str:
    """Why a log teaches nothing."""
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
        certificate=msgspec.structs.replace(made.certificate, proof_history=ProofHistory()),
        refused_lines=len(taught.refused),
        unparsed=dataset.unparsed,
        no_labels=dict(taught.no_labels),
        only_teacher=dict(taught.only_teacher),
    )
