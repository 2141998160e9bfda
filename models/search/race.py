"""The race: every candidate on few labels, the better half on more, the best on all, under limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from jitr.models.bases.ngrams import NgramBase
from jitr.models.bases.onnx_encoder import OnnxEncoder
from jitr.models.bases.weights import Weights
from jitr.models.datasets.examples import Dataset
from jitr.models.surrogates.artifact import RaceEntry
from jitr.models.surrogates.base import Encoded, Features
from jitr.models.surrogates.candidates import Candidate, candidates
from jitr.models.surrogates.fields import FieldSpec, closed_fields
from jitr.models.surrogates.fit import Fitted, fit_model
from jitr.schemas.errors import TrainingError, WeightsError
from jitr.schemas.trainings import Limits

LEAST_ROWS = 30
_ROUNDS = (300, 1200)
_TIE = 0.01
_TIMED_TEXTS = 100
_TRIED_TEXTS = 16

Clock = Callable[[], float]
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Race:
    """The winner, fitted on all rows, and what became of every candidate."""

    candidate: Candidate
    fitted: Fitted
    p99_ms: float
    entries: tuple[RaceEntry, ...]


@dataclass
class _Runner:
    candidate: Candidate
    entry: RaceEntry
    fitted: Fitted | None = None


def race(
    dataset: Dataset,
    *,
    limits: Limits,
    target: float,
    seed: int,
    weights: Weights,
    clock: Clock,
    encoders: tuple[str, ...] | None = None,
    progress: Progress | None = None,
) -> Race:
    """Choose and fit a surrogate by successive halving (Jamieson and Talwalkar, 2016).

    Parameters
    ----------
    dataset : Dataset
    limits : Limits
        Seconds to train, milliseconds to answer (p99, one core), MB resident.
    target : float
        The agreement to be promised; what counts is the coverage forecast at it.
    seed : int
    weights : Weights
        Where encoders come from; one that is missing is left out, and the report says so.
    clock : callable
        Seconds, for the limits.
    encoders : tuple of str, optional
        Names of the encoders that take part; all that are known by default.
    progress : callable, optional
        Called with what is being done and the share that is done.

    Raises
    ------
    TrainingError
        Too few rows, answers that are not closed, or no candidate within the limits.
    """
    if len(dataset) < LEAST_ROWS:
        raise TrainingError(
            f"{len(dataset)} distinct inputs are too few, {LEAST_ROWS} are needed; collect more"
        )
    started = clock()
    tell = progress or (lambda stage, done: None)
    fields, numbers = closed_fields(dataset.labels)
    track = _Track(dataset, fields, np.array(numbers, dtype=np.int64), weights, seed)
    out: list[RaceEntry] = []
    runners: list[_Runner] = []
    names = weights.names if encoders is None else encoders
    constant = all(len(spec.values) == 1 for spec in fields)
    for candidate in candidates(() if constant else names):
        entry = RaceEntry(candidate=candidate.name)
        why = ""
        if candidate.too_large(len(dataset)):
            why = f"takes no {len(dataset)} rows"
        elif candidate.encoder is not None:
            why = track.refuse(candidate.encoder, limits)
        if why:
            out.append(msgspec.structs.replace(entry, lost=why))
        else:
            runners.append(_Runner(candidate, entry))
    sizes = [size for size in _ROUNDS if size < 0.6 * len(dataset)] + [len(dataset)]
    for stage, size in enumerate(sizes):
        if stage:
            runners = _halve(runners, size, out)
        last = stage == len(sizes) - 1
        for at, runner in enumerate(list(runners)):
            tell(f"{runner.candidate.name} on {size} labels", (stage + at / len(runners)) / len(sizes))
            before = clock()
            need = _forecast_s(runner, size) if stage else track.encoding_s(runner.candidate, size, clock)
            if runner is not runners[0] and before - started + need > limits.max_train_s:
                lost = f"would take {need:.0f} s more, {limits.max_train_s:.0f} s are allowed in all"
                out.append(msgspec.structs.replace(runner.entry, lost=lost))
                runners.remove(runner)
                continue
            fitted = track.fit(runner.candidate, size)
            runner.entry = msgspec.structs.replace(
                runner.entry,
                rows=size,
                accuracy=fitted.accuracy,
                coverage=fitted.forecast.coverage(target),
                seconds=round(clock() - before, 3),
            )
            runner.fitted = fitted if last else None
    found = _finish(runners, dataset, limits, seed, clock, out)
    tell(f"{found.candidate.name} won", 1.0)
    return found


def _halve(runners: list[_Runner], size: int, out: list[RaceEntry]) -> list[_Runner]:
    """Keep the better half, and whoever is level with its last within one standard error."""
    ranked = sorted(runners, key=lambda r: -r.entry.accuracy)
    bar = ranked[(len(ranked) - 1) // 2].entry.accuracy
    error = (bar * (1 - bar) / max(1, ranked[0].entry.rows)) ** 0.5
    for runner in ranked:
        if runner.entry.accuracy < bar - error:
            lost = f"agreed {runner.entry.accuracy:.3f} on {runner.entry.rows} labels, {bar:.3f} was needed"
            out.append(msgspec.structs.replace(runner.entry, lost=lost))
    return [r for r in runners if r.entry.accuracy >= bar - error]


def _forecast_s(runner: _Runner, size: int) -> float:
    """Seconds that a fit on so many rows will take, by what the last one took."""
    rows = runner.entry.rows
    return runner.entry.seconds * (size / rows) ** runner.candidate.growth if rows else 0.0


def _finish(
    runners: list[_Runner],
    dataset: Dataset,
    limits: Limits,
    seed: int,
    clock: Clock,
    out: list[RaceEntry],
) -> Race:
    """Rank by forecast coverage; within a tie the cheaper wins; who is too slow or too large is out."""
    pick = np.random.default_rng(seed).permutation(len(dataset))[:_TIMED_TEXTS]
    texts = [dataset.inputs[i] for i in pick]
    standing: list[_Runner] = []
    for runner in runners:
        assert runner.fitted is not None
        p99 = _p99_ms(runner.fitted, texts, clock)
        ram = _ram_mb(runner.fitted)
        runner.entry = msgspec.structs.replace(runner.entry, p99_ms=round(p99, 3), size_mb=round(ram, 1))
        if p99 > limits.max_latency_ms:
            lost = f"answers in {p99:.1f} ms (p99), {limits.max_latency_ms:.0f} ms are allowed"
        elif ram > limits.max_ram_mb:
            lost = f"takes {ram:.0f} MB, {limits.max_ram_mb:.0f} MB are allowed"
        else:
            standing.append(runner)
            continue
        out.append(msgspec.structs.replace(runner.entry, lost=lost))
    if not standing:
        told = "; ".join(f"{entry.candidate}: {entry.lost}" for entry in out)
        raise TrainingError(
            f"no candidate is within the limits ({told}); raise them or install what is missing"
        )
    best = max(standing, key=lambda r: (r.entry.coverage, r.entry.accuracy))
    level = [
        r
        for r in standing
        if r.entry.coverage >= best.entry.coverage - _TIE and r.entry.accuracy >= best.entry.accuracy - _TIE
    ]
    winner = min(level, key=lambda r: r.entry.p99_ms) if level else best
    for runner in standing:
        if runner is not winner:
            lost = (
                f"forecasts a coverage of {runner.entry.coverage:.2f} at an agreement of"
                f" {runner.entry.accuracy:.3f}; {winner.candidate.name}: {winner.entry.coverage:.2f} at"
                f" {winner.entry.accuracy:.3f}, in {winner.entry.p99_ms:.1f} ms instead of"
                f" {runner.entry.p99_ms:.1f}"
            )
            out.append(msgspec.structs.replace(runner.entry, lost=lost))
    assert winner.fitted is not None
    return Race(winner.candidate, winner.fitted, winner.entry.p99_ms, (winner.entry, *out))


def _p99_ms(fitted: Fitted, texts: list[str], clock: Clock) -> float:
    fitted.model.answer(texts[:1])
    took = []
    for text in texts:
        before = clock()
        fitted.model.answer([text])
        took.append(clock() - before)
    return float(np.quantile(took, 0.99)) * 1e3


def _ram_mb(fitted: Fitted) -> float:
    features = fitted.model.features
    bases = sum(base.cost.ram_mb for base in (features.ngrams, features.encoder) if base is not None)
    heads = sum(array.nbytes * 2 for f in fitted.model.fields for array in f.head.arrays().values()) / 1e6
    return bases + heads


@dataclass
class _Track:
    """The rows in racing order, encoded once for all candidates that read them alike."""

    dataset: Dataset
    fields: tuple[FieldSpec, ...]
    numbers: NDArray[np.int64]
    weights: Weights
    seed: int
    _order: NDArray[np.int64] = field(init=False)
    _encoders: dict[str, OnnxEncoder] = field(init=False, default_factory=dict)
    _views: dict[str, NDArray[np.float32]] = field(init=False, default_factory=dict)
    _grams: dict[int, tuple[NgramBase, Encoded]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._order = np.random.default_rng(self.seed).permutation(len(self.dataset))

    def refuse(self, encoder: str, limits: Limits) -> str:
        """Why an encoder cannot take part; empty where it can."""
        if encoder not in self._encoders:
            try:
                self._encoders[encoder] = self.weights.encoder(encoder)
            except WeightsError as error:
                return str(error)
        ram = self._encoders[encoder].cost.ram_mb
        return f"takes {ram:.0f} MB" if ram > limits.max_ram_mb else ""

    def encoding_s(self, candidate: Candidate, size: int, clock: Clock) -> float:
        """Seconds that encoding so many rows will take, by trying a few; 0 where they are encoded already."""
        if candidate.encoder is None or candidate.encoder in self._views:
            return 0.0
        texts = [self.dataset.inputs[i] for i in self._order[:_TRIED_TEXTS]]
        before = clock()
        self._encoders[candidate.encoder].encode_views(texts)
        return (clock() - before) / len(texts) * size

    def fit(self, candidate: Candidate, size: int) -> Fitted:
        """Fit on the first rows in racing order; values that none of them has are left out."""
        rows = self._order[:size]
        if size == len(self.dataset):
            rows = np.arange(size)  # the model that serves is fitted in order of time
        features, encoded = self._encode(candidate, rows)
        fields, numbers = [], np.empty((size, len(self.fields)), dtype=np.int64)
        for column, spec in enumerate(self.fields):
            seen, numbers[:, column] = np.unique(self.numbers[rows, column], return_inverse=True)
            fields.append(FieldSpec(name=spec.name, values=tuple(spec.values[i] for i in seen)))
        return fit_model(
            features,
            encoded,
            candidate,
            tuple(fields),
            numbers,
            self.dataset.weights[rows],
            self.dataset.groups[rows],
            self.seed,
        )

    def _encode(self, candidate: Candidate, rows: NDArray[np.int64]) -> tuple[Features, Encoded]:
        inputs = self.dataset.inputs
        ngrams = sparse = views = None
        if candidate.ngrams:
            if len(rows) not in self._grams:
                base = NgramBase.fit(inputs[i] for i in rows)
                self._grams[len(rows)] = base, Encoded(base.rows([inputs[i] for i in rows]), None)
            ngrams, found = self._grams[len(rows)]
            sparse = found.ngrams
        encoder = self._encoders[candidate.encoder] if candidate.encoder else None
        if encoder is not None:
            done = self._views.get(encoder.name)
            start = 0 if done is None else len(done)
            if start < len(rows):
                more = encoder.encode_views([inputs[i] for i in self._order[start : len(rows)]])
                self._views[encoder.name] = more if done is None else np.concatenate([done, more])
            at = np.empty(len(self._order), dtype=np.int64)
            at[self._order] = np.arange(len(self._order))
            views = self._views[encoder.name][at[rows]]
        return Features(ngrams, encoder), Encoded(sparse, views)
