"""The CUSUM detector: quick on a drop, patient with noise, slower after each false hold."""

import random

from jitr.models.promise.cusum import CusumDetector


def until_alarm(detector: CusumDetector, rate: float, seed: int, most: int = 3_000) -> int:
    rng = random.Random(seed)
    return next((k for k in range(1, most) if detector.update(rng.random() < rate)), most)


def test_a_drop_alarms_within_fifty_audits_and_noise_after_a_thousand_at_the_median() -> None:
    drop = sorted(until_alarm(CusumDetector(0.95, 5.0, 500, 485), 0.87, seed) for seed in range(101))
    noise = sorted(until_alarm(CusumDetector(0.95, 5.0, 500, 490), 0.98, seed) for seed in range(41))
    assert drop[50] <= 50
    assert noise[20] >= 1_000


def test_the_base_lies_between_target_and_one_whatever_was_seen() -> None:
    assert CusumDetector(0.95, 5.0).base == CusumDetector(0.95, 5.0, 100, 0).base == 0.955
    assert CusumDetector(0.95, 5.0, 10_000, 10_000).base == 0.995
    assert 0.999 < CusumDetector(0.999, 5.0, 100, 100).base < 1


def test_a_false_hold_raises_the_threshold_up_to_a_cap() -> None:
    detector = CusumDetector(0.95, 5.0)
    detector.update(False)
    assert detector.statistic > 0
    detector.reset(false_hold=True)
    assert (detector.threshold, detector.statistic) == (5.15, 0.0)
    for _ in range(100):
        detector.reset(false_hold=True)
    assert detector.threshold == 8.0


def test_what_is_normal_is_forgotten_slowly() -> None:
    detector = CusumDetector(0.90, 5.0, 500, 500)
    before = detector.base
    for k in range(6_000):
        detector.observe(k % 20 > 0)
    assert detector.base < before
    assert abs(detector.base - 0.95) < 0.02
