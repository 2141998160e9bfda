"""Training as one call: parts in, a verified folder out. Runs in a child process of the train agent."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

import jitr
from jitr.models.answers.kinds import in_kind
from jitr.models.answers.styles import style_of
from jitr.models.datasets.examples import Dataset
from jitr.models.datasets.parts import digest_of, read_parts
from jitr.models.encoders.paired import PairedEncoder
from jitr.models.encoders.weights import Weights
from jitr.models.surrogates.artifact.artifact import (
    Budget,
    EncoderRef,
    FieldEntry,
    Lineage,
    Manifest,
    Measured,
    read_manifest,
    read_measured,
    read_payload,
    write_artifact,
)
from jitr.models.surrogates.artifact.card import pages
from jitr.models.surrogates.heads.base import Features
from jitr.models.surrogates.runtime import model_arrays
from jitr.models.training.search.prior import Prior
from jitr.models.training.search.race import Progress, Race, race
from jitr.models.training.search.race_data import Clock
from jitr.schemas.errors import ArtifactError
from jitr.schemas.routes import SurrogateRef
from jitr.schemas.tasks import OutputKind
from jitr.schemas.trainings import Limits, PartRef

# To be raised with every change by which the same data and recipe give other files, or files of another
# form: else a folder that was trained before it is taken again, to be refused where it is to answer.
REVISION = 3
CODE = f"{jitr.__version__}+{REVISION}"


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """What to train, besides the data.

    ``renderings`` maps labels to the teacher's usual way to write them. ``encoders`` names those that
    race; None takes every one that is known. ``tolerance`` is how far two numbers may lie apart.
    Rows before ``since_offset`` are left out.
    """

    task: str
    kind: OutputKind = "label"
    renderings: dict[str, str] = {}
    target: float = 0.95
    tolerance: float = 0.0
    encoders: tuple[str, ...] | None = None
    since_offset: int = 0


class TrainingResult(msgspec.Struct, frozen=True, kw_only=True):
    """A trained surrogate: where it lies, what it forecasts, what it took.

    ``version`` is the digest of data, recipe, seed and code; ``digest`` that of the folder's files.
    """

    version: str
    path: str
    digest: str
    manifest: Manifest
    measured: Measured

    def ref(self) -> SurrogateRef:
        """The same as it travels in evidence and routes."""
        return SurrogateRef(
            version=self.version,
            uri=self.path,
            digest=self.digest,
            encoders=self.manifest.encoders,
            labels=self.manifest.rows,
            accuracy=self.manifest.accuracy,
            train_s=self.measured.train_s,
            size_mb=self.measured.size_mb,
            p99_ms=self.measured.p99_ms,
            shares=self.manifest.shares,
            thresholds=self.manifest.thresholds,
            forecast=self.manifest.forecast_agreement,
        )


def training_id(parts: Sequence[PartRef], recipe: Recipe, limits: Limits, seed: int) -> str:
    """Digest of everything that a training depends on: the same twice is trained once.

    Examples
    --------
    >>> a, b = PartRef(url="x", digest="1", rows=5), PartRef(url="y", digest="2", rows=5)
    >>> recipe = Recipe(task="t")
    >>> training_id([a, b], recipe, Limits(), 0) == training_id([b, a], recipe, Limits(), 0)
    True
    """
    whole = msgspec.json.encode((digest_of(parts), recipe, limits, seed, CODE), order="deterministic")
    return hashlib.sha256(whole).hexdigest()[:32]


def train(
    parts: Sequence[PartRef],
    recipe: Recipe,
    limits: Limits,
    out_dir: str | Path,
    seed: int = 0,
    *,
    weights: Weights | None = None,
    clock: Clock = time.process_time,
    progress: Progress | None = None,
    prior: Prior | None = None,
) -> TrainingResult:
    """Read the parts, race, and write the winner to ``<out_dir>/<version>``; if that exists, take it.

    ``prior`` is no part of the version: who it leaves out had clearly lost.

    Raises
    ------
    TrainingError
        The data cannot be read or learned within the limits.
    """
    version = training_id(parts, recipe, limits, seed)
    folder = Path(out_dir) / version
    if (folder / "manifest.json").is_file():
        return load_result(folder, version)
    started = clock()
    dataset = read_parts(parts, recipe.since_offset, recipe.kind, recipe.tolerance)
    digests = tuple(sorted(part.digest for part in parts))
    return train_dataset(
        dataset,
        recipe,
        limits,
        folder,
        seed,
        version=version,
        parts=digests,
        weights=weights,
        clock=clock,
        progress=progress,
        started=started,
        prior=prior,
    )


def train_dataset(
    dataset: Dataset,
    recipe: Recipe,
    limits: Limits,
    folder: str | Path,
    seed: int = 0,
    *,
    version: str | None = None,
    parts: tuple[str, ...] = (),
    weights: Weights | None = None,
    clock: Clock = time.process_time,
    progress: Progress | None = None,
    started: float | None = None,
    prior: Prior | None = None,
) -> TrainingResult:
    """The same from a dataset in memory, into exactly this folder."""
    started = clock() if started is None else started
    folder = Path(folder)
    won = race(
        dataset,
        limits=limits,
        target=recipe.target,
        seed=seed,
        weights=weights or Weights(),
        clock=clock,
        encoders=recipe.encoders,
        tolerance=recipe.tolerance,
        progress=progress,
        prior=prior,
    )
    lineage = Lineage(
        parts=parts,
        dataset=dataset.digest,
        code=CODE,
        seed=seed,
        since_offset=recipe.since_offset,
    )
    version = version or dataset.digest[:32]
    return save(won, dataset, recipe, folder, version, lineage, clock() - started)


def save(
    won: Race,
    dataset: Dataset,
    recipe: Recipe,
    folder: Path,
    version: str,
    lineage: Lineage,
    train_s: float,
    budget: Budget | None = None,
) -> TrainingResult:
    """Write the winner of a race as an artifact, and read it back."""
    manifest = _manifest(won, dataset, recipe, version, lineage)
    if budget is not None:
        manifest = msgspec.structs.replace(manifest, budget=budget)
    measured = Measured(
        train_s=round(train_s, 3), p99_ms=won.p99_ms, race=won.entries, confusion=won.fitted.confusion
    )
    features = won.fitted.model.features
    write_artifact(
        folder,
        manifest,
        model_arrays(won.fitted.model),
        features.ngrams.grams if features.ngrams else None,
        measured,
        lambda measured: pages(manifest, measured, won.fitted, dataset),
    )
    return load_result(folder, version)


def load_result(folder: Path, version: str) -> TrainingResult:
    """What a finished training's folder says, its files verified."""
    manifest, digest = read_manifest(folder)
    if manifest.version != version:
        raise ArtifactError(f"{folder} holds version {manifest.version}, not {version}; give another folder")
    read_payload(folder, manifest)
    return TrainingResult(
        version=version,
        path=str(folder),
        digest=digest,
        manifest=manifest,
        measured=read_measured(folder),
    )


