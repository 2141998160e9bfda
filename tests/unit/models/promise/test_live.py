"""A live promise: audits, hold, demotion test and blindness together, over one life."""

import random

import msgspec
import pytest

from jitr.models.promise.findings import Alarmed, Demoted, Finding, RateChanged, Resumed
from jitr.models.promise.live import LivePromise, LiveState
from jitr.schemas.policy import DEMO, Policy

Seen = list[Finding]


def serve(live: LivePromise, rng: random.Random, agreement: float, calls: int) -> Seen:
    """So many accepted calls: audited with the rate in force, all scored in a hold."""
    seen: Seen = []
    for _ in range(calls):
        agrees = rng.random() < agreement
        if live.held:
            seen += live.scored_in_hold(agrees)
            continue
        audited = rng.random() < live.audit_rate
        seen += live.accepted()
        if audited:
            seen += live.audit(agrees)
    return seen


def of(kind: type[Finding], seen: Seen) -> Seen:
    return [finding for finding in seen if isinstance(finding, kind)]


def test_while_it_keeps_its_promise_audits_only_become_fewer() -> None:
    live = LivePromise(Policy(), 500, 495)
    seen = serve(live, random.Random(1), 0.99, 40_000)
    assert not of(Demoted, seen)
    rates = [f.audit_rate for f in seen if isinstance(f, RateChanged)]
    assert rates[-1] == live.audit_rate
    assert min(rates) == Policy().audit_floor


def test_a_drop_calls_a_hold_and_then_the_test_demotes() -> None:
    live, rng = LivePromise(Policy(), 500, 490), random.Random(2)
    assert not of(Alarmed, serve(live, rng, 0.98, 2_000))
    seen = serve(live, rng, 0.80, 5_000)
    first, last = of(Alarmed, seen)[0], seen[-1]
    assert isinstance(first, Alarmed)
    assert first.statistic >= first.threshold
    assert isinstance(last, Demoted)
    assert last.e_value >= last.threshold == pytest.approx(10)
    assert last.disagreement == pytest.approx(0.2, abs=0.06)
    assert live.over
    assert serve(live, rng, 0.5, 50) == []


def test_a_false_alarm_resumes_after_enough_was_scored_and_names_its_monitor() -> None:
    live, rng = LivePromise(Policy(), 500, 490), random.Random(3)
    alarm = Alarmed("adwin", 0.6, 0.9, "mean gate score moved")
    assert live.alarm(alarm) == (alarm,)
    assert live.alarm(alarm) == ()
    seen = serve(live, rng, 0.98, 300)
    (resumed,) = of(Resumed, seen)
    assert isinstance(resumed, Resumed)
    assert (resumed.scored, resumed.monitor) == (300, "adwin")
    assert not live.held


def test_a_hold_lasts_while_disagreement_is_above_the_limit() -> None:
    live = LivePromise(DEMO, 100, 98)
    live.alarm(Alarmed("teacher", 1, 1, "the model changed"))
    for k in range(200):
        live.scored_in_hold(k % 8 > 0)  # 12.5% of 10% allowed
    assert live.held


def test_an_audit_that_comes_in_a_hold_is_scored_there_and_a_late_held_call_is_an_audit() -> None:
    live = LivePromise(DEMO, 100, 98)
    live.scored_in_hold(True)
    live.alarm(Alarmed("cusum", 5, 5, "test"))
    seen: Seen = []
    for _ in range(60):
        seen += live.audit(True)
    assert of(Resumed, seen)


def test_a_big_drop_in_the_demo_is_held_within_twenty_audits() -> None:
    audits = []
    for seed in range(51):
        rng, live, n = random.Random(seed), LivePromise(DEMO, 120, 116), 0
        while not live.held:
            n += 1
            live.accepted(5)
            live.audit(rng.random() < 0.6)
        audits.append(n)
    assert sorted(audits)[25] <= 20


def test_audits_that_fail_raise_the_rate_until_one_is_answered_and_mean_no_more() -> None:
    live, rng = LivePromise(Policy(), 500, 500), random.Random(4)
    serve(live, rng, 1.0, 60_000)
    rate = live.audit_rate
    assert rate < 0.1
    assert live.audit_failed() == (RateChanged(0.10),)
    for k in range(1_000):
        assert live.told(float(k), 0.1, audited=k % 10 == 0) == live.audit_failed() == ()
    assert live.audit(True) == (RateChanged(rate),)
    assert not live.held


def test_audits_that_never_come_make_it_blind() -> None:
    live, rng = LivePromise(Policy(), 500, 500), random.Random(4)
    serve(live, rng, 1.0, 60_000)
    found = [f for k in range(3_000) for f in live.told(float(k), 0.1, audited=False)]
    (blind,) = of(Alarmed, found)[:1]
    assert isinstance(blind, Alarmed)
    assert blind.monitor == "blind"
    assert live.audit_rate == 0.2
    assert not live.held


def test_the_audit_rate_is_never_zero() -> None:
    live, rng = LivePromise(Policy(), 500, 500), random.Random(5)
    for _ in range(50):
        serve(live, rng, 1.0, 1_000)
        assert Policy().audit_floor <= live.audit_rate <= 0.5


@pytest.mark.parametrize("cut", [0, 700, 1_500, 1_700])
def test_a_saved_promise_goes_on_as_if_nothing_had_been(cut: int) -> None:
    rng = random.Random(6)
    script = [(rng.random(), rng.random() < (0.97 if k < 1_500 else 0.85)) for k in range(4_000)]
    whole, half = LivePromise(Policy(), 300, 295), LivePromise(Policy(), 300, 295)
    held = 0
    for k, (coin, agrees) in enumerate(script):
        if k == cut:
            for live in (half, whole):
                live.told(5.0, 0.1, audited=False)
                live.audit_failed()
            wire = msgspec.json.encode(half.state())
            half = LivePromise.from_state(msgspec.json.decode(wire, type=LiveState), Policy())
        for live in (whole, half):
            if live.held:
                live.scored_in_hold(agrees)
            else:
                live.accepted()
                if coin < live.audit_rate:
                    live.audit(agrees)
        held += whole.held
        assert half.audit_rate == whole.audit_rate
    assert held
    assert half.state() == whole.state()
