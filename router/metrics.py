"""The gateway's metrics, in Prometheus's form."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter as Tally
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from jitr.router.publishing.drops import Drop
from jitr.router.reasons import Reason
from jitr.router.supervisor import Loops

_OVERHEAD: Final = (0.0005, 0.001, 0.0015, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0)
# the doubling buckets of OpenTelemetry's gen_ai.client.operation.duration, with some below
_DURATION: Final = (0.001, 0.0025, 0.005, *(0.01 * 2**n for n in range(14)))


class PublishCounts(Protocol):
    """What a sink of calls counts; `EventStream` is one."""

    @property
    def published(self) -> int:
        """Calls that Kafka has confirmed."""

    @property
    def dropped(self) -> Mapping[str, int]:
        """Calls lost, by why."""

    @property
    def spool_bytes(self) -> int:
        """What waits on disk, in bytes."""

    @property
    def waiting(self) -> int:
        """Calls that wait, in memory and on disk."""

    @property
    def keeping(self) -> bool:
        """Whether calls find a place."""

    @property
    def loops(self) -> Loops:
        """What runs in the background."""


class ConnectionCounts(Protocol):
    """What a server counts of its connections; `Connections` is one."""

    @property
    def open(self) -> int:
        """Connections at the moment."""

    @property
    def ended(self) -> Mapping[str, int]:
        """Connections that were ended or refused, by why."""


class ScoreCounts(Protocol):
    """What the processes that run surrogates count; `Scorers` is one."""

    @property
    def queued(self) -> int:
        """Texts that wait."""

    @property
    def batches(self) -> int:
        """Batches answered."""

    @property
    def texts(self) -> int:
        """Texts in them."""


class GatewayMetrics:
    """Everything that the gateway counts, in a registry of its own.

    Parameters
    ----------
    version : str
        For ``jitr_build_info``.
    counts : PublishCounts
        Read when somebody asks.
    scores : ScoreCounts
        Likewise.
    age_s : callable
        Age of the routing snapshot in seconds.
    loops : sequence of Loops
        All that runs in the background.

    Attributes
    ----------
    in_flight : int
        Requests under way; whoever works on them counts them.
    """

    def __init__(
        self,
        version: str,
        counts: PublishCounts,
        scores: ScoreCounts,
        age_s: Callable[[], float],
        loops: Sequence[Loops],
    ) -> None:
        self.registry: Final = CollectorRegistry()
        self.in_flight = 0
        in_flight = Gauge("jitr_in_flight_requests", "Requests under way.", registry=self.registry)
        in_flight.set_function(lambda: float(self.in_flight))
        self.unread_answers: Final = Counter(
            "jitr_unread_answers",
            "Answers of the upstream with a status of success that could not be read; their events say why.",
            registry=self.registry,
        )
        self._requests: Final[Tally[tuple[str, str]]] = Tally()
        self._duration: Final = _Histogram(
            "jitr_request_duration_seconds",
            "From the request's arrival to the end of its answer.",
            _DURATION,
        )
        self._overhead: Final = _Histogram(
            "jitr_overhead_seconds", "Duration less the time spent waiting for the upstream.", _OVERHEAD
        )
        for collector in (_Requests(self._requests), self._duration, self._overhead):
            self.registry.register(collector)
        info = Gauge("jitr_build_info", "Always 1.", ["version"], registry=self.registry)
        info.labels(version).set(1)
        age = Gauge(
            "jitr_snapshot_age_seconds",
            "Since Redis last confirmed the routing snapshot; infinite before the first.",
            registry=self.registry,
        )
        age.set_function(age_s)
        spool = Gauge("jitr_spool_bytes", "Calls that wait on disk for Kafka.", registry=self.registry)
        spool.set_function(lambda: float(counts.spool_bytes))
        waiting = Gauge(
            "jitr_waiting_events", "Calls that wait for Kafka, in memory and on disk.", registry=self.registry
        )
        waiting.set_function(lambda: float(counts.waiting))
        keeping = Gauge(
            "jitr_publishing",
            "1 while calls find a place, in Kafka or on disk; at 0 surrogates do not answer.",
            registry=self.registry,
        )
        keeping.set_function(lambda: float(counts.keeping))
        self.registry.register(_Published(counts))
        queued = Gauge(
            "jitr_surrogate_queue", "Texts that wait for a surrogate's process.", registry=self.registry
        )
        queued.set_function(lambda: float(scores.queued))
        self.registry.register(_Batches(scores))
        self.registry.register(_Background(loops))

    def watch(self, connections: ConnectionCounts) -> None:
        """Tell of connections, too."""
        self.registry.register(_Connected(connections))

    def observe(self, route: str, reason: Reason, duration_s: float, upstream_s: float) -> None:
        """Count one request."""
        self._requests[route, reason.value] += 1
        self._duration.observe(route, duration_s)
        self._overhead.observe(route, max(0.0, duration_s - upstream_s))


class _Requests(Collector):
    def __init__(self, counts: Mapping[tuple[str, str], int]) -> None:
        self._counts: Final = counts

    def collect(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "jitr_requests",
            "Requests, by who answered and why (see jitr.router.reasons).",
            labels=["route", "reason"],
        )
        for labels, count in self._counts.items():
            requests.add_metric(labels, count)
        yield requests


class _Histogram(Collector):
    """One by route, for a single thread: prometheus_client's own takes two locks for each value."""

    def __init__(self, name: str, documentation: str, bounds: tuple[float, ...]) -> None:
        self._name: Final = name
        self._documentation: Final = documentation
        self._bounds: Final = (*bounds, float("inf"))
        self._counts: Final[dict[str, list[int]]] = {}
        self._sums: Final[defaultdict[str, float]] = defaultdict(float)

    def observe(self, route: str, value: float) -> None:
        counts = self._counts.get(route)
        if counts is None:
            counts = self._counts[route] = [0] * len(self._bounds)
        counts[bisect_left(self._bounds, value)] += 1
        self._sums[route] += value

    def collect(self) -> Iterator[Metric]:
        found = HistogramMetricFamily(self._name, self._documentation, labels=["route"])
        for route, counts in self._counts.items():
            buckets = zip(map(floatToGoString, self._bounds), accumulate(counts), strict=True)
            found.add_metric([route], list(buckets), self._sums[route])
        yield found


