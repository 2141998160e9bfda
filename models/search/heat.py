"""Tuned candidates run last, and only where frozen features fall short: they take a hundred times as long.

The frozen ones are fitted on all rows by then, so that no tuning can cost a training its result. There is no
round on few rows: with few rows a class tuning is behind, and ahead with more.

What tuned layers say out of sample was learned from the other folds alone, and looks worse beside a ridge
that leaves out one row. So both are compared with the same folds left out, and a tuned candidate is credited
with what the ridge gains by leaving out single rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from jitr.models.bases.tuned import TUNED_FOLDS
from jitr.models.search.runner import Clock, Runner
from jitr.models.search.track import Track
from jitr.schemas.errors import TrainingError
from jitr.schemas.trainings import Limits

_ENOUGH = 0.95


def heat(
    runner: Runner,
    standing: Sequence[Runner],
    track: Track,
    *,
    rows: int,
    limits: Limits,
    left: float,
    target: float,
    texts: list[str],
    clock: Clock,
) -> str:
    """Run a tuned candidate on all rows; why it lost, or nothing.

    Parameters
    ----------
    runner : Runner
        Fitted where nothing is returned.
    standing : sequence of Runner
        The frozen ones that are within the limits, fitted on all rows.
    rows : int
        All rows.
    left : float
        Seconds, by the clock.
    texts : list of str
        On which answering is timed.
    """
    for other in standing:
        if other.entry.coverage >= _ENOUGH:
            return f"not tried: {other.candidate.name} forecasts a coverage of {other.entry.coverage:.2f}"
    before = clock()
    if why := track.tuning(runner.candidate).too_much(track.some(rows), rows, left, clock):
        return why
    try:
        fitted = track.fit(runner.candidate, rows)
    except TrainingError as error:
        return str(error)
    runner.record(rows, fitted, target, clock() - before)
    ridge = next((r for r in standing if r.candidate.head == "ridge"), None)
    if ridge is not None:
        own, rival = (track.fit(c, rows, TUNED_FOLDS) for c in (runner.candidate, ridge.candidate))
        covered = own.forecast.coverage(target), rival.forecast.coverage(target)
        runner.entry = msgspec.structs.replace(
            runner.entry,
            coverage=_credited(*covered, ridge.entry.coverage),
            accuracy=_credited(own.accuracy, rival.accuracy, ridge.entry.accuracy),
        )
    if why := runner.outside(fitted, limits, texts, clock):
        return why
    runner.fitted = fitted
    return ""


def _credited(own: float, rival: float, rival_by_rows: float) -> float:
    """What a candidate would reach if single rows were left out, not folds."""
    return min(1.0, own + max(0.0, rival_by_rows - rival))
