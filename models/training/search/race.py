"""The race: every candidate on few labels, the better half on more, the best on all, under limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from jitr.models.datasets.examples import Dataset
from jitr.models.encoders.weights import Weights
from jitr.models.surrogates.artifact.artifact import RaceEntry
from jitr.models.surrogates.candidates import Candidate, candidates
from jitr.models.surrogates.fit import Fitted
from jitr.models.surrogates.heads.fields import fields_of
from jitr.models.training.search.prior import Prior
from jitr.models.training.search.race_data import Clock, RaceData
from jitr.models.training.search.runner import Runner
from jitr.models.training.search.shortlist import shortlist
from jitr.models.training.search.tuned_stage import run_tuned_stage
from jitr.schemas.errors import TrainingError
from jitr.schemas.trainings import Limits

LEAST_ROWS = 30
LONG_WORDS = 60
_ROUNDS = (300, 1200)
_TIE = 0.005
_DEARER = 1.5
_MOST_ENCODERS = 2
_TIMED_TEXTS = 20

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Race:
    """The winner, fitted on all rows, and what became of every candidate."""

    candidate: Candidate
    fitted: Fitted
    p99_ms: float
    entries: tuple[RaceEntry, ...]


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
    prior: Prior | None = None,
) -> Race:
    """Choose and fit a surrogate by successive halving (Jamieson and Talwalkar, 2016).

    The most promising run first, and the cheapest in any case, so that there is a result. Who was clearly
    beaten on fewer labels of the same task does not run, unless who beat it falls out.

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
    prior : Prior, optional
        What an earlier race found.

    Raises
    ------
    TrainingError
        Too few rows, answers that are not closed, or no candidate within the limits.
    """
    if len(dataset) < LEAST_ROWS:
        raise TrainingError(
            f"{len(dataset)} distinct inputs are too few, {LEAST_ROWS} are needed; collect more"
        )
    started, prior = clock(), prior or Prior()
    tell = progress or (lambda stage, done: None)
    fields, numbers = fields_of(dataset.labels, tolerance)
    data = RaceData(dataset, fields, numbers, weights, seed)
    out: list[RaceEntry] = []
    names = weights.names if encoders is None else encoders
    constant = all(len(spec.values) == 1 for spec in fields)
    long = float(np.median([len(text.split()) for text in dataset.inputs])) >= LONG_WORDS
    names = () if constant else tuple(names)
    if len(names) > _MOST_ENCODERS:
        names, unlisted = shortlist(data, names, limits, clock, prior.encoders)
        out += [RaceEntry(candidate=name, lost=why) for name, why in unlisted.items()]
    runners, tuned = _entrants(data, names, limits, out, long=long)
    by_length = sorted(dataset.inputs, key=lambda text: (len(text), text))
    texts = [by_length[i] for i in np.linspace(0, len(by_length) - 1, _TIMED_TEXTS).astype(int)]
    sizes = [size for size in _ROUNDS if size < 0.6 * len(dataset)] + [len(dataset)]
    runners, aside = prior.start(runners)
    unlike = sum(runner.candidate.partner is None for runner in aside)
    for stage, size in enumerate(sizes):
        if stage:
            runners = _halve(runners, size, out, unlike if stage == 1 else 0)
        last = stage == len(sizes) - 1
        cheapest = min(
            runners, key=lambda r: (r.forecast_s(size), r.candidate.encoder is not None), default=None
        )
        queue, fits = list(runners), 0
        for at, runner in enumerate(queue):
            tell(f"{runner.candidate.name} on {size} labels", (stage + at / len(queue)) / len(sizes))
            before, new = clock(), not runner.entry.rows
            need = data.encoding_s(runner.candidate, size, clock) + runner.forecast_s(size)
            why = ""
            if (fits or runner is not cheapest) and before - started + need > limits.max_train_s:
                why = f"would take {need:.0f} s more, {limits.max_train_s:.0f} s are allowed in all"
            else:
                data.encode(runner.candidate, size)
                before = clock()  # who comes first encodes for all: it is no part of its own fit
                fitted = data.fit(runner.candidate, size)
                runner.record(size, fitted, target, clock() - before)
                runner.fitted = fitted if last else None
                # the first time at once, while others that would be within the limits are still running
                if new or last:
                    why = runner.outside(fitted, limits, texts, clock)
            fits += not why
            if why:
                out.append(runner.lost(why))
                runners.remove(runner)
                if runner.candidate.name == prior.winner:
                    # what was concluded from its lead does not hold without it
                    queue += aside
                    runners += aside
                    unlike, aside = 0, []
        if not runners:
            break
    out += [runner.lost(prior.beaten(runner.candidate)) for runner in aside]
    frozen = list(runners)
    for runner in tuned:
        tell(f"{runner.candidate.name}", 0.99)
        why = run_tuned_stage(
            runner,
            frozen,
            data,
            rows=len(dataset),
            limits=limits,
            left=limits.max_train_s - (clock() - started),
            target=target,
            texts=texts,
            clock=clock,
        )
        if why:
            out.append(runner.lost(why))
            continue
        runners.append(runner)
        if runner.beaten in runners:
            runners.remove(runner.beaten)
            out.append(runner.beaten.lost(f"{runner.candidate.name} is surer, with the same folds left out"))
    found = decide(runners, out)
    tell(f"{found.candidate.name} won", 1.0)
    return found


def _entrants(
    data: RaceData, encoders: tuple[str, ...], limits: Limits, out: list[RaceEntry], *, long: bool
) -> tuple[list[Runner], list[Runner]]:
    """Who runs on frozen features, and who is tuned after them; who cannot take part is out."""
    runners: list[Runner] = []
    tuned: list[Runner] = []
    for candidate in candidates(encoders, long=long):
        runner = Runner(candidate, RaceEntry(candidate=candidate.name))
        if why := data.refuse_candidate(candidate, limits):
            out.append(runner.lost(why))
        else:
            (tuned if candidate.tuned else runners).append(runner)
    return runners, tuned


def _halve(runners: list[Runner], size: int, out: list[RaceEntry], aside: int = 0) -> list[Runner]:
    """The better half, best first, and whoever is level with its last within one standard error.

    So many that stand ``aside`` count as the last ones: without them nobody else is out sooner. Nor is anyone
    by a pair, which takes no place of its own.
    """
    ranked = sorted(runners, key=lambda r: -r.entry.accuracy)
    single = [r for r in ranked if r.candidate.partner is None] or ranked
    bar = single[min(len(single), (len(single) + aside + 1) // 2) - 1].entry.accuracy
    error = (bar * (1 - bar) / max(1, ranked[0].entry.rows)) ** 0.5
    for runner in ranked:
        if runner.entry.accuracy < bar - error:
            lost = f"agreed {runner.entry.accuracy:.3f} on {runner.entry.rows} labels, {bar:.3f} was needed"
            out.append(runner.lost(lost))
    return [r for r in ranked if r.entry.accuracy >= bar - error]


def decide(standing: list[Runner], out: list[RaceEntry]) -> Race:
    """Rank by forecast coverage, then by agreement; within a tie what costs half as much again is out.

    Cost is p99 times resident memory; it is told where it decided.
    """
    if not standing:
        told = "; ".join(f"{entry.candidate}: {entry.lost}" for entry in out)
        raise TrainingError(
            f"no candidate is within the limits ({told}); raise them or install what is missing"
        )
    best = max(runner.ranked for runner in standing)
    level = [r for r in standing if all(x >= b - _TIE for x, b in zip(r.ranked, best, strict=True))]
    dearest = _DEARER * min(runner.cost for runner in level)
    winner = max((r for r in level if r.cost <= dearest), key=lambda r: (r.ranked, -r.cost))
    for runner in standing:
        if runner is not winner:
            lost = (
                f"forecasts a coverage of {runner.ranked[0]:.2f} at an agreement of"
                f" {runner.ranked[1]:.3f}; {winner.candidate.name}: {winner.ranked[0]:.2f} at"
                f" {winner.ranked[1]:.3f}"
            )
            if runner.ranked >= winner.ranked:
                lost += f", for {winner.cost:.0f} ms x MB instead of {runner.cost:.0f}"
            out.append(runner.lost(lost))
    assert winner.fitted is not None
    return Race(winner.candidate, winner.fitted, winner.entry.p99_ms, (winner.entry, *out))
