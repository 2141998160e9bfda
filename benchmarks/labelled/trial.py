"""One trial: train on some rows, prove on others, measure on the rest."""

from __future__ import annotations

import functools
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jitr.models.datasets.examples import Dataset, Example
from jitr.models.datasets.groups import near_duplicate_groups
from jitr.models.encoders.weights import Weights
from jitr.models.promise.held_back import fine_thresholds, prove
from jitr.models.promise.shadow import ShadowProof
from jitr.models.surrogates.artifact.artifact import Lineage, RaceEntry
from jitr.models.surrogates.fit import Fitted
from jitr.models.surrogates.runtime import Surrogate
from jitr.models.training.search.race import race
from jitr.models.training.train import Recipe, TrainingResult, save
from jitr.schemas.trainings import Limits
from labelled.sets import LabelledSet

DELTA = 0.05
MOST_LATER = 5_000
TEST_SHARE, MOST_TEST = 0.25, 3_080
CURVE = (200, 500, 1_000, 1_540, 3_000, 5_000)
_TIMED_S = 1.0


@dataclass(frozen=True)
class Rows:
    """Who trains, who comes later, who measures: indices into a set.

    No near-duplicate group is on two sides, but that a set's own test rows may resemble its training rows.
    """

    train: np.ndarray
    later: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class Trained:
    """A surrogate as it was saved and read back, with its out-of-sample record.

    ``plain`` is the same without a cache of features, for measuring its speed.
    """

    surrogate: Surrogate
    plain: Surrogate
    fitted: Fitted
    result: TrainingResult
    weights: np.ndarray
    fit_s: float


def pool_and_test(data: LabelledSet, seed: int, *, official: bool) -> tuple[np.ndarray, np.ndarray]:
    """A random re-split, or the set's own; groups stay whole in a re-split."""
    rng = np.random.default_rng(seed)
    if official:
        assert data.official_test is not None
        pool = np.flatnonzero(~data.official_test)
        return rng.permutation(pool), rng.permutation(np.flatnonzero(data.official_test))
    groups = _groups(data.texts)
    size = int(data.official_test.sum()) if data.official_test is not None else len(data) * TEST_SHARE
    rank = np.empty(len(data), dtype=np.int64)
    rank[rng.permutation(len(data))] = np.arange(len(data))
    order = np.argsort(rank[groups], kind="stable")  # a group's rows stand side by side
    cut = round(min(size, MOST_TEST))
    while cut < len(order) and groups[order[cut]] == groups[order[cut - 1]]:
        cut += 1
    return rng.permutation(order[cut:]), rng.permutation(order[:cut])


@functools.lru_cache(maxsize=2)
def _groups(texts: tuple[str, ...]) -> np.ndarray:
    return near_duplicate_groups(texts)


def deal(data: LabelledSet, pool: np.ndarray, test: np.ndarray, n: int) -> Rows:
    """The first n of the pool train. Later calls are the rest of it, or half of the test rows."""
    rest = apart(data, pool[n:], pool[:n])
    if len(rest) >= len(test) // 2:
        return Rows(pool[:n], rest[:MOST_LATER], test)
    half = len(test) // 2
    return Rows(pool[:n], np.concatenate([rest, test[:half]]), test[half:])


