"""Proving an agreement on a fixed set of rows: one look, thresholds tried in an order fixed beforehand.

The order comes from training alone. A threshold that passes hands its part of delta to the next, so that
delta is spent once however many there are (fixed sequence, Maurer, Hothorn and Lehmacher, 1995; fallback,
Wiens, 2003). For rows that come one after another see `jitr.models.promise.shadow`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from jitr.models.promise.bounds import lower_bound
from jitr.schemas.routes import Proof


def prove(
    kind: Literal["split", "loo"],
    scores: NDArray[np.float64],
    agrees: NDArray[np.bool_],
    thresholds: Sequence[float],
    forecast: Sequence[float],
    target: float,
    delta: float,
) -> Proof | None:
    """The certificate of the largest share that these rows prove, or None.

    Parameters
    ----------
    kind : "split" or "loo"
        What the rows are: held back, or the training rows scored out of sample (measured, not proved).
    scores, agrees : arrays of shape (n,)
        The gate's score of each row, and whether surrogate and teacher agree.
    thresholds : sequence of float
        Strictest (highest) first, fixed without these rows where kind is ``split``.
    forecast : sequence of float
        Out-of-sample agreement expected at each; it chooses where the walk starts, and proves nothing.
    target, delta : float

    Examples
    --------
    >>> scores = np.linspace(0, 1, 400)
    >>> proof = prove("split", scores, scores > 0.2, [0.5, 0.3, 0.0], [0.99, 0.98, 0.8], 0.95, 0.05)
    >>> proof.threshold, round(proof.coverage, 2), proof.agreed == proof.calls
    (0.3, 0.7, True)
    """
    if not len(thresholds) == len(forecast) > 0:
        raise ValueError(f"{len(thresholds)} thresholds need as many forecasts, got {len(forecast)}")
    n = len(scores)
    chances = [
        _chance(int((scores >= t).sum()), q, target, delta) for t, q in zip(thresholds, forecast, strict=True)
    ]
    if max(chances) < 1e-6:
        return None
    entries = _entries(chances)
    proved, level = None, 0.0
    for j in range(min(entries), len(thresholds)):
        level += entries.get(j, 0.0) * delta
        if level == 0.0:
            continue
        accepted = scores >= thresholds[j]
        calls, agreed = int(accepted.sum()), int(agrees[accepted].sum())
        if not _passes(calls, agreed, target, level):
            level = 0.0
            continue
        proved = Proof(
            kind=kind,
            target=target,
            delta=delta,
            bound=lower_bound(agreed, calls, level),
            calls=calls,
            agreed=agreed,
            coverage=calls / n,
            threshold=float(thresholds[j]),
        )
    return proved


def _entries(chances: Sequence[float]) -> dict[int, float]:
    """Where the walk may begin, and the share of delta that each place brings.

    Half at the strictest place that is almost as likely to pass as any, half at the loosest: where the
    first passes, the second is tested at the whole delta, and where it fails by bad luck not all is lost
    (the fallback procedure of Wiens, 2003).
    """
    best = max(chances)
    good = [j for j, chance in enumerate(chances) if chance >= best - 0.02]
    first, last = good[0], good[-1]
    return {first: 1.0} if first == last else {first: 0.5, last: 0.5}


def fine_thresholds(
    scores: NDArray[np.float64], agrees: NDArray[np.bool_], weights: NDArray[np.float64], step: float = 0.0025
) -> tuple[list[float], list[float]]:
    """Thresholds for shares 0.30, 0.3025 .. 1 of training rows scored out of sample, and their agreement."""
    order = np.argsort(-scores, kind="stable")
    reached, agreed = np.cumsum(weights[order]), np.cumsum(weights[order] * agrees[order])
    shares = np.append(np.arange(0.30, 1.0 - step / 2, step), 1.0)
    at = np.minimum(np.searchsorted(reached, shares * reached[-1] - 1e-9), len(order) - 1)
    rows = reached[at] / reached[-1] * len(order)
    agreement = (agreed[at] / reached[at] * rows + 1) / (rows + 2)
    thresholds = scores[order[at]].astype(float)
    thresholds[-1] = 0.0
    return thresholds.tolist(), agreement.tolist()


def _passes(calls: int, agreed: int, target: float, delta: float) -> bool:
    return calls > 0 and float(binom.cdf(calls - agreed, calls, 1 - target)) <= delta


def _chance(calls: int, agreement: float, target: float, delta: float) -> float:
    """Probability that a test passes if the forecast is right."""
    if calls == 0:
        return 0.0
    most = int(binom.ppf(delta, calls, 1 - target))
    while most >= 0 and binom.cdf(most, calls, 1 - target) > delta:
        most -= 1
    return float(binom.cdf(most, calls, 1 - agreement)) if most >= 0 else 0.0
