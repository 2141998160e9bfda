"""Simulated lives: how often certificates and demotions are wrong, and how soon a drop stops service.

docs/guarantee.md, "What is proved and what is measured", quotes what is asserted here.
"""

import math
import random
from dataclasses import dataclass
from itertools import accumulate
from statistics import median

import pytest
from scipy.stats import binom

from jitr.models.promise.findings import Alarmed, Demoted
from jitr.models.promise.live import LivePromise
from jitr.models.promise.shadow import ShadowProof
from jitr.schemas.policy import DEMO, Policy

SHARES = [round(0.30 + 0.01 * k, 2) for k in range(71)]


def certified_share(rng: random.Random, fall: float, base: float, target: float, calls: int) -> float | None:
    """Share proved for a surrogate that agrees ``base - fall * u`` on the calls of rank u (0 is surest)."""
    train = sorted((rng.random(), rng.random()) for _ in range(300))
    hits = [0, *accumulate(coin < base - fall * u for u, coin in train)]
    counts = [sum(u <= share for u, _ in train) for share in SHARES]
    forecast = [(hits[n] + 1) / (n + 2) for n in counts]
    proof = ShadowProof(SHARES, [1 - share for share in SHARES], forecast, target, 0.05)
    while not proof.settled and not proof.futile and proof.calls < calls:
        u = rng.random()
        proof.update(1 - u, rng.random() < base - fall * u)
    return None if proof.index is None else SHARES[proof.index]


@pytest.mark.parametrize("target", [0.95, 0.90])
def test_certificates_are_broken_in_at_most_delta_of_resamples(target: float) -> None:
    rng, n, broken = random.Random(11), 60, 0
    for _ in range(n):
        # just below the target everywhere: the hardest case, and every certificate is a broken one
        broken += certified_share(rng, 0.0, target - 0.001, target, 1_000) is not None
    assert broken <= binom.ppf(0.99, n, 0.05)


def test_where_agreement_falls_the_proved_share_lies_where_the_target_is_kept() -> None:
    rng, n, target = random.Random(12), 60, 0.95
    fall = 2 * 0.05 / 0.6  # the mean over the surest 60% is the target
    shares = [certified_share(rng, fall, 1.0, target, 1_500) for _ in range(n)]
    proved = [share for share in shares if share is not None]
    assert len(proved) >= n // 4
    assert sum(share > 0.6 for share in proved) <= binom.ppf(0.99, n, 0.05)


def test_an_easy_task_is_proved_on_nearly_all_calls_after_a_few_hundred() -> None:
    rng = random.Random(13)
    shares = [certified_share(rng, 0.0, 0.99, 0.95, 500) or 0.0 for _ in range(30)]
    assert median(shares) >= 0.95


def test_a_margin_of_two_points_is_proved_after_some_five_hundred_calls_at_the_median() -> None:
    rng, calls = random.Random(18), []
    for _ in range(100):
        proof = ShadowProof([1.0], [0.0], [0.97], 0.95, 0.05)
        while proof.proved is None and proof.futile is None:
            proof.update(0.5, rng.random() < 0.97)
        calls.append(proof.calls if proof.proved is not None else math.inf)
    assert 400 <= median(calls) <= 700


@dataclass
class Outcome:
    """What became of one life; counts after the drop are from the drop on."""

    audits: int = 0
    calls: int = 0
    demoted: bool = False
    stopped_after_audits: int | None = None
    wrong: float = 0.0
    scored: int = 0


def live_through(
    policy: Policy, rng: random.Random, rate: float, calls: int, drop_at: int, after: float, shadow: int
) -> Outcome:
    """One life: audits at the rate in force, every call scored in a hold; a drop at one call."""
    live = LivePromise(policy, shadow, sum(rng.random() < rate for _ in range(shadow)))
    seen, audits_after = Outcome(), 0
    while seen.calls < calls and not live.over:
        dropped = seen.calls >= drop_at
        agreement = after if dropped else rate
        if live.held:
            seen.calls += 1
            seen.audits += 1
            seen.scored += dropped
            found = live.scored_in_hold(rng.random() < agreement)
        else:
            gap = int(math.log(1 - rng.random()) / math.log(1 - live.audit_rate)) + 1
            left = calls if dropped else drop_at - seen.calls
            step = min(gap, 50, left)  # the rate may change meanwhile; skipping is memoryless
            seen.calls += step
            found = live.accepted(step)
            if dropped and seen.stopped_after_audits is None:
                seen.wrong += step * (1 - agreement)
            if step == gap:
                seen.audits += 1
                audits_after += dropped
                found += live.audit(rng.random() < agreement)
        stops = any(isinstance(finding, Alarmed | Demoted) for finding in found)
        if stops and dropped and seen.stopped_after_audits is None:
            seen.stopped_after_audits = audits_after
        seen.demoted = seen.demoted or any(isinstance(finding, Demoted) for finding in found)
    return seen


def test_a_surrogate_one_point_above_the_target_is_hardly_ever_demoted_and_costs_few_audits() -> None:
    rng = random.Random(14)
    lives = [live_through(Policy(), rng, 0.96, 200_000, 200_000, 0.96, 500) for _ in range(40)]
    assert sum(life.demoted for life in lives) <= 1
    assert sum(life.audits for life in lives) / sum(life.calls for life in lives) < 0.02


def test_ten_points_less_stop_service_within_forty_audits_and_demote_in_the_hold() -> None:
    rng = random.Random(15)
    lives = [live_through(Policy(), rng, 0.97, 80_000, 60_000, 0.87, 500) for _ in range(60)]
    assert median(life.stopped_after_audits or 10_000 for life in lives) <= 40
    assert median(life.wrong for life in lives) <= 400
    assert all(life.demoted for life in lives)


@pytest.mark.parametrize(("after", "audits", "scored"), [(0.67, 20, 260), (0.47, 12, 180)])
def test_in_the_demo_a_big_drop_is_held_and_judged_while_one_watches(
    after: float, audits: int, scored: int
) -> None:
    rng = random.Random(16)
    lives = [live_through(DEMO, rng, 0.97, 5_600, 600, after, 120) for _ in range(60)]
    lives = [life for life in lives if life.calls > 600]
    assert median(life.stopped_after_audits or 10_000 for life in lives) <= audits
    assert median(life.scored for life in lives) <= scored
    assert all(life.demoted for life in lives)


def test_in_the_demo_a_surrogate_that_keeps_its_target_is_not_demoted() -> None:
    rng = random.Random(17)
    lives = [live_through(DEMO, rng, 0.92, 10_000, 10_000, 0.92, 120) for _ in range(60)]
    assert sum(life.demoted for life in lives) <= binom.ppf(0.99, 60, DEMO.demotion_alpha / 4)
