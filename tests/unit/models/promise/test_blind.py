"""Blindness: lost audits add up, audits that come back calm it."""

from jitr.models.promise.blind import Blind


def test_when_all_are_lost_four_are_enough() -> None:
    watch = Blind()
    for k in range(4):
        assert not watch.blind
        watch.due(f"d{k}", float(k))
        watch.elapsed(k + 0.5)
    assert watch.blind


def test_now_and_then_a_lost_one_is_no_matter() -> None:
    watch = Blind()
    for k in range(2_000):
        watch.due(f"d{k}", 1.0)
        if k % 50:
            watch.back(f"d{k}")
        watch.elapsed(2.0)
        assert not watch.blind


def test_half_of_them_lost_is_noticed() -> None:
    watch = Blind()
    for k in range(100):
        if watch.blind:
            break
        if k % 2:
            watch.back()
        else:
            watch.lost()
    assert watch.blind


def test_one_that_comes_in_time_is_not_lost() -> None:
    watch = Blind()
    watch.due("d", 10.0)
    watch.back("d")
    assert watch.elapsed(99.0) == 0
    assert not watch.last_lost


def test_memory_is_bounded_and_what_is_forgotten_counts_as_lost() -> None:
    watch = Blind()
    for k in range(10_005):
        watch.due(f"d{k}", 1e9)
    assert len(watch.state().waiting) == 10_000
    assert watch.blind