def _manifest(won: Race, dataset: Dataset, recipe: Recipe, version: str, lineage: Lineage) -> Manifest:
    model, forecast = won.fitted.model, won.fitted.forecast
    encoder, partner = _encoders(model.features)
    labels = set(dataset.labels)
    # what was kept when the kind was not known yet stands under another form
    renderings = {in_kind(label, dataset.kind): text for label, text in sorted(recipe.renderings.items())}
    written = {label: text for label, text in renderings.items() if label in labels and label is not None}
    return Manifest(
        version=version,
        task=recipe.task,
        kind=dataset.kind if dataset.kind != "label" else recipe.kind,
        candidate=won.candidate.name,
        encoders=won.candidate.encoder_names,
        encoder=encoder,
        partner=partner,
        fields=tuple(FieldEntry(spec=f.spec, head=f.head.kind) for f in model.fields),
        renderings=written,
        style=style_of(dataset.labels, written),
        files={},
        shares=forecast.shares,
        thresholds=forecast.thresholds,
        forecast_agreement=forecast.agreement,
        accuracy=won.fitted.accuracy,
        rows=len(dataset),
        calls=dataset.calls,
        conflicts=dataset.conflicts,
        self_agreement=dataset.self_agreement,
        lineage=lineage,
    )


def _encoders(features: Features) -> tuple[EncoderRef | None, EncoderRef | None]:
    """What a manifest says of the encoder, and of its partner."""
    encoder, own = features.encoder, features.own_layers
    if encoder is None:
        return None, None
    if isinstance(encoder, PairedEncoder):
        first, partner = (
            EncoderRef(name=e.name, sha256=e.sha256, form=e.form) for e in (encoder.first, encoder.partner)
        )
        return first, partner
    ref = EncoderRef(
        name=encoder.name,
        sha256=encoder.sha256,
        form=encoder.form,
        upper=0 if own is None else own.layers,
        beside=features.beside is not None,
    )
    return ref, None
