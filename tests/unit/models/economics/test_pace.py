"""The pace of a task, in bounded memory, whatever the clock says."""

import random

import pytest

from jitr.models.economics.pace import Pace


def paced(times):
    pace = Pace()
    for time in times:
        pace.call(time)
    return pace


def rate(pace):
    calls, span_s = pace.recent()
    return calls / span_s


@pytest.mark.parametrize("n", [10, 129, 5_000, 100_000])
def test_the_rate_is_right_however_many_calls_there_were(n):
    rng, time, times = random.Random(0), 1e9, []
    for _ in range(n):
        time += rng.expovariate(0.1)
        times.append(time)
    pace = paced(times)
    assert len(pace.times) <= 128
    assert rate(pace) == pytest.approx(0.1, rel=0.9 if n < 100 else 0.4)
    assert pace.recent()[0] >= n / 5


def test_a_log_without_times_does_not_slow_the_calls_that_come_after_it():
    log, live = [float(n) for n in range(500)], [1.7e9 + n * 0.5 for n in range(600)]
    assert rate(paced(log + live)) == pytest.approx(2.0, rel=0.05)


def test_one_time_for_all_is_a_second():
    assert paced([5.0] * 100).recent()[1] == 1.0
    assert paced([5.0]).recent() == (0, 0.0)
    assert Pace().recent() == (0, 0.0)