def apart(data: LabelledSet, rows: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Those of some rows that have no near-duplicate among the known ones."""
    groups = _groups(data.texts)
    return rows[~np.isin(groups[rows], groups[known])]


def train(
    data: LabelledSet, rows: np.ndarray, weights: Weights, plain: Weights, seed: int, limits: Limits
) -> Trained:
    """Race, fit, write, read back: what `jitr fit` does; seconds with embedding, on one core."""
    examples = [Example(str(i), float(k), data.texts[i], data.answers[i]) for k, i in enumerate(rows)]
    dataset = Dataset.from_examples(examples)
    started = time.process_time()
    won = race(dataset, limits=limits, target=0.95, seed=seed, weights=weights, clock=time.process_time)
    with tempfile.TemporaryDirectory() as folder:
        lineage = Lineage(parts=(), dataset=dataset.digest, code="benchmark", seed=seed)
        result = save(won, dataset, Recipe(task=data.name), Path(folder) / "a", "a", lineage, 0.0)
        surrogate = Surrogate.load(result.path, result.digest, weights)
        spent = time.process_time() - started
        twin = Surrogate.load(result.path, result.digest, plain)
    spent += _embedding_s(won.entries, dataset.inputs, plain)
    return Trained(surrogate, twin, won.fitted, result, dataset.weights, spent)


def _embedding_s(entries: Sequence[RaceEntry], texts: Sequence[str], plain: Weights) -> float:
    """CPU seconds to embed what was raced: what a cache saved, measured on a sample."""
    sample = [texts[i] for i in np.linspace(0, len(texts) - 1, min(64, len(texts))).astype(int)]
    total = 0.0
    for name in plain.names:
        rows = max((e.rows for e in entries if name in e.candidate.partition(" ")[0].split("+")), default=0)
        if not rows:
            continue
        encoder = plain.encoder(name)
        encoder.encode_views(sample[:4])
        started = time.process_time()
        encoder.encode_views(sample)
        total += (time.process_time() - started) / len(sample) * rows
    return total


def scores_of(
    trained: Trained, data: LabelledSet, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Gate scores, agreement with the teacher, and the labels said."""
    answers = trained.surrogate.answer_many([data.texts[i] for i in rows])
    scores = np.array([a.score for a in answers])
    agrees = np.array([a.label == data.answers[i] for a, i in zip(answers, rows, strict=True)])
    return scores, agrees, [a.label for a in answers]


def later_threshold(
    trained: Trained, scores: np.ndarray, agrees: np.ndarray, target: float
) -> tuple[float | None, dict[int, float | None]]:
    """Threshold proved by the shadow run on these calls, and what was proved on the way."""
    manifest = trained.result.manifest
    run = ShadowProof(
        manifest.shares, manifest.thresholds, manifest.forecast_agreement, target=target, delta=DELTA
    )
    curve: dict[int, float | None] = {}
    for k, (score, agreed) in enumerate(zip(scores, agrees, strict=True), 1):
        run.update(float(score), bool(agreed))
        if k in CURVE or k == len(scores):
            curve[k] = run.proved.threshold if run.proved else None
    return (run.proved.threshold if run.proved else None), curve


def loo_threshold(trained: Trained, data: LabelledSet, rows: np.ndarray, target: float) -> float | None:
    """Threshold by the training rows' own out-of-sample scores: measured, not proved."""
    fitted = trained.fitted
    plan = fine_thresholds(fitted.scores, fitted.agrees, trained.weights)
    groups = _groups(data.texts)[rows]
    found = prove("loo", fitted.scores, fitted.agrees, plan, target, DELTA, groups)
    return found.threshold if found else None


def split_threshold(
    trained: Trained,
    data: LabelledSet,
    rows: np.ndarray,
    scores: np.ndarray,
    agrees: np.ndarray,
    target: float,
    delta: float = DELTA,
) -> float | None:
    """Threshold proved on rows that were held back from training."""
    fitted = trained.fitted
    plan = fine_thresholds(fitted.scores, fitted.agrees, trained.weights)
    found = prove("split", scores, agrees, plan, target, delta, _groups(data.texts)[rows])
    return found.threshold if found else None


def speeds(surrogate: Surrogate, texts: Sequence[str]) -> tuple[float, float]:
    """Answers a second of CPU time on one core, alone and in batches of 256, on texts of twelve words."""
    words = [word for text in texts[:400] for word in text.split()]
    short = [" ".join(words[i : i + 12]) for i in range(0, max(12, len(words) - 12), 12)][:1024]
    surrogate.answer_many(short[:8])
    rates = []
    for batch in (1, 256):
        done, at, started = 0, 0, time.process_time()
        while time.process_time() - started < _TIMED_S:
            found = surrogate.answer_many([short[(at + k) % len(short)] for k in range(batch)])
            done, at = done + len(found), at + batch
        rates.append(done / (time.process_time() - started))
    return rates[0], rates[1]
