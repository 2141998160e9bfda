"""The court: an e-process with a budget."""

import random

import pytest

from jitr.models.promise.court import Court


def scored(court: Court, rate: float, calls: int, seed: int = 0) -> int | None:
    """Calls scored in a hold until the verdict."""
    rng = random.Random(seed)
    court.enter_hold()
    return next((k for k in range(1, calls) if court.score(rng.random() < rate) and court.guilty), None)


def test_a_broken_promise_is_found_in_the_hold() -> None:
    assert scored(Court(0.95, 100, 1_000_000, 0.1), 0.85, 5_000) is not None


def test_a_kept_promise_is_not() -> None:
    found = [scored(Court(0.95, 100, 1_000_000, 0.1), 0.96, 20_000, seed) for seed in range(20)]
    assert found == [None] * 20


def test_no_more_than_one_dollar_is_given_in_a_horizon() -> None:
    court = Court(0.95, 1, 1_000, 0.1)
    court._bets = [0.0] * 5  # bets that win and lose nothing leave what was given
    for k in range(999):
        if k % 50 == 0:
            court.enter_hold()
        court.score(agreed=k % 2 == 0)
    assert court.wealth == pytest.approx(0.5 * 0.999 + 0.5)


@pytest.mark.parametrize("target", [0.5, 0.9, 0.95, 0.999])
def test_wealth_never_turns_negative(target: float) -> None:
    court = Court(target, 5, 10_000, 0.1)
    court.enter_hold()
    for _ in range(500):
        court.score(agreed=True)
        assert court.wealth >= 0


def test_at_most_one_audit_a_block_is_bet_on() -> None:
    court = Court(0.95, 100, 1_000_000, 0.1)
    for _ in range(30):
        court.accepted(10)
        court.audit(agreed=False)
    assert court.scored == 3


def test_a_burst_inside_one_block_counts_as_one_mean() -> None:
    court = Court(0.95, 100, 1_000_000, 0.1)
    court.enter_hold()
    for k in range(100):
        court.score(agreed=k >= 50)
    assert not court.guilty
    assert court.wealth < 0.2
