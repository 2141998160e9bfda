"""E-processes on a rate of agreement: mixtures of likelihood ratios, kept as logarithms.

A mixture of ``prod LR(y; b, m)`` with ``LR(y; b, m) = (b/m)^y ((1-b)/(1-m))^(1-y)`` is an e-process for
"agreement <= m" if every b > m, and for "agreement >= m" if every b < m: where that hypothesis holds, the
mixture ever reaches 1/delta with probability <= delta, however often one looks (Ville's inequality;
Waudby-Smith and Ramdas, 2024). Products over hundreds of calls leave the range of floats; their logarithms do
not.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


class Mixture:
    """A weighted mixture of likelihood ratios of alternative rates to one null rate.

    Its value depends only on how many calls agreed and disagreed, so that no other state is kept.

    Parameters
    ----------
    null : float
        The rate m under test, in (0, 1).
    bets : array of shape (..., k)
        The alternative rates b in (0, 1), all above or all below the null.
    weights : sequence of k floats, optional
        Non-negative, summing to 1; equal by default.

    Raises
    ------
    ValueError
        If a rate is out of range or the weights do not sum to 1.

    Examples
    --------
    >>> bet = Mixture(0.5, [0.75, 1 - 1e-9])
    >>> round(float(bet.log_e_value(0, 0)), 6)
    0.0
    >>> round(float(np.exp(bet.log_e_value(4, 0))), 2)  # (1.5^4 + 2^4) / 2
    10.53
    """

    def __init__(self, null: float, bets: ArrayLike, weights: Sequence[float] | None = None) -> None:
        b = np.asarray(bets, dtype=np.float64)
        w = np.full(b.shape[-1], 1 / b.shape[-1]) if weights is None else np.asarray(weights, np.float64)
        if not 0 < null < 1 or not ((b > 0) & (b < 1)).all():
            raise ValueError(f"null={null} and bets={b.tolist()} must lie in (0, 1)")
        if len(w) != b.shape[-1] or (w < 0).any() or abs(float(w.sum()) - 1) > 1e-9:
            raise ValueError(f"weights={weights} must be {b.shape[-1]} shares that sum to 1")
        self.won: Array = np.log(b) - np.log(null)
        # log1p keeps the complement where 1 - b would cancel
        self.lost: Array = np.log1p(-b) - np.log1p(-null)
        with np.errstate(divide="ignore"):
            self.log_weights: Array = np.log(w)

    def log_e_value(
        self, agreed: ArrayLike, disagreed: ArrayLike, rows: NDArray[np.intp] | None = None
    ) -> Array:
        """Return the logarithm of the mixture after these counts: the e-value, in nats.

        Parameters
        ----------
        agreed, disagreed : counts of the shape of ``bets`` without its last axis
        rows : index, optional
            Which rows of ``bets`` the counts belong to.
        """
        won, lost = (self.won, self.lost) if rows is None else (self.won[rows], self.lost[rows])
        a, d = np.asarray(agreed, np.float64), np.asarray(disagreed, np.float64)
        logs = self.log_weights + a[..., None] * won + d[..., None] * lost
        top = logs.max(axis=-1)
        return np.asarray(top + np.log(np.exp(logs - top[..., None]).sum(axis=-1)))


def divergence(q: float, m: float) -> float:
    """Return the Kullback-Leibler divergence of rate q from rate m, in nats a call.

    No e-process against "the rate is m" grows faster on average, where the rate is q.

    Examples
    --------
    >>> round(divergence(0.87, 0.95), 4)
    0.0477
    """
    return float(q * np.log(q / m) + (1 - q) * (np.log1p(-q) - np.log1p(-m)))
