"""The detection benchmark's second look at a peer does not make it see differences where there are none."""

import random
from importlib import import_module
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def comparison(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return import_module("detection.comparison")


def test_of_equal_peers_about_one_in_twenty_is_said_to_differ(comparison):
    rng = random.Random(0)

    def decided():
        ours, theirs = ([0.5 + rng.gauss(0, 0.05) for _ in range(10)] for _ in range(2))
        return not comparison._undecided(ours[:3], theirs[:3]) or not comparison._undecided(ours, theirs)

    assert sum(decided() for _ in range(3000)) < 0.06 * 3000


def test_after_a_second_look_only_the_later_orders_count_for_both(comparison):
    ours, theirs = [0.9] * 3 + [0.5] * 7, [0.1] * 3 + [0.5] * 7
    assert comparison._deciding(ours, theirs) == ([0.5] * 7, [0.5] * 7)
    assert comparison._deciding(ours, theirs[:3]) == ([0.9] * 3, [0.1] * 3)
    assert comparison._undecided(ours, theirs)
