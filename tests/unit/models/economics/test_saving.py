"""The forecast of what replacing saves, against simulated months."""

import numpy as np
import pytest

from jitr.models.economics.saving import saving, total
from jitr.schemas.scan import Interval


@pytest.mark.parametrize(("rate", "coverage", "held"), [(400.0, 0.8, 150), (3000.0, 0.5, 900)])
def test_the_interval_holds_what_a_month_like_the_log_saves(rate: float, coverage: float, held: int) -> None:
    rng = np.random.default_rng(7)
    inside, lives, ahead = 0, 600, 3.0
    for _ in range(lives):
        bills = rng.gamma(4.0, 0.0005, size=rng.poisson(rate))
        share = rng.binomial(held, coverage) / held
        said = saving(
            calls=len(bills),
            ahead=ahead,
            bill_usd=float(bills.mean()),
            deviation_usd=float(bills.std(ddof=1)),
            coverage=float(share),
            held=held,
        )
        month = rng.poisson(rate * ahead)
        true = month * (coverage * 4 * 0.0005 * 0.98 - 0.01 * 0.05 / 3600) - 600 * 0.05 / 3600
        inside += said.low <= true <= said.high
    assert 0.92 <= inside / lives <= 0.985


def test_what_is_not_proved_saves_nothing() -> None:
    nothing = saving(calls=100, ahead=9.0, bill_usd=1.0, deviation_usd=0.0, coverage=0.0, held=50)
    assert nothing == Interval(0.0, 0.0, 0.0)
    assert total([]) == Interval(0.0, 0.0, 0.0)


def test_a_task_whose_calls_cost_less_than_the_surrogate_loses_money() -> None:
    assert saving(calls=10, ahead=1.0, bill_usd=1e-9, deviation_usd=0.0, coverage=1.0, held=50).expected < 0
