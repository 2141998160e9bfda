"""The bounds of a key, at one gateway and at several."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jitr.router.callers.keyring import Used
from jitr.router.callers.limits import CallerLimits, wait_s
from jitr.schemas.keys import GatewayKey


class Clock:
    def __init__(self, s: float = 60_000.0) -> None:
        self.s = s

    def __call__(self) -> float:
        return self.s


def key(**bounds: float | int | None) -> GatewayKey:
    return GatewayKey(id="k", tenant="t", digest="", **bounds)  # type: ignore[arg-type]  # of either kind


def test_a_key_without_bounds_is_not_even_counted() -> None:
    limits = CallerLimits(Clock())
    assert all(limits.take(key()) is None for _ in range(1000))
    assert limits.untold()[0] == {}


@pytest.mark.parametrize("most", [1, 7, 60])
def test_exactly_so_many_requests_fit_into_the_first_minute(most: int) -> None:
    limits = CallerLimits(Clock())
    taken = [limits.take(key(requests_per_min=most)) for _ in range(most + 1)]
    assert taken[:most] == [None] * most
    assert taken[most] is not None and taken[most][0] == "requests_per_min"


@given(
    before=st.integers(0, 200),
    current=st.integers(0, 200),
    passed_s=st.floats(0, 59.999),
    most=st.integers(1, 150),
)
def test_who_comes_again_when_it_was_told_to_is_served_and_not_much_sooner(
    before: int, current: int, passed_s: float, most: int
) -> None:
    wait = wait_s(before, current, passed_s, most)
    assert 0 <= wait <= 120

    def fits(after_s: float) -> bool:
        at = passed_s + after_s
        if at < 60:
            return before * (1 - at / 60) <= most - 1 - current + 1e-6
        return current * (1 - (at - 60) / 60) <= most - 1 + 1e-6

    assert fits(wait + 1e-6)
    assert (
        wait == 0 or not fits(wait - 0.01) or wait < 0.01 or math.isclose(passed_s + wait, 60, abs_tol=0.02)
    )


@given(st.lists(st.floats(0, 20), min_size=1, max_size=300))
def test_no_minute_of_the_clock_has_more_than_was_allowed(gaps_s: list[float]) -> None:
    clock, most = Clock(), 10
    limits, served = CallerLimits(clock), []
    for gap_s in gaps_s:
        clock.s += gap_s
        if limits.take(key(requests_per_min=most)) is None:
            served.append(int(clock.s // 60))
    assert all(served.count(minute) <= most for minute in served)


def test_a_day_has_its_dollars_and_the_next_has_them_anew() -> None:
    clock = Clock(86_400 * 20_000 + 80_000.5)
    limits, bounded = CallerLimits(clock), key(usd_per_day=0.5)
    assert limits.take(bounded) is None
    limits.charge(bounded, 0.49)
    assert limits.take(bounded) is None
    limits.charge(bounded, 0.02)
    assert limits.take(bounded) == ("usd_per_day", 6400)
    clock.s += 6400
    assert limits.take(bounded) is None


def test_what_another_gateway_has_served_counts_here() -> None:
    clock = Clock()
    here, there = CallerLimits(clock), CallerLimits(clock)
    bounded = key(requests_per_min=4, usd_per_day=1.0)
    for limits in (here, there):
        assert [limits.take(bounded) for _ in range(2)] == [None, None]
        limits.charge(bounded, 0.4)
    total = Used(4, 0.8)
    for limits in (here, there):
        used, minute, day = limits.untold()
        assert used == {"k": Used(2, 0.4)}
        limits.told(used, {"k": total}, minute, day)
        assert limits.untold()[0] == {"k": Used(0, 0.0)}
        assert limits.take(bounded) is not None


def test_what_comes_while_the_others_are_asked_is_told_the_next_time() -> None:
    clock = Clock()
    limits, bounded = CallerLimits(clock), key(requests_per_min=10)
    limits.take(bounded)
    used, minute, day = limits.untold()
    limits.take(bounded)
    limits.told(used, {"k": Used(1, 0.0)}, minute, day)
    assert limits.untold()[0] == {"k": Used(1, 0.0)}


def test_a_gateway_that_starts_knows_what_was_spent_today() -> None:
    limits = CallerLimits(Clock())
    limits.begin({"k": 3.0})
    assert limits.take(key(usd_per_day=2.0)) is not None
