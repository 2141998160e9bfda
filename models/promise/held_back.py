"""Proof of an agreement on a fixed set of rows: one look, thresholds tried in an order fixed beforehand.

The order comes from training alone. A threshold is tested only if the one before passed, each with all of
delta, so that delta is spent once however many there are (fixed sequence; Maurer, Hothorn and Lehmacher,
1995). docs/guarantee.md, "Proof on rows held back". For rows that come one after another see
`jitr.models.promise.shadow`.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from jitr.models.promise.bounds import lower_bound
from jitr.schemas.routes import Proof

_HOPELESS, _ALMOST = 1e-6, 0.05
_ROWS_TO_HOLD, _LEAST_SHARE, _MOST_SHARE = 750, 0.2, 0.35


def share_held_back(rows: int) -> float:
    """Return the share of rows to hold back for a proof: 750 rows, but from a fifth to 35% of them.

    With fewer the exact bound lies so far below what is seen that it costs more than these rows would have
    taught: on 77 classes a proof covers 0.87 of calls where a quarter of 3,000 rows is held back, 0.86 with
    a fifth; of 1,000 rows 0.41 where 35% are, 0.29 with a fifth (resampled, ridge).

    Examples
    --------
    >>> [share_held_back(rows) for rows in (1_000, 3_000, 10_000)]
    [0.35, 0.25, 0.2]
    """
    return min(_MOST_SHARE, max(_LEAST_SHARE, _ROWS_TO_HOLD / max(1, rows)))


class Plan(NamedTuple):
    """Thresholds to try on rows that training has not seen, strictest (highest) first.

    Attributes
    ----------
    thresholds : list of float
    shares : list of float
        Share of training rows, scored out of sample, that each accepts.
    agreement : list of float
        Their agreement. Shares and agreement choose the threshold to begin with; they prove nothing.
    """

    thresholds: list[float]
    shares: list[float]
    agreement: list[float]


def prove(
    kind: Literal["split", "loo"],
    scores: NDArray[np.float64],
    agrees: NDArray[np.bool_],
    plan: Plan,
    target: float,
    delta: float,
    groups: NDArray[np.int64] | None = None,
) -> Proof | None:
    """Return the certificate of the largest share of calls that these rows prove, or None.

    Parameters
    ----------
    kind : "split" or "loo"
        What the rows are: held back, or the training rows scored out of sample (measured, not proved).
    scores, agrees : arrays of shape (n,)
        The gate's score of each row, and whether surrogate and teacher agree.
    plan : Plan
        Made without these rows where kind is ``split``.
    target, delta : float
    groups : int array of shape (n,), optional
        Group of near-duplicates of each row. Near-duplicates tend to agree together or not at all, so only
        the first of each group counts (counting all broke 6.5% of certificates in
        `benchmarks/certificate.py`).

    Examples
    --------
    >>> scores = np.linspace(0, 1, 400)
    >>> plan = Plan([0.5, 0.3, 0.0], [0.5, 0.7, 1.0], [0.99, 0.98, 0.8])
    >>> proof = prove("split", scores, scores > 0.2, plan, 0.95, 0.05)
    >>> proof.threshold, round(proof.coverage, 2), proof.agreed == proof.calls
    (0.3, 0.7, True)
    """
    if not len(plan.thresholds) == len(plan.shares) == len(plan.agreement) > 0:
        raise ValueError(
            f"{len(plan.thresholds)} thresholds need as many shares and forecasts, got {len(plan.shares)}"
            f" and {len(plan.agreement)}"
        )
    if groups is not None:
        first = firsts(groups)
        scores, agrees = scores[first], agrees[first]
    order = np.argsort(-scores, kind="stable")
    agreed_before = np.concatenate([[0], np.cumsum(agrees[order], dtype=np.int64)])
    calls = np.searchsorted(-scores[order], -np.asarray(plan.thresholds, np.float64), side="right")
    agreed = agreed_before[calls]
    proved = -1
    passes = calls - agreed <= _most(calls, target, delta)
    for j in range(_start(plan, len(scores), target, delta), len(calls)):
        if not passes[j]:
            break
        proved = j
    if proved < 0:
        return None
    n, a = int(calls[proved]), int(agreed[proved])
    return Proof(
        kind=kind,
        target=target,
        delta=delta,
        bound=lower_bound(a, n, delta),
        calls=n,
        agreed=a,
        coverage=n / len(scores),
        threshold=float(plan.thresholds[proved]),
    )


def firsts(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the first row of each group of near-duplicates, in order.

    Examples
    --------
    >>> firsts(np.array([4, 4, 1, 4, 1, 7])).tolist()
    [0, 2, 5]
    """
    return np.sort(np.unique(groups, return_index=True)[1])


def _start(plan: Plan, rows: int, target: float, delta: float) -> int:
    """Choose the threshold to begin with: the strictest that is almost as likely to pass as any.

    It is tested with all of delta. To test it with half, and the loosest such threshold with the other half,
    gains where the first fails by chance, and loses more where few rows are held back (77 classes, 350 rows:
    0.39 of calls covered and not 0.43). How many rows a threshold accepts is forecast, not counted: the
    choice must not depend on the rows that are tested.
    """
    accepted = np.arange(rows + 1)
    most = _most(accepted, target, delta)
    within = binom.pmf(accepted, rows, np.asarray(plan.shares)[:, None])
    chances = (within * binom.cdf(most, accepted, 1 - np.asarray(plan.agreement)[:, None])).sum(1)
    best = float(chances.max())
    return len(chances) if best < _HOPELESS else int(np.argmax(chances >= best - _ALMOST))


def _most(calls: NDArray[np.int64], target: float, delta: float) -> NDArray[np.int64]:
    """Return the most disagreements that have a chance of at most delta at the target; -1: 0 has more."""
    most = binom.ppf(delta, calls, 1 - target)
    most -= binom.cdf(most, calls, 1 - target) > delta
    return np.where(calls > 0, most, -1).astype(np.int64)


def fine_thresholds(
    scores: NDArray[np.float64], agrees: NDArray[np.bool_], weights: NDArray[np.float64], step: float = 0.0025
) -> Plan:
    """Make a plan of thresholds for shares 0.30, 0.3025 .. 1 of training rows scored out of sample."""
    order = np.argsort(-scores, kind="stable")
    reached, agreed = np.cumsum(weights[order]), np.cumsum(weights[order] * agrees[order])
    shares = np.append(np.arange(0.30, 1.0 - step / 2, step), 1.0)
    at = np.minimum(np.searchsorted(reached, shares * reached[-1] - 1e-9), len(order) - 1)
    thresholds = scores[order[at]].astype(float)
    thresholds[-1] = 0.0
    at = np.searchsorted(-scores[order], -thresholds, side="right") - 1  # what ties bring along
    accepted = reached[at] / reached[-1]
    rows = accepted * len(order)
    agreement = (agreed[at] / reached[at] * rows + 1) / (rows + 2)
    return Plan(thresholds.tolist(), accepted.tolist(), agreement.tolist())
