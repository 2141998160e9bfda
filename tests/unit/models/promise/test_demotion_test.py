"""The demotion test: an e-process with a budget."""

import random

import pytest

from jitr.models.promise.demotion_test import DemotionTest


def scored(test: DemotionTest, rate: float, calls: int, seed: int = 0) -> int | None:
    """Calls scored in a hold until it rejects."""
    rng = random.Random(seed)
    test.enter_hold()
    return next((k for k in range(1, calls) if test.score(rng.random() < rate) and test.rejected), None)


def test_a_broken_promise_is_found_in_the_hold() -> None:
    assert scored(DemotionTest(0.95, 100, 1_000_000, 0.1), 0.85, 5_000) is not None


def test_a_kept_promise_is_not() -> None:
    found = [scored(DemotionTest(0.95, 100, 1_000_000, 0.1), 0.96, 20_000, seed) for seed in range(20)]
    assert found == [None] * 20


def test_no_more_than_one_is_put_in_in_a_horizon() -> None:
    test = DemotionTest(0.95, 1, 1_000, 0.1)
    test._bets = [0.0] * 5  # bets that win and lose nothing leave what was put in
    for k in range(999):
        if k % 50 == 0:
            test.enter_hold()
        test.score(agreed=k % 2 == 0)
    assert test.e_value == pytest.approx(0.5 * 0.999 + 0.5)


@pytest.mark.parametrize("target", [0.5, 0.9, 0.95, 0.999])
def test_the_e_value_never_turns_negative(target: float) -> None:
    test = DemotionTest(target, 5, 10_000, 0.1)
    test.enter_hold()
    for _ in range(500):
        test.score(agreed=True)
        assert test.e_value >= 0


def test_at_most_one_audit_a_block_is_bet_on() -> None:
    test = DemotionTest(0.95, 100, 1_000_000, 0.1)
    for _ in range(30):
        test.accepted(10)
        test.audit(agreed=False)
    assert test.scored == 3


def test_a_burst_inside_one_block_counts_as_one_mean() -> None:
    test = DemotionTest(0.95, 100, 1_000_000, 0.1)
    test.enter_hold()
    for k in range(100):
        test.score(agreed=k >= 50)
    assert not test.rejected
    assert test.e_value < 0.2
