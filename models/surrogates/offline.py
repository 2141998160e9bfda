"""From a dataset to a surrogate with its certificate, without a stream: what `jitr fit` does.

There are no next calls, so the proof holds rows back (``split``): the latest, whose near-duplicates do not
train. ``loo`` trains on all rows and only measures. An old surrogate stays in its folder until the new one is
certified.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

import jitr
from jitr.models.bases.weights import Weights
from jitr.models.datasets.examples import Dataset
from jitr.models.datasets.splits import later_split
from jitr.models.promise.held_back import fine_thresholds, prove, share_held_back
from jitr.models.search.race import LEAST_ROWS, Progress, race
from jitr.models.search.track import Clock
from jitr.models.surrogates.artifact import Budget, Lineage
from jitr.models.surrogates.certificate import (
    Certificate,
    LookedAt,
    read_certificate,
    rows_digest,
    slices,
    write_certificate,
)
from jitr.models.surrogates.runtime import Surrogate
from jitr.models.surrogates.train import Recipe, TrainingResult, save
from jitr.models.tasks.agreement import same
from jitr.schemas.errors import TrainingError
from jitr.schemas.trainings import Limits

_SPENT = Budget(refits="halved")


@dataclass(frozen=True)
class Fit:
    """A surrogate and its certificate; ``kept`` says that the folder still holds an older surrogate."""

    result: TrainingResult
    certificate: Certificate
    kept: bool


def fit_offline(
    dataset: Dataset,
    recipe: Recipe,
    limits: Limits,
    folder: Path,
    *,
    proof: Literal["split", "loo"] = "split",
    delta: float = 0.05,
    seed: int = 0,
    weights: Weights | None = None,
    clock: Clock = time.process_time,
    progress: Progress | None = None,
) -> Fit:
    """Race, prove, and put the winner into ``folder``.

    Parameters
    ----------
    dataset : Dataset
    recipe : Recipe
        Its target is what is to be proved.
    limits : Limits
    folder : Path
        A surrogate that it holds already is replaced only by one that has a proof.
    proof : "split" or "loo"
    delta : float
        Chance in (0, 1) that the certificate is wrong; halved for every earlier certificate that the same
        rows gave in this folder.

    Raises
    ------
    TrainingError
        Too few rows, answers that are not closed, or no candidate within the limits.
    """
    weights = weights or Weights()
    known, held = dataset, None
    if proof == "split":
        spare = 1 - LEAST_ROWS / max(1, len(dataset))  # enough must be left to train on
        share = max(0.2, min(share_held_back(len(dataset)), spare))
        early, late = later_split(dataset.times, dataset.groups, share)
        if len(early) < LEAST_ROWS or not len(late):
            raise TrainingError(
                f"{len(dataset)} distinct inputs are too few to hold some back; collect more, or ask for loo"
            )
        known, held = dataset.take(early), dataset.take(late)
    before = read_certificate(folder)
    proving = rows_digest((held or known).inputs)
    refits = before.looked_at.refits + 1 if before is not None and before.rows == proving else 0
    started = clock()
    won = race(
        known,
        limits=limits,
        target=recipe.target,
        seed=seed,
        weights=weights,
        clock=clock,
        encoders=recipe.encoders,
        tolerance=recipe.tolerance,
        progress=progress,
    )
    aside = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(aside, ignore_errors=True)
    lineage = Lineage(parts=(), dataset=known.digest, code=jitr.__version__, seed=seed)
    result = save(won, known, recipe, aside, known.digest[:32], lineage, clock() - started, _SPENT)
    fitted = won.fitted
    thresholds, forecast = fine_thresholds(fitted.scores, fitted.agrees, known.weights)
    scores, agrees, said = fitted.scores, fitted.agrees, list(known.labels)
    if held is not None:
        answers = Surrogate.load(aside, result.digest, weights).answer_many(held.inputs)
        scores = np.array([a.score for a in answers])
        said = [a.label for a in answers]
        agrees = np.array([same(a, b, recipe.tolerance) for a, b in zip(said, held.labels, strict=True)])
    spend = delta * _SPENT.share(refits)
    groups = (held or known).groups
    found = prove(proof, scores, agrees, thresholds, forecast, recipe.target, spend, groups)
    certificate = Certificate(
        kind=proof,
        digest=result.digest,
        target=recipe.target,
        delta=delta,
        proof=found,
        reason="" if found else _why(len(scores), won.fitted.accuracy, recipe.target),
        n=len(np.unique(groups)),
        rows=proving,
        coverage=found.coverage if found else 0.0,
        bound=found.bound if found else 0.0,
        slices=slices(said, scores >= found.threshold, agrees, spend) if found else (),
        looked_at=LookedAt(
            candidates=len(won.entries), thresholds=len(thresholds), refits=refits, delta=spend
        ),
    )
    write_certificate(aside, certificate)
    if found is None and before is not None and before.proof is not None:
        # the budget that was spent is remembered with the surrogate that stays
        spent = msgspec.structs.replace(before.looked_at, refits=max(refits, before.looked_at.refits))
        write_certificate(folder, msgspec.structs.replace(before, looked_at=spent))
        return Fit(result, certificate, kept=True)
    shutil.rmtree(folder, ignore_errors=True)
    aside.rename(folder)
    return Fit(msgspec.structs.replace(result, path=str(folder)), certificate, kept=False)


def _why(rows: int, accuracy: float, target: float) -> str:
    return (
        f"out of sample {accuracy:.3f} of all answers agree, and {rows} rows do not prove {target:.2f} for"
        " any share of calls; collect more, or lower the target"
    )
