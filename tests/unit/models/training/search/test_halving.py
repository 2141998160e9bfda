"""Choosing among many encoders: Poodle's published pool as a test, and the proxies."""

from __future__ import annotations

import numpy as np
import pytest
from stage.encoders import ManyEncoders, race_data_of, ticking

from jitr.models.training.search.halving import choose
from jitr.models.training.search.logme import logme
from jitr.models.training.search.shortlist import shortlist
from jitr.schemas.trainings import Limits

# Poodle's pool (arXiv 2512.05525, re-run of 2026): accuracy when trained in full, by a probe on 500 labels,
# and the probe's seconds. Only totals of the seconds are published (5.7 to 30.2 s each, 119.7 s in all).
FULL = [0.910, 0.904, 0.926, 0.912, 0.699, 0.901, 0.865, 0.907, 0.880, 0.891]
PROBE = [0.716, 0.898, 0.914, 0.876, 0.506, 0.574, 0.740, 0.636, 0.810, 0.498]
PROBE_S, PROBE_LABELS, HALVING_S = 119.7, 500, 199.0
NAMES = [f"model-{i + 1}" for i in range(len(FULL))]


def published(name: str, labels: int) -> tuple[float, float]:
    """The probe of 500 as it was; fewer labels cost less, in proportion, and the score is drawn to chance."""
    i = NAMES.index(name)
    less = min(1.0, labels / PROBE_LABELS)
    return 0.5 + (PROBE[i] - 0.5) * (0.6 + 0.4 * less), PROBE_S / len(NAMES) * less


def test_the_winner_of_the_published_pool_is_found_in_less_time_than_by_probing_all() -> None:
    found = choose(NAMES, published)
    assert found.winner == NAMES[int(np.argmax(FULL))]
    assert found.seconds < 0.9 * PROBE_S < HALVING_S


def test_noise_in_the_first_round_rarely_costs_the_winner() -> None:
    right = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)

        def noisy(name: str, labels: int, rng: np.random.Generator = rng) -> tuple[float, float]:
            score, seconds = published(name, labels)
            return float(rng.binomial(labels, score)) / labels, seconds

        winner = choose(NAMES, noisy).winner
        right += FULL[NAMES.index(winner)] >= max(FULL) - 0.025  # the two best probes are 0.904 and 0.926
    assert right >= 190


def test_a_tie_goes_to_what_was_better_on_earlier_tasks() -> None:
    assert choose(["a", "b"], lambda name, n: (0.8, 1.0), prior={"b": 0.9}).winner == "b"
    assert choose(["a", "b"], lambda name, n: (0.8, 1.0)).winner == "a"


def test_one_candidate_costs_nothing_and_none_is_an_error() -> None:
    assert choose(["a"], published).seconds == 0
    with pytest.raises(ValueError, match="nothing to choose from"):
        choose([], published)


def test_evidence_ranks_features_by_what_they_tell() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 300)
    centres = rng.normal(size=(3, 12))
    found = [logme(centres[y] + noise * rng.normal(size=(300, 12)), y) for noise in (0.5, 1.0, 2.0, 8.0)]
    assert found == sorted(found, reverse=True)
    wide = np.hstack([centres[y] + 0.5 * rng.normal(size=(300, 12)), rng.normal(size=(300, 400))])
    assert np.isfinite(logme(wide.astype(np.float32), y))


def test_of_many_encoders_the_two_that_tell_most_race() -> None:
    encoders = ManyEncoders()
    kept, lost = shortlist(race_data_of(encoders), encoders.names, Limits(), ticking())
    assert kept == ("c", "e") and lost.keys() == {"a", "b", "d"}


def test_of_those_listed_the_ones_that_are_here_come_first_so_that_they_are_paired() -> None:
    encoders = ManyEncoders({"a": 5.0, "b": 2.5, "c": 5.0}, a={"ram_mb": 900.0})
    assert shortlist(race_data_of(encoders), encoders.names, Limits(), ticking())[0] == ("b", "c", "a")


@pytest.mark.parametrize(
    ("declared", "why"),
    [
        ({"ram_mb": 900.0}, "takes 900 MB, 512 MB are allowed"),
        ({"texts_per_s": 2.0}, "takes 500 ms a text, 50 ms are allowed"),
        ({"texts_per_s": 10.0}, "takes 40 s to encode 400 rows, 9 s are allowed in all"),
    ],
)
def test_what_is_plainly_outside_the_limits_is_not_even_loaded(declared: dict[str, float], why: str) -> None:
    encoders = ManyEncoders(a=declared)
    assert race_data_of(encoders).refuse("a", Limits(max_train_s=9.0)) == why
    assert encoders.loaded == []
    # a few times slower than is allowed, elsewhere: it is tried here
    assert race_data_of(ManyEncoders(a={"texts_per_s": 12.0})).refuse("a", Limits(max_train_s=9.0)) == ""


def test_the_look_at_many_encoders_takes_a_quarter_of_the_seconds_and_begins_with_the_fastest() -> None:
    encoders = ManyEncoders(c={"texts_per_s": 200.0})
    # 0.1 s of 16 texts are 1.6 s of 250; 5 s may be spent, and each look takes some of them
    kept, lost = shortlist(race_data_of(encoders), encoders.names, Limits(max_train_s=8.0), ticking(0.1))
    assert lost["c"].startswith("not looked at: encoding 250 rows would take 2 s, ") and "c" not in kept
    assert encoders.asked["c"] == 16


def test_an_encoder_far_over_the_latency_is_not_looked_at() -> None:
    encoders = ManyEncoders()
    kept, lost = shortlist(race_data_of(encoders), encoders.names, Limits(max_latency_ms=1.0), ticking(0.1))
    assert not kept and all("6 ms a text, 1 ms are allowed" in why for why in lost.values())
    assert set(encoders.asked.values()) == {16}


def test_a_round_of_probes_that_would_take_too_long_is_not_begun() -> None:
    assert {labels for _, labels, _ in choose(NAMES, published, most_s=70.0).scores} == {250}
    assert {labels for _, labels, _ in choose(NAMES, published, most_s=150.0).scores} == {250, 500}
