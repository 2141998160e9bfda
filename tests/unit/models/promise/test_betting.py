"""Mixtures of likelihood ratios: right, fair under the null, and safe far out."""

import math

import numpy as np
import pytest
from scipy.stats import binom

from jitr.models.promise.betting import Mixture, divergence


def test_wealth_is_the_weighted_product_of_likelihood_ratios() -> None:
    bet = Mixture(0.9, [0.95, 0.99], [0.25, 0.75])
    by_hand = 0.25 * (0.95 / 0.9) ** 30 * (0.05 / 0.1) ** 2 + 0.75 * (0.99 / 0.9) ** 30 * (0.01 / 0.1) ** 2
    assert math.exp(float(bet.log_e_value(30, 2))) == pytest.approx(by_hand)


@pytest.mark.parametrize("rate", [0.5, 0.8, 0.9])
def test_under_the_null_nobody_gets_rich_on_average(rate: float) -> None:
    bet = Mixture(0.9, [0.92, 0.95, 0.999])
    agreed = np.arange(41)
    mean = float(np.exp(bet.log_e_value(agreed, 40 - agreed)) @ binom.pmf(agreed, 40, rate))
    assert mean == pytest.approx(1) if rate == 0.9 else mean < 1


def test_a_million_calls_neither_overflow_nor_prove_what_is_false() -> None:
    bet = Mixture(0.95, [0.9525, 0.999999])
    assert float(bet.log_e_value(1_000_000, 0)) > 1e4
    assert float(bet.log_e_value(940_000, 60_000)) < -50
    assert float(bet.log_e_value(0, 1_000_000)) < -1e4


def test_rows_of_bets_are_scored_each_by_its_own_counts() -> None:
    bet = Mixture(0.9, [[0.95, 0.99], [0.91, 0.92]])
    both = bet.log_e_value([10, 20], [1, 2])
    assert float(bet.log_e_value([20], [2], np.array([1]))[0]) == both[1] != both[0]


@pytest.mark.parametrize(
    ("null", "bets", "weights"), [(1.0, [0.5], None), (0.5, [1.0], None), (0.5, [0.6, 0.7], [0.5, 0.6])]
)
def test_impossible_bets_are_refused(null: float, bets: list[float], weights: list[float] | None) -> None:
    with pytest.raises(ValueError, match=r"must (lie|be)"):
        Mixture(null, bets, weights)


def test_sixty_three_audits_are_one_look_at_five_percent() -> None:
    assert math.log(20) / divergence(0.87, 0.95) == pytest.approx(63, abs=0.5)
