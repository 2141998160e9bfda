"""A teacher that does not agree with itself cannot be promised."""

import random

from jitr.models.promise.self_agreement import SelfAgreement


def heard(rate: float, seed: int = 0, calls: int = 500) -> SelfAgreement:
    noise, rng = SelfAgreement(0.95, 0.05), random.Random(seed)
    for _ in range(calls):
        noise.update(rng.random() < rate)
    return noise


def test_a_noisy_teacher_is_refused_and_a_steady_one_is_not() -> None:
    assert heard(0.80).refused
    assert not heard(0.97).refused


def test_at_the_limit_it_is_rarely_refused() -> None:
    assert sum(heard(0.95**2, seed).refused for seed in range(40)) <= 5


def test_between_the_two_it_warns() -> None:
    noise = heard(0.93)
    assert noise.warns
    assert not noise.refused


def test_it_comes_back_from_its_state() -> None:
    noise = heard(0.8)
    assert SelfAgreement.from_state(noise.state()).state() == noise.state()


def test_a_teacher_that_begins_to_agree_with_itself_is_believed_and_measured_from_then_on() -> None:
    noise = heard(0.70)
    pairs = 0
    while noise.refused:
        noise.update(True)
        pairs += 1
    assert 30 < pairs < 250
    assert noise.repeats == 0
    for k in range(200):
        noise = SelfAgreement.from_state(noise.state())
        noise.update(k % 3 > 0)
    assert noise.refused


def test_one_that_goes_on_contradicting_itself_stays_refused() -> None:
    released = 0
    for seed in range(10):
        noise, rng = heard(0.80), random.Random(seed)
        for _ in range(2000):
            noise.update(rng.random() < 0.80)
            released += not noise.refused
    assert released == 0
