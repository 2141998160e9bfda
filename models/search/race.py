"""The race: every candidate on few labels, the better half on more, the best on all, under limits."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import numpy as np

from jitr.models.bases.weights import Weights
from jitr.models.datasets.examples import Dataset
from jitr.models.search.shortlist import shortlist
from jitr.models.search.track import Clock, Track
from jitr.models.surrogates.artifact import RaceEntry
from jitr.models.surrogates.candidates import Candidate, candidates
from jitr.models.surrogates.fields import fields_of
from jitr.models.surrogates.fit import Fitted
from jitr.models.surrogates.model import Model
from jitr.schemas.errors import TrainingError
from jitr.schemas.trainings import Limits

LEAST_ROWS = 30
LONG_WORDS = 60
_ROUNDS = (300, 1200)
_TIE = 0.01
_MOST_ENCODERS = 2
_NOT_LISTED = "the probe of its features on few labels was worse than those of others"
_TIMED_TEXTS = 20
_TIMED_TRIES = 2

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
    tolerance: float = 0.0,
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
    tolerance : float
        How far two numbers may lie apart and still agree.
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
    fields, numbers = fields_of(dataset.labels, tolerance)
    track = Track(dataset, fields, numbers, weights, seed)
    out: list[RaceEntry] = []
    runners: list[_Runner] = []
    names = weights.names if encoders is None else encoders
    constant = all(len(spec.values) == 1 for spec in fields)
    long = float(np.median([len(text.split()) for text in dataset.inputs])) >= LONG_WORDS
    names = () if constant else tuple(names)
    if len(names) > _MOST_ENCODERS:
        kept = shortlist(track, names, limits, clock)
        out += [RaceEntry(candidate=name, lost=_NOT_LISTED) for name in names if name not in kept]
        names = kept
    for candidate in candidates(names, long=long):
        entry = RaceEntry(candidate=candidate.name)
        why = ""
        if candidate.too_large(len(dataset)):
            why = f"takes no {len(dataset)} rows"
        elif candidate.encoder is not None:
            why = track.refuse(candidate.encoder, limits)
            if candidate.tuned and not why:
                why = track.tuning(candidate).refuse(len(dataset), fields, limits)
        if why:
            out.append(msgspec.structs.replace(entry, lost=why))
        else:
            runners.append(_Runner(candidate, entry))
    by_length = sorted(dataset.inputs, key=lambda text: (len(text), text))
    texts = [by_length[i] for i in np.linspace(0, len(by_length) - 1, _TIMED_TEXTS).astype(int)]
    sizes = [size for size in _ROUNDS if size < 0.6 * len(dataset)] + [len(dataset)]
    for stage, size in enumerate(sizes):
        if stage:
            runners = _halve(runners, size, out)
        last = stage == len(sizes) - 1
        for at, runner in enumerate(list(runners)):
            tell(f"{runner.candidate.name} on {size} labels", (stage + at / len(runners)) / len(sizes))
            before = clock()
            left = limits.max_train_s - (before - started)
            lost = ""
            if runner.candidate.tuned:
                lost = _tuning_lost(runner, runners, track, sizes[stage:], left, clock)
                before = clock()
            elif runner is not runners[0]:
                need = _forecast_s(runner, size) if stage else track.encoding_s(runner.candidate, size, clock)
                if need > left:
                    lost = f"would take {need:.0f} s more, {limits.max_train_s:.0f} s are allowed in all"
            if lost:
                out.append(msgspec.structs.replace(runner.entry, lost=lost))
                runners.remove(runner)
                continue
            try:
                fitted = track.fit(runner.candidate, size)
            except TrainingError as error:
                if not runner.candidate.tuned:
                    raise
                out.append(msgspec.structs.replace(runner.entry, lost=str(error)))
                runners.remove(runner)
                continue
            runner.entry = msgspec.structs.replace(
                runner.entry,
                rows=size,
                accuracy=fitted.accuracy,
                coverage=fitted.forecast.coverage(target),
                seconds=round(clock() - before, 3),
                curve=(*runner.entry.curve, (size, round(fitted.accuracy, 4))),
            )
            runner.fitted = fitted if last else None
            # the first time at once, while others that would be within the limits are still running
            if stage in (0, len(sizes) - 1) and (why := _outside(runner, fitted, limits, texts, clock)):
                out.append(msgspec.structs.replace(runner.entry, lost=why))
                runners.remove(runner)
        if not runners:
            break
    found = _finish(runners, out)
    tell(f"{found.candidate.name} won", 1.0)
    return found


def _halve(runners: list[_Runner], size: int, out: list[RaceEntry]) -> list[_Runner]:
    """Keep the better half, and whoever is level with its last within one standard error.

    The best that is not tuned stays in any case: a tuned one may still turn out to take too long.
    """
    ranked = sorted(runners, key=lambda r: -r.entry.accuracy)
    bar = ranked[(len(ranked) - 1) // 2].entry.accuracy
    error = (bar * (1 - bar) / max(1, ranked[0].entry.rows)) ** 0.5
    bar = min(bar, next((r.entry.accuracy for r in ranked if not r.candidate.tuned), bar))
    for runner in ranked:
        if runner.entry.accuracy < bar - error:
            lost = f"agreed {runner.entry.accuracy:.3f} on {runner.entry.rows} labels, {bar:.3f} was needed"
            out.append(msgspec.structs.replace(runner.entry, lost=lost))
    return [r for r in runners if r.entry.accuracy >= bar - error]


def _tuning_lost(
    runner: _Runner,
    runners: list[_Runner],
    track: Track,
    sizes: list[int],
    left: float,
    clock: Clock,
) -> str:
    """Why a tuned encoder, which runs last, cannot win this round or any that follows; empty where it can."""
    frozen = [r for r in runners if not r.candidate.tuned and r.entry.rows == sizes[0]]
    for other in frozen:
        if min(other.entry.coverage, other.entry.accuracy) >= 1 - _TIE:
            return f"not tried: {other.candidate.name} leaves nothing to win on {sizes[0]} labels"
    left -= sum(_forecast_s(r, size) for r in frozen for size in sizes[1:])
    if runner.entry.rows:
        need = sum(_forecast_s(runner, size) for size in sizes)
        return f"would take {need:.0f} s more, {left:.0f} s are left" if need > left else ""
    return track.tuning(runner.candidate).too_much(track.some(sizes[-1]), sum(sizes), sizes[-1], left, clock)


def _forecast_s(runner: _Runner, size: int) -> float:
    """Seconds that a fit on so many rows will take, by what the last one took."""
    rows = runner.entry.rows
    return runner.entry.seconds * (size / rows) ** runner.candidate.growth if rows else 0.0


def _finish(standing: list[_Runner], out: list[RaceEntry]) -> Race:
    """Rank by forecast coverage; within a tie the cheaper wins."""
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


def _outside(runner: _Runner, fitted: Fitted, limits: Limits, texts: list[str], clock: Clock) -> str:
    """Measure what answering takes; say which limit it breaks, or nothing."""
    model = dataclasses.replace(fitted.model, features=fitted.model.features.uncached())
    p99, ram = _p99_ms(model, texts, clock), _ram_mb(fitted)
    runner.entry = msgspec.structs.replace(runner.entry, p99_ms=round(p99, 3), size_mb=round(ram, 1))
    if p99 > limits.max_latency_ms:
        return f"answers in {p99:.1f} ms (p99), {limits.max_latency_ms:.0f} ms are allowed"
    if ram > limits.max_ram_mb:
        return f"takes {ram:.0f} MB, {limits.max_ram_mb:.0f} MB are allowed"
    return ""


def _p99_ms(model: Model, texts: list[str], clock: Clock) -> float:
    """99th percentile over texts of the best of a few tries: a busy machine fails no fast surrogate."""
    model.answer(texts[:1])
    took = []
    for text in texts:
        tries = []
        for _ in range(_TIMED_TRIES):
            before = clock()
            model.answer([text])
            tries.append(clock() - before)
        took.append(min(tries))
    return float(np.quantile(took, 0.99)) * 1e3


def _ram_mb(fitted: Fitted) -> float:
    features = fitted.model.features
    bases = sum(base.cost.ram_mb for base in (features.ngrams, features.encoder) if base is not None)
    heads = sum(array.nbytes * 2 for f in fitted.model.fields for array in f.head.arrays().values()) / 1e6
    return bases + heads
