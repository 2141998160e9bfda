"""Dollars: what calls cost, what was saved with an interval, and when replacing a teacher pays.

Saved is what the teacher would have billed for the calls that the surrogate answered, less everything that
answering them cost: audits, surrogate, shadow and training.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import NormalDist

from jitr.schemas.money import Money

# What a core is assumed to cost: a shared cloud core of 2026, on demand.
USD_PER_CORE_HOUR = 0.05


def cpu_usd(core_s: float, usd_per_core_hour: float = USD_PER_CORE_HOUR) -> float:
    """What seconds of one core cost.

    Examples
    --------
    >>> cpu_usd(3600.0)
    0.05
    """
    return core_s * usd_per_core_hour / 3600


def add(a: Money, b: Money) -> Money:
    """Sums of two accounts, kind by kind.

    Examples
    --------
    >>> add(Money(teacher_calls=1, teacher_usd=0.5), Money(teacher_usd=0.25)).teacher_usd
    0.75
    """
    return Money(**{f: getattr(a, f) + getattr(b, f) for f in a.__struct_fields__})


def mean_bill_usd(money: Money) -> float:
    """Mean bill of the teacher, over the calls it answered and the audits; 0 before the first."""
    billed = money.teacher_calls + money.audit_calls
    return (money.teacher_usd + money.audit_usd) / billed if billed else 0.0


def instead_usd(money: Money) -> float:
    """What the teacher alone would have cost."""
    return money.teacher_usd + money.answered_calls * mean_bill_usd(money)


def actual_usd(money: Money) -> float:
    """What was spent, all kinds together."""
    return money.teacher_usd + money.audit_usd + money.surrogate_usd + money.shadow_usd + money.train_usd


def saved_usd(money: Money) -> float:
    """What was saved, net; negative while training, shadow and audits are not yet earned back.

    Examples
    --------
    >>> saved_usd(Money(teacher_calls=10, teacher_usd=1.0, answered_calls=90, train_usd=2.0))
    7.0
    """
    return instead_usd(money) - actual_usd(money)


def saved_interval(money: Money, confidence: float = 0.95) -> tuple[float, float]:
    """Interval of the saving: the teacher's bills for the calls it did not see are predicted, not known.

    The answered calls' bills are taken as draws from the same bills as those seen, with variance s^2: the
    sum of A of them, predicted from the mean of n, has variance ``A s^2 + A^2 s^2 / n``.

    Parameters
    ----------
    money : Money
    confidence : float
        In (0, 1).

    Returns
    -------
    tuple of float
        Low and high, in dollars; without two bills, minus and plus infinity if anything was answered.

    Examples
    --------
    >>> money = Money(teacher_calls=100, teacher_usd=10.0, answered_calls=900, cost_squares=1.25)
    >>> [round(x, 1) for x in (*saved_interval(money), saved_usd(money))]
    [80.7, 99.3, 90.0]
    """
    return total_saved_interval((money,), confidence)


def total_saved_interval(accounts: Iterable[Money], confidence: float = 0.95) -> tuple[float, float]:
    """Interval of the saving of several tasks together: their bills are their own, so variances add up.

    Examples
    --------
    >>> money = Money(teacher_calls=100, teacher_usd=10.0, answered_calls=900, cost_squares=1.25)
    >>> [round(x, 1) for x in total_saved_interval([money] * 4)]
    [341.3, 378.7]
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence} must lie in (0, 1)")
    saved = variance = 0.0
    for money in accounts:
        saved += saved_usd(money)
        variance += _variance(money)
    half = NormalDist().inv_cdf((1 + confidence) / 2) * math.sqrt(variance)
    return saved - half, saved + half


def _variance(money: Money) -> float:
    """Variance of what the teacher would have billed for the calls that it did not answer."""
    answered, n = money.answered_calls, money.teacher_calls + money.audit_calls
    if answered == 0:
        return 0.0
    if n < 2:
        return math.inf
    mean = mean_bill_usd(money)
    of_a_bill = max(0.0, money.cost_squares - n * mean * mean) / (n - 1)
    return of_a_bill * answered * (1 + answered / n)


@dataclass(frozen=True, slots=True)
class Payback:
    """What training is forecast to bring, before it is begun.

    ``lower_usd`` is the net saving at the lower bounds of calls and coverage, ``break_even_calls`` how many
    further calls the expected saving needs to pay for everything.
    """

    expected_usd: float
    lower_usd: float
    break_even_calls: float

    @property
    def pays(self) -> bool:
        """Whether even the lower bound is positive."""
        return self.lower_usd > 0


def training_pays(
    *,
    calls: int,
    span_s: float,
    horizon_s: float,
    bill_usd: float,
    coverage: float,
    coverage_low: float,
    train_core_s: float,
    shadow_calls: int,
    audit_share: float = 0.02,
    surrogate_core_s: float = 0.01,
    confidence: float = 0.95,
    usd_per_core_hour: float = USD_PER_CORE_HOUR,
) -> Payback:
    """Forecast whether a training earns itself back.

    The task is expected to go on at the rate it had; the calls to come are Poisson, and so were those seen.

    Parameters
    ----------
    calls : int
        Calls of the task seen so far, in ``span_s`` seconds of event time.
    horizon_s : float
        How far to look ahead, in seconds.
    bill_usd : float
        Mean bill of the teacher.
    coverage, coverage_low : float
        Share of calls that the surrogate is expected, and at least expected, to take.
    train_core_s, surrogate_core_s : float
        Core seconds of the training and of one answer.
    shadow_calls : int
        Calls to come before the surrogate answers any; it runs on each of them.
    audit_share : float
        Share of the surrogate's answers that the teacher is asked for too.

    Examples
    --------
    >>> busy = training_pays(calls=300, span_s=3600, horizon_s=30 * 86400, bill_usd=0.00087, coverage=0.7,
    ...                      coverage_low=0.3, train_core_s=600, shadow_calls=300)
    >>> busy.pays, round(busy.expected_usd)
    (True, 129)
    >>> training_pays(calls=300, span_s=86400, horizon_s=86400, bill_usd=1e-6, coverage=0.7,
    ...               coverage_low=0.3, train_core_s=600, shadow_calls=300).pays
    False
    """
    z = NormalDist().inv_cdf(confidence)
    ahead = horizon_s / span_s if span_s > 0 else 0.0
    expected = calls * ahead
    low = max(0.0, expected - z * math.sqrt(expected + calls * ahead * ahead))
    answer = cpu_usd(surrogate_core_s, usd_per_core_hour)
    fixed = cpu_usd(train_core_s, usd_per_core_hour) + shadow_calls * answer

    def net(n: float, share: float) -> float:
        after = max(0.0, n - shadow_calls)
        # The surrogate runs on every call; its gate tells only afterwards which it takes.
        return after * (share * bill_usd * (1 - audit_share) - answer) - fixed

    gain = coverage * bill_usd * (1 - audit_share) - answer
    return Payback(
        expected_usd=net(expected, coverage),
        lower_usd=net(low, coverage_low),
        break_even_calls=shadow_calls + fixed / gain if gain > 0 else math.inf,
    )
