"""What out-of-sample scores forecast: thresholds for shares of accepted calls, and the agreement at each.

They fix the order in which the shadow run may prove thresholds; they prove nothing themselves.
docs/guarantee.md, "Shadow run".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SHARES = tuple(round(0.30 + 0.005 * i, 3) for i in range(141))


@dataclass(frozen=True)
class Forecast:
    """Shares of accepted calls, strictest first, with the score to ask for and the agreement to expect."""

    shares: tuple[float, ...]
    thresholds: tuple[float, ...]
    agreement: tuple[float, ...]

    def coverage(self, target: float) -> float:
        """Greatest share whose agreement is still the target; 0 where there is none."""
        return max((c for c, q in zip(self.shares, self.agreement, strict=True) if q >= target), default=0.0)


def forecast(
    scores: NDArray[np.float64], agrees: NDArray[np.bool_], weights: NDArray[np.float64]
) -> Forecast:
    """Forecast from out-of-sample gate scores.

    Parameters
    ----------
    scores : array of shape (n,)
    agrees : bool array of shape (n,)
        Whether the out-of-sample answer was the teacher's.
    weights : array of shape (n,)
        1/p of rows that came by sampling.

    Returns
    -------
    Forecast
        The last share, 1.00, accepts everything (threshold 0).

    Examples
    --------
    >>> f = forecast(np.linspace(0, 1, 101), np.arange(101) >= 40, np.ones(101))
    >>> f.shares[0], round(f.thresholds[0], 2), round(f.agreement[0], 2), f.coverage(0.95)
    (0.3, 0.7, 0.97, 0.62)
    """
    order = np.argsort(-scores, kind="stable")
    reached = np.cumsum(weights[order])
    agreed = np.cumsum(weights[order] * agrees[order])
    thresholds, agreement = [], []
    for share in SHARES:
        at = min(int(np.searchsorted(reached, share * reached[-1] - 1e-9)), len(order) - 1)
        thresholds.append(float(scores[order[at]]))
        # one agreed and one not are added: a forecast is never certain
        rows = reached[at] / reached[-1] * len(order)
        agreement.append(float((agreed[at] / reached[at] * rows + 1) / (rows + 2)))
    thresholds[-1] = 0.0
    return Forecast(SHARES, tuple(thresholds), tuple(agreement))
