"""Blindness: audits that never come show by their share among the answers; those that fail show nothing."""

import random
from collections.abc import Callable

import msgspec
import pytest

from jitr.models.promise.blind import LATE_S, Blind, BlindState


def live(watch: Blind, n: int, rate: float, told: Callable[[bool], bool], start: int = 0) -> int | None:
    """Seconds until it is blind, at an answer a second; ``told`` says which events come, audit or not."""
    rng = random.Random(7)
    for k in range(start, start + n):
        audited = rng.random() < rate
        if told(audited):
            watch.answered(float(k), rate, audited)
        if watch.blind:
            return k - start
    return None


@pytest.mark.parametrize("rate", [0.2, 0.05])
def test_audits_that_never_come_are_missed_after_some_thirty(rate: float) -> None:
    seen = live(Blind(), 20_000, rate, lambda audited: not audited)
    assert seen is not None
    assert 15 / rate < seen - LATE_S < 60 / rate


def test_half_of_them_lost_is_noticed_and_none_lost_is_not() -> None:
    coin = random.Random(1)
    assert live(Blind(), 60_000, 0.2, lambda audited: not audited or coin.random() < 0.5) is not None
    assert live(Blind(), 60_000, 0.2, lambda audited: True) is None


def test_events_that_are_lost_whatever_they_are_do_not_make_it_blind() -> None:
    coin = random.Random(2)
    assert live(Blind(), 60_000, 0.2, lambda audited: coin.random() < 0.3) is None


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_where_none_or_all_are_audited_nothing_is_missed(rate: float) -> None:
    assert live(Blind(), 20_000, rate, lambda audited: True) is None


def test_audits_that_come_late_because_the_teacher_is_slow_are_not_missed() -> None:
    watch, late = Blind(), LATE_S - 60
    answers = [(float(k), random.Random(k).random() < 0.2) for k in range(10_000)]
    arrivals = sorted([(time + late * audited, time, audited) for time, audited in answers])
    for _, time, audited in arrivals:
        watch.answered(time, 0.2, audited)
        assert not watch.blind


def test_a_restart_forgets_and_a_saved_watch_goes_on() -> None:
    watch = Blind()
    live(watch, 1_000, 0.2, lambda audited: not audited)
    saved = Blind.from_state(msgspec.json.decode(msgspec.json.encode(watch.state()), type=BlindState))
    assert saved.state() == watch.state()
    assert live(saved, 2_000, 0.2, lambda audited: not audited, start=1_000) is not None
    saved.restart()
    assert saved.state() == Blind().state()


def test_memory_is_bounded_whatever_the_times() -> None:
    watch = Blind()
    for k in range(2_000):
        watch.answered(k * 3600.0 * (-1) ** k, 0.2, False)
        assert len(watch.state().waiting) <= 241
