"""What replacing a task's calls would save from here on, with an interval; from counts that a log gives."""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import NormalDist

from jitr.models.economics.money import cpu_usd
from jitr.schemas.scan import Interval

CONFIDENCE = 0.95
# as in `jitr.models.economics.money.training_pays`
AUDIT_SHARE = 0.02
ANSWER_CORE_S = 0.01
TRAIN_CORE_S = 600.0


def saving(
    *, calls: int, ahead: float, bill_usd: float, deviation_usd: float, coverage: float, held: int
) -> Interval:
    """Dollars saved over the time ahead if the proved share of a task's calls is answered by a surrogate.

    The calls to come are Poisson at the rate of those seen, of which there were Poisson many too; the share
    is known from ``held`` calls, the mean bill from those seen. Their errors are added by the delta method:
    it says how surely the past is known, and nothing of traffic that changes.

    Parameters
    ----------
    calls : int
        Calls seen.
    ahead : float
        How many times the time in which they were seen lies ahead.
    bill_usd, deviation_usd : float
        Mean and standard deviation of a call's cost.
    coverage : float
        Share of calls that the surrogate may answer, in [0, 1].
    held : int
        Calls on which that share was measured.

    Examples
    --------
    >>> found = saving(calls=5000, ahead=2.0, bill_usd=0.001, deviation_usd=0.0002, coverage=0.8, held=600)
    >>> [round(x, 2) for x in (found.low, found.expected, found.high)]
    [7.42, 7.83, 8.24]
    >>> saving(calls=50, ahead=2.0, bill_usd=0.001, deviation_usd=0.0, coverage=0.0, held=20).expected
    0.0
    """
    if coverage <= 0.0 or held <= 0 or calls <= 0:
        return Interval(0.0, 0.0, 0.0)
    n = calls * ahead
    answer = cpu_usd(ANSWER_CORE_S)
    kept = 1 - AUDIT_SHARE
    # the surrogate runs on every call; its gate tells only afterwards which it takes
    gain = coverage * bill_usd * kept - answer
    expected = n * gain - cpu_usd(TRAIN_CORE_S)
    variance = (
        gain**2 * (n + n * ahead)
        + (n * bill_usd * kept) ** 2 * coverage * (1 - coverage) / held
        + (n * coverage * kept) ** 2 * deviation_usd**2 / calls
    )
    half = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * math.sqrt(variance)
    return Interval(expected, expected - half, expected + half)


def total(parts: Iterable[Interval]) -> Interval:
    """The sum of independent savings; their errors add in squares.

    Examples
    --------
    >>> total([Interval(10.0, 7.0, 13.0), Interval(5.0, 1.0, 9.0)])
    Interval(expected=15.0, low=10.0, high=20.0)
    """
    found = list(parts)
    expected = sum([p.expected for p in found])
    half = math.sqrt(sum([((p.high - p.low) / 2) ** 2 for p in found]))
    return Interval(expected, expected - half, expected + half)
