from itertools import pairwise

import pytest

from jitr.models.tasks.sample import Answered, Sample


def call(i, text="x"):
    return Answered(str(i), float(i), text, "yes")


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 100, 1000])
def test_a_sample_is_bounded_and_even_over_the_log(n):
    sample = Sample(most=8)
    for i in range(n):
        sample.add(call(i))
    times = [a.time for a in sample.held]
    assert len(times) <= 8
    assert len(times) >= min(n, 4)
    steps = {b - a for a, b in pairwise(times)}
    assert len(steps) <= 1
    assert not times or n - times[-1] <= max(steps, default=1.0)


def test_long_inputs_are_fewer_and_cut_where_nothing_reads_on():
    sample = Sample(most=100, most_chars=100_000)
    for i in range(64):
        sample.add(call(i, "word " * 10_000))
    assert {len(a.input) for a in sample.held} == {20_000}
    assert 2 <= len(sample.held) <= 5


def test_two_samples_are_joined_at_the_wider_stride():
    one, other = Sample(most=8), Sample(most=8)
    for i in range(6):
        one.add(call(i))
    for i in range(100, 140):
        other.add(call(i))
    one.join(other)
    assert len(one.held) <= 8
    assert one.held == sorted(one.held, key=lambda a: a.time)
    assert {a.time >= 100 for a in one.held} == {True, False}
