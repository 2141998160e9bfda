"""Surrogates stop where no audit could be seen, on both sides of each bound, and go on by themselves."""

from __future__ import annotations

import pytest

from jitr.router.publishing.publish_health import CALM_S, RESUME_S, STALL_S, PublishHealth


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(("waited_s", "is_open"), [(0.0, True), (STALL_S, True), (STALL_S + 0.001, False)])
def test_it_shuts_when_a_call_waits_for_too_long(waited_s: float, is_open: bool) -> None:
    clock = Clock()
    assert PublishHealth(clock).open(clock.now - waited_s) is is_open


@pytest.mark.parametrize(("waited_s", "is_open"), [(RESUME_S, False), (RESUME_S - 0.001, True)])
def test_once_shut_it_opens_only_when_calls_wait_much_shorter(waited_s: float, is_open: bool) -> None:
    clock = Clock()
    health = PublishHealth(clock)
    assert not health.open(clock.now - STALL_S - 1)
    assert health.open(clock.now - waited_s) is is_open


@pytest.mark.parametrize(("since_s", "is_open"), [(0.0, False), (CALM_S - 0.001, False), (CALM_S, True)])
def test_after_a_loss_it_stays_shut_for_a_while(since_s: float, is_open: bool) -> None:
    clock = Clock()
    health = PublishHealth(clock)
    health.lost()
    clock.now += since_s
    assert health.open(None) is is_open


def test_each_loss_begins_the_while_again() -> None:
    clock = Clock()
    health = PublishHealth(clock)
    health.lost()
    clock.now += CALM_S - 1
    health.lost()
    clock.now += CALM_S - 1
    assert not health.open(None)
    clock.now += 1
    assert health.open(None)
