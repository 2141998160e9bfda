"""Whom the upstream has served lately."""

import random

import pytest

from jitr.router.callers.accepted import Accepted


class Clock:
    def __init__(self) -> None:
        self.s = 1000.0

    def __call__(self) -> float:
        return self.s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_an_acceptance_lasts_as_long_as_was_set_and_no_longer(clock: Clock) -> None:
    accepted = Accepted(600.0, clock=clock)
    assert not accepted.holds(b"a", "m")
    accepted.heard(b"a", "m", 200, asked_at=clock.s)
    clock.s += 599.9
    assert accepted.holds(b"a", "m")
    clock.s += 0.2
    assert not accepted.holds(b"a", "m")


@pytest.mark.parametrize(
    ("status", "holds"),
    [
        (200, True),
        (201, True),
        (400, True),
        (404, True),
        (429, True),
        (500, True),
        (401, False),
        (403, False),
    ],
)
def test_only_401_and_403_take_it_back(clock: Clock, status: int, holds: bool) -> None:
    accepted = Accepted(600.0, clock=clock)
    accepted.heard(b"a", "m", 200, asked_at=clock.s)
    clock.s += 1
    accepted.heard(b"a", "other", status, asked_at=clock.s)
    assert accepted.holds(b"a", "m") is holds


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 429, 500, 503])
def test_what_is_no_answer_proves_nobody(clock: Clock, status: int) -> None:
    accepted = Accepted(600.0, clock=clock)
    accepted.heard(b"a", "m", status, asked_at=clock.s)
    assert not accepted.holds(b"a", "m")


def test_an_answer_to_what_was_asked_before_a_refusal_proves_nobody(clock: Clock) -> None:
    accepted = Accepted(600.0, clock=clock)
    asked_at = clock.s
    clock.s += 1
    accepted.heard(b"a", "m", 401, asked_at=clock.s)
    clock.s += 1
    accepted.heard(b"a", "m", 200, asked_at=asked_at)
    assert not accepted.holds(b"a", "m")
    accepted.heard(b"a", "m", 200, asked_at=clock.s)
    assert accepted.holds(b"a", "m")


def test_a_flood_of_wrong_keys_makes_nobody_forgotten_and_takes_no_memory(clock: Clock) -> None:
    accepted = Accepted(600.0, clock=clock, most=100)
    accepted.heard(b"a", "m", 200, asked_at=clock.s)
    for i in range(1000):
        accepted.heard(b"wrong %d" % i, "m", 401, asked_at=clock.s)
    assert accepted.holds(b"a", "m")
    assert len(accepted._refused_at) == 100


def test_of_many_callers_and_models_the_latest_are_known(clock: Clock) -> None:
    accepted = Accepted(600.0, clock=clock, most=10)
    for i in range(50):
        accepted.heard(b"%d" % i, "m", 200, asked_at=clock.s)
        accepted.heard(b"one", f"m{i}", 200, asked_at=clock.s)
        for j in range(100):
            accepted.heard(b"one", f"x{random.Random(j).random()}", 200, asked_at=clock.s)
    assert len(accepted._until) == 10 and len(accepted._until[b"one"]) == 64
    assert accepted.holds(b"49", "m") and not accepted.holds(b"0", "m")
