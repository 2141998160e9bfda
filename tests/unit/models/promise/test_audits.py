"""The audit rate: high after a switch and near an alarm, never below its floor, in powers of 2."""

import math

from jitr.models.promise.audits import AuditRate


def settled(answered: int) -> AuditRate:
    rate = AuditRate(0.2, 0.005, 100)
    for _ in range(100):
        rate.answered(5)
        rate.audited()
    rate.answered(answered)
    return rate


def test_it_stays_at_the_start_until_so_many_audits_came() -> None:
    rate = AuditRate(0.2, 0.005, 100)
    rate.answered(1_000_000)
    assert rate.at(0.0) == 0.2


def test_it_falls_as_calls_come_down_to_the_floor() -> None:
    rates = [settled(n).at(0.0) for n in (0, 500, 5_000, 50_000, 500_000)]
    assert rates == sorted(rates, reverse=True)
    assert (rates[0], rates[-1]) == (0.2, 0.005)


def test_it_moves_in_powers_of_two() -> None:
    seen = {settled(n).at(0.0) for n in range(0, 30_000, 100)}
    assert seen <= {0.2 / 2**k for k in range(6)} | {0.005}
    assert all(math.log2(0.2 / rate).is_integer() for rate in seen - {0.005})


def test_a_high_cusum_level_raises_it_at_once() -> None:
    calm = settled(1_000_000)
    assert calm.at(0.0) == 0.005
    assert calm.at(2.0) < calm.at(4.0) <= calm.at(50.0) <= 0.5


def test_a_floor_above_the_start_is_the_start() -> None:
    assert AuditRate(0.1, 0.5, 1).at(9.0) == 0.1


def test_after_a_restart_it_is_as_after_a_switch() -> None:
    rate = settled(1_000_000)
    rate.restart()
    assert rate.at(0.0) == 0.2
