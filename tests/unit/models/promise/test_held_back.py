"""Proving on held-back rows: exact, in an order fixed by training."""

from __future__ import annotations

import numpy as np
import pytest

from jitr.models.promise.held_back import Plan, fine_thresholds, prove

GRID = [0.8, 0.6, 0.4, 0.2, 0.0]


def plan(*agreement: float) -> Plan:
    return Plan(GRID, [0.2, 0.4, 0.6, 0.8, 1.0], list(agreement))


def rows(n: int, rate: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    scores = rng.random(n)
    return scores, rng.random(n) < rate


def test_what_agrees_everywhere_is_proved_in_full() -> None:
    scores, _ = rows(400, 1.0)
    proof = prove("split", scores, np.ones(400, bool), plan(*[0.99] * 5), 0.95, 0.05)
    assert proof is not None and proof.threshold == 0.0 and proof.coverage == 1.0 and proof.bound > 0.95


def test_a_share_past_a_failure_is_not_proved() -> None:
    scores = np.linspace(0, 1, 1000)
    agrees = (scores > 0.6) | (scores < 0.3)
    proof = prove("split", scores, agrees, plan(0.999, 0.99, 0.5, 0.5, 0.5), 0.95, 0.05)
    assert proof is not None and proof.threshold == 0.6


def test_nothing_is_proved_where_the_forecast_has_no_hope_or_the_rows_are_too_few() -> None:
    scores, agrees = rows(20, 1.0)
    assert prove("split", scores, agrees, plan(*[0.9] * 5), 0.95, 0.05) is None


def test_all_of_delta_is_spent_on_one_test() -> None:
    """0.95 ** 59 is just below 0.05: the whole of delta is needed."""
    proof = prove("split", np.ones(59), np.ones(59, bool), plan(*[0.99] * 5), 0.95, 0.05)
    assert proof is not None and proof.calls == 59 and proof.threshold == 0.0


def test_false_certificates_are_as_rare_as_promised() -> None:
    broken = 0
    for seed in range(400):
        scores, agrees = rows(300, 0.895, seed)
        broken += prove("split", scores, agrees, plan(*[0.97] * 5), 0.90, 0.05) is not None
    assert broken / 400 < 0.075  # 0.05 and three standard errors


def test_the_walk_begins_where_the_forecast_is_surest_to_pass() -> None:
    scores = np.linspace(0, 1, 2000)
    agrees = np.ones(2000, bool)
    agrees[scores > 0.9] = False  # the strictest tenth is wrong by bad luck
    proof = prove("split", scores, agrees, Plan([0.85, 0.0], [0.15, 1.0], [0.90, 0.99]), 0.85, 0.05)
    assert proof is not None and proof.threshold == 0.0
    assert prove("split", scores, agrees, Plan([0.85, 0.0], [0.15, 1.0], [0.99, 0.99]), 0.85, 0.05) is None


def test_thresholds_descend_to_zero_and_take_the_weights_into_account() -> None:
    scores, agrees = rows(200, 0.9)
    thresholds, shares, forecast = fine_thresholds(scores, agrees, np.ones(200))
    assert shares == sorted(shares) and shares[-1] == 1.0
    assert thresholds == sorted(thresholds, reverse=True) and thresholds[-1] == 0.0
    assert all(0 < q < 1 for q in forecast)


def test_the_walk_does_not_hang_on_the_rows_that_it_looks_at() -> None:
    """59 rows without a disagreement prove 0.95, 58 do not: no other place is sought for the sake of one."""
    agrees = np.ones(118, bool)
    asked = Plan([0.5, 0.4, 0.0], [0.53, 0.56, 1.0], [0.999, 0.999, 0.5])
    enough, few = (np.where(np.arange(118) < accepted, 0.9, 0.1) for accepted in (60, 58))
    assert prove("split", enough, agrees, asked, 0.95, 0.05) is not None
    assert prove("split", few, agrees, asked, 0.95, 0.05) is None


def test_what_ties_bring_along_is_forecast_too() -> None:
    scores = np.repeat([0.9, 0.5], [10, 90])
    found = fine_thresholds(scores, scores > 0.6, np.ones(100))
    assert found.shares[0] == 1.0 and found.agreement[0] == pytest.approx(11 / 102)


def test_forecasts_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="2 thresholds need as many shares and forecasts, got 2 and 1"):
        prove("split", np.ones(3), np.ones(3, bool), Plan([0.5, 0.0], [0.5, 1.0], [0.9]), 0.9, 0.05)
