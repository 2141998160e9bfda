"""Tuned candidates run last, and only where frozen features fall short: they take a hundred times as long.

The frozen ones are fitted on all rows by then, so that no tuning can cost a training its result. There is no
round on few rows: with few rows a class tuning is behind, and ahead with more.

What tuned layers say out of sample was learned from the other folds alone, and looks worse beside a ridge
that leaves out one row. So both are compared with the same folds left out, and a tuned candidate is credited
with what the ridge gains by leaving out single rows. A joined candidate is that ridge and a second opinion:
only the one of the two stays that is surer of where it agrees (the log-loss of their gates, row by row).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from jitr.models.encoders.tuned import TUNED_FOLDS
from jitr.models.surrogates.fit import Fitted
from jitr.models.training.search.race_data import RaceData
from jitr.models.training.search.runner import Clock, Runner
from jitr.schemas.errors import TrainingError
from jitr.schemas.trainings import Limits

_ENOUGH = 0.95


def run_tuned_stage(
    runner: Runner,
    standing: Sequence[Runner],
    data: RaceData,
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
    like = replace(runner.candidate, head="ridge", ngrams=True)
    ridge = next((r for r in standing if r.candidate == like), None)
    joined = runner.candidate.head == "joined"
    if joined and ridge is None:
        return "not tried: the ridge that it would join is out"
    # the duel fits the ridge anew, a joined candidate twice more
    more = 0.0 if ridge is None else ridge.entry.seconds * (3 if joined else 1)
    before = clock()
    if why := data.tuning(runner.candidate).too_much(data.some(rows), rows, left - more, clock):
        return why
    try:
        fitted = data.fit(runner.candidate, rows)
    except TrainingError as error:
        return str(error)
    runner.record(rows, fitted, target, clock() - before)
    if why := runner.outside(fitted, limits, texts, clock):
        return why
    if ridge is not None and (why := _duel(runner, ridge, data, rows, target)):
        return why
    runner.fitted = fitted
    return ""


def _duel(runner: Runner, ridge: Runner, data: RaceData, rows: int, target: float) -> str:
    """Compare both with the same folds left out; why a joined candidate adds nothing, or nothing."""
    own = data.fit(runner.candidate, rows, TUNED_FOLDS)
    rival = ridge.apart = ridge.apart or data.fit(ridge.candidate, rows, TUNED_FOLDS)
    runner.credit = (
        max(0.0, ridge.entry.coverage - rival.forecast.coverage(target))
        + own.forecast.coverage(target)
        - runner.entry.coverage,
        max(0.0, ridge.entry.accuracy - rival.accuracy) + own.accuracy - runner.entry.accuracy,
    )
    if runner.candidate.head != "joined":
        return ""
    gains = _losses(rival) - _losses(own)
    gain, off = float(gains.mean()), float(gains.std() / rows**0.5)
    if gain <= off:
        return f"no surer than {ridge.candidate.name}: log-loss less by {gain:.4f} +-{off:.4f}"
    runner.beaten = ridge
    return ""


def _losses(fitted: Fitted) -> NDArray[np.float64]:
    """Log-loss of the gate's scores, row by row."""
    return -np.log(np.where(fitted.agrees, fitted.scores, 1 - fitted.scores) + 1e-9)
