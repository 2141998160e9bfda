"""Tuned encoders run last, and only where frozen features fall short: they take a hundred times as long.

Each runs against the best frozen candidate at the same sizes, the smallest first; whoever is clearly behind
goes no further. The frozen ones are fitted by then, so that no tuning can cost a training its result.
"""

from __future__ import annotations

from collections.abc import Sequence

from jitr.models.search.runner import Clock, Runner
from jitr.models.search.track import Track
from jitr.models.surrogates.artifact import RaceEntry
from jitr.schemas.errors import TrainingError
from jitr.schemas.trainings import Limits

_ENOUGH = 0.9


def heat(
    runner: Runner,
    standing: Sequence[Runner],
    entries: Sequence[RaceEntry],
    track: Track,
    *,
    sizes: Sequence[int],
    limits: Limits,
    left: float,
    target: float,
    texts: list[str],
    clock: Clock,
) -> str:
    """Run a tuned candidate through all sizes; why it lost, or nothing.

    Parameters
    ----------
    runner : Runner
        Fitted on all rows where nothing is returned.
    standing : sequence of Runner
        The frozen ones that are within the limits, fitted on all rows.
    entries : sequence of RaceEntry
        Those that are out, for what they reached before.
    left : float
        Seconds, by the clock.
    texts : list of str
        On which answering is timed.
    """
    for other in standing:
        if min(other.entry.coverage, other.entry.accuracy) >= _ENOUGH:
            return f"not tried: {other.candidate.name} forecasts a coverage of {other.entry.coverage:.2f}"
    started = clock()
    tuning = track.tuning(runner.candidate)
    if why := tuning.too_much(track.some(sizes[-1]), sum(sizes), sizes[-1], left, clock):
        return why
    curves = [entry.curve for entry in (*entries, *(r.entry for r in standing))]
    for size in sizes:
        before = clock()
        need = sum(runner.forecast_s(later) for later in sizes if later >= size)
        if need > left - (before - started):
            return f"would take {need:.0f} s more, {max(0.0, left - (before - started)):.0f} s are left"
        try:
            fitted = track.fit(runner.candidate, size)
        except TrainingError as error:
            return str(error)
        runner.record(size, fitted, target, clock() - before)
        bar = max((agreed for curve in curves for rows, agreed in curve if rows == size), default=0.0)
        if runner.entry.accuracy < bar - (bar * (1 - bar) / size) ** 0.5:
            return f"agreed {runner.entry.accuracy:.3f} on {size} labels, {bar:.3f} was needed"
        if size in (sizes[0], sizes[-1]) and (why := runner.outside(fitted, limits, texts, clock)):
            return why
        runner.fitted = fitted
    return ""
