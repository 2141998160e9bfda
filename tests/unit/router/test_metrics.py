"""The gateway's histograms say what prometheus_client's own would."""

from prometheus_client import CollectorRegistry, Histogram, generate_latest

from jitr.router.metrics import _Histogram

BOUNDS = (0.001, 0.01, 1.0)


def lines(registry: CollectorRegistry) -> list[str]:
    return [line for line in generate_latest(registry).decode().splitlines() if "_created" not in line]


def test_values_are_counted_as_by_the_library_on_each_side_of_a_bound() -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    mine = _Histogram("took_seconds", "Time.", BOUNDS)
    ours.register(mine)
    known = Histogram("took_seconds", "Time.", ["route"], buckets=BOUNDS, registry=theirs)
    for route, value in [("a", 0.0), ("a", 0.001), ("a", 0.0011), ("b", 1.0), ("b", 1.5)]:
        mine.observe(route, value)
        known.labels(route).observe(value)
    assert lines(ours) == lines(theirs)