class _Published(Collector):
    def __init__(self, counts: PublishCounts) -> None:
        self._counts: Final = counts

    def collect(self) -> Iterator[Metric]:
        yield CounterMetricFamily(
            "jitr_published_events", "Calls that Kafka has confirmed.", value=self._counts.published
        )
        dropped = CounterMetricFamily("jitr_dropped_events", "Calls lost, by why.", labels=["reason"])
        for reason in Drop:
            dropped.add_metric([reason], self._counts.dropped.get(reason, 0))
        yield dropped


class _Batches(Collector):
    def __init__(self, scores: ScoreCounts) -> None:
        self._scores: Final = scores

    def collect(self) -> Iterator[Metric]:
        yield SummaryMetricFamily(
            "jitr_surrogate_batch_texts",
            "Texts that surrogates answered together.",
            count_value=self._scores.batches,
            sum_value=self._scores.texts,
        )


class _Background(Collector):
    def __init__(self, loops: Sequence[Loops]) -> None:
        self._loops: Final = loops

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("jitr_loop_up", "1 while a loop in the background runs.", labels=["loop"])
        restarts = CounterMetricFamily(
            "jitr_loop_restarts", "Loops in the background that died and were begun again.", labels=["loop"]
        )
        failures = CounterMetricFamily(
            "jitr_background_failures",
            "Audits and loads of artifacts that ended by an error.",
            labels=["work"],
        )
        for loops in self._loops:
            for name, loop in loops.states.items():
                up.add_metric([name], float(loop.state == "running"))
                restarts.add_metric([name], loop.restarts)
            for work, count in loops.failures.items():
                failures.add_metric([work], count)
        yield from (up, restarts, failures)


class _Connected(Collector):
    def __init__(self, counts: ConnectionCounts) -> None:
        self._counts: Final = counts

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("jitr_open_connections", "Callers' connections.", value=self._counts.open)
        ended = CounterMetricFamily(
            "jitr_ended_connections", "Callers' connections ended by the gateway, by why.", labels=["reason"]
        )
        for reason in ("refused", "crowded", "slow_headers", "slow_body", "slow_reader"):
            ended.add_metric([reason], self._counts.ended.get(reason, 0))
        yield ended
