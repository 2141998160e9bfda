"""Proving on held-back rows: exact, in an order fixed by training."""

from __future__ import annotations

import numpy as np
import pytest

from jitr.models.promise.held_back import fine_thresholds, prove

GRID = [0.8, 0.6, 0.4, 0.2, 0.0]


def rows(n: int, rate: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    scores = rng.random(n)
    return scores, rng.random(n) < rate


def test_what_agrees_everywhere_is_proved_in_full() -> None:
    scores, _ = rows(400, 1.0)
    proof = prove("split", scores, np.ones(400, bool), GRID, [0.99] * 5, 0.95, 0.05)
    assert proof is not None and proof.threshold == 0.0 and proof.coverage == 1.0 and proof.bound > 0.95


def test_a_share_past_a_failure_is_not_proved() -> None:
    scores = np.linspace(0, 1, 1000)
    agrees = (scores > 0.6) | (scores < 0.3)
    proof = prove("split", scores, agrees, GRID, [0.999, 0.99, 0.5, 0.5, 0.5], 0.95, 0.05)
    assert proof is not None and proof.threshold == 0.6


def test_nothing_is_proved_where_the_forecast_has_no_hope_or_the_rows_are_too_few() -> None:
    scores, agrees = rows(20, 1.0)
    assert prove("split", scores, agrees, GRID, [0.9] * 5, 0.95, 0.05) is None


def test_all_of_delta_is_spent_on_one_test() -> None:
    """0.95 ** 59 is just below 0.05: the whole of delta is needed."""
    proof = prove("split", np.ones(59), np.ones(59, bool), GRID, [0.99] * 5, 0.95, 0.05)
    assert proof is not None and proof.calls == 59 and proof.threshold == 0.0


def test_false_certificates_are_as_rare_as_promised() -> None:
    broken = 0
    for seed in range(400):
        scores, agrees = rows(300, 0.895, seed)
        broken += prove("split", scores, agrees, GRID, [0.97] * 5, 0.90, 0.05) is not None
    assert broken / 400 < 0.075  # 0.05 and three standard errors


def test_the_walk_begins_where_the_forecast_is_surest_to_pass() -> None:
    scores = np.linspace(0, 1, 2000)
    agrees = np.ones(2000, bool)
    agrees[scores > 0.9] = False  # the strictest tenth is wrong by bad luck
    proof = prove("split", scores, agrees, [0.85, 0.0], [0.90, 0.99], 0.85, 0.05)
    assert proof is not None and proof.threshold == 0.0
    assert prove("split", scores, agrees, [0.85, 0.0], [0.99, 0.99], 0.85, 0.05) is None


def test_thresholds_descend_to_zero_and_take_the_weights_into_account() -> None:
    scores, agrees = rows(200, 0.9)
    thresholds, forecast = fine_thresholds(scores, agrees, np.ones(200))
    assert thresholds == sorted(thresholds, reverse=True) and thresholds[-1] == 0.0
    assert all(0 < q < 1 for q in forecast)


def test_forecasts_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="2 thresholds need as many forecasts, got 1"):
        prove("split", np.ones(3), np.ones(3, bool), [0.5, 0.0], [0.9], 0.9, 0.05)
