"""Exact bounds on an agreement rate from a fixed sample (Clopper and Pearson, 1934).

docs/guarantee.md, "Proof on rows held back".
"""

from __future__ import annotations

from scipy.stats import beta


def lower_bound(agreed: int, n: int, delta: float) -> float:
    """Return a one-sided lower confidence bound on the rate of agreement.

    It holds for one look at a sample whose size was fixed beforehand. Use `jitr.models.promise.shadow` where
    one looks as calls come in: who looks at this bound until it passes errs far more often than delta.

    Parameters
    ----------
    agreed : int
        Trials in which surrogate and teacher agreed, 0 <= agreed <= n.
    n : int
        Trials; 0 gives the empty bound 0.0.
    delta : float
        Error probability in (0, 1); the bound holds with probability >= 1 - delta.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        If the counts or delta are out of range.

    Examples
    --------
    >>> round(lower_bound(97, 100, 0.05), 3)
    0.924
    >>> lower_bound(0, 0, 0.05)
    0.0
    """
    _check(agreed, n, delta)
    return 0.0 if agreed == 0 else float(beta.ppf(delta, agreed, n - agreed + 1))


def upper_bound(agreed: int, n: int, delta: float) -> float:
    """Return a one-sided upper confidence bound on the rate of agreement; see `lower_bound`.

    Examples
    --------
    >>> round(upper_bound(97, 100, 0.05), 3)
    0.992
    >>> upper_bound(0, 0, 0.05)
    1.0
    """
    _check(agreed, n, delta)
    return 1.0 if agreed == n else float(beta.ppf(1 - delta, agreed + 1, n - agreed))


def _check(agreed: int, n: int, delta: float) -> None:
    if not 0 <= agreed <= n:
        raise ValueError(f"agreed={agreed} must lie in 0..n={n}")
    if not 0 < delta < 1:
        raise ValueError(f"delta={delta} must lie in (0, 1)")
