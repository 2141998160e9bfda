"""From a dataset to a surrogate with its certificate, without a stream: what `jitr fit` does.

There are no next calls, so the proof holds rows back (``split``): the latest, whose near-duplicates do not
train. ``loo`` trains on all rows and only measures. A surrogate that is proved stays in its folder until
another one is. docs/guarantee.md, "Proof on rows held back".
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from jitr.models.answers.agreement import same
from jitr.models.datasets.examples import Dataset
from jitr.models.datasets.splits import later_split
from jitr.models.encoders.weights import Weights
from jitr.models.promise.held_back import fine_thresholds, firsts, prove, share_held_back
from jitr.models.surrogates.artifact.artifact import Budget, Lineage
from jitr.models.surrogates.artifact.atomic_folder import atomic_folder_of
from jitr.models.surrogates.artifact.certificate import (
    Certificate,
    LookedAt,
    read_certificate,
    rows_digest,
    slices,
    write_certificate,
)
from jitr.models.surrogates.artifact.proof_history import ProofHistory
from jitr.models.surrogates.runtime import Surrogate
from jitr.models.training.search.prior import Prior
from jitr.models.training.search.race import LEAST_ROWS, Progress, race
from jitr.models.training.search.race_data import Clock
from jitr.models.training.train import CODE, Recipe, TrainingResult, save
from jitr.schemas.errors import TrainingError
from jitr.schemas.trainings import Limits

_SPENT = Budget(refits="halved")


@dataclass(frozen=True)
class Fit:
    """A surrogate and its certificate; ``kept``: the folder still holds the older, which has a better one."""

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
    parts: tuple[str, ...] = (),
    weights: Weights | None = None,
    clock: Clock = time.process_time,
    progress: Progress | None = None,
    prior: Prior | None = None,
) -> Fit:
    """Race, prove, and put the winner into ``folder``, by way of ``<folder>.new`` and ``<folder>.old``.

    Parameters
    ----------
    dataset : Dataset
    recipe : Recipe
        Its target is what is to be proved.
    limits : Limits
    folder : Path
        The surrogate that it holds already is replaced only by one whose certificate is worth as much: what
        is proved by what is proved, what is measured (``loo``) not by what failed, the rest by anything.
    proof : "split" or "loo"
    delta : float
        Chance in (0, 1) that the certificate is wrong; halved for every earlier look at the rows that prove,
        or at some of them, whether it proved something or not. The folder's certificate remembers these.
    seed : int
    parts : tuple of str
        Digests of the dataset's parts, for the lineage.
    prior : Prior, optional
        What an earlier race found.

    Raises
    ------
    ConfigError
        The folder or a neighbour of these names holds something that must not be removed.
    TrainingError
        Too few rows, answers that are not closed, or no candidate within the limits.
    """
    place = atomic_folder_of(folder)
    place.prepare()
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
    before = read_certificate(place.folder)
    history = before.proof_history if before is not None else ProofHistory()
    proving = (held or known).inputs
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
        prior=prior,
    )
    place.clear()
    lineage = Lineage(
        parts=parts, dataset=known.digest, code=CODE, seed=seed, since_offset=recipe.since_offset
    )
    result = save(won, known, recipe, place.aside, known.digest[:32], lineage, clock() - started, _SPENT)
    fitted = won.fitted
    plan = fine_thresholds(fitted.scores, fitted.agrees, known.weights)
    scores, agrees, said = fitted.scores, fitted.agrees, list(known.labels)
    if held is not None:
        answers = Surrogate.load(place.aside, result.digest, weights).answer_many(held.inputs)
        scores = np.array([a.score for a in answers])
        said = [a.label for a in answers]
        agrees = np.array([same(a, b, recipe.tolerance) for a, b in zip(said, held.labels, strict=True)])
    spend = delta * _SPENT.share(history.at(proving))
    groups = (held or known).groups
    first = firsts(groups)
    found = prove(proof, scores, agrees, plan, recipe.target, spend, groups)
    certificate = Certificate(
        kind=proof,
        digest=result.digest,
        target=recipe.target,
        delta=delta,
        proof=found,
        reason=""
        if found
        else _why(len(first), won.fitted.accuracy, recipe.target, history.at(proving), spend),
        n=len(first),
        rows=rows_digest(proving),
        coverage=found.coverage if found else 0.0,
        bound=found.bound if found else 0.0,
        slices=slices([said[i] for i in first], scores[first] >= found.threshold, agrees[first], spend)
        if found
        else (),
        looked_at=LookedAt(
            candidates=len(won.entries),
            thresholds=len(plan.thresholds),
            refits=history.at(proving),
            delta=spend,
        ),
        proof_history=history.add(proving),
    )
    write_certificate(place.aside, certificate)
    if before is not None and certificate.rank < before.rank:
        # what was spent on these rows is remembered with the surrogate that stays
        write_certificate(
            place.folder, msgspec.structs.replace(before, proof_history=certificate.proof_history)
        )
        return Fit(result, certificate, kept=True)
    place.put()
    return Fit(msgspec.structs.replace(result, path=str(folder)), certificate, kept=False)


def _why(rows: int, accuracy: float, target: float, looks: int, left: float) -> str:
    spent = f" with the {left:.2g} of delta that earlier looks ({looks}) at them left" if looks else ""
    return (
        f"out of sample {accuracy:.3f} of all answers agree, and {rows} rows do not prove {target:.2f} for"
        f" any share of calls{spent}; collect more, or lower the target"
    )
