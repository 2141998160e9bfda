"""What a worker counts: Prometheus metrics, and the same counters as windows on `jitr.metrics`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from jitr.models.economics.money import saved_usd
from jitr.models.lifecycle import shadow_run
from jitr.router.supervisor import Loops
from jitr.schemas.metrics import MetricsWindow
from jitr.schemas.routes import Route
from jitr.schemas.tasks import Task

MOST_TASKS = 200
_STATES = ("teacher", "offered", "canary", "active", "hold", "demoted", "paused")


class Metrics:
    """The metrics of one worker, in a registry of their own.

    Examples
    --------
    >>> metrics = Metrics("w1")
    >>> metrics.event("detect", "matched", 3)
    >>> b'jitr_events_total{agent="detect",result="matched"} 3.0' in metrics.page()
    True
    >>> metrics.window("detect", 1.0, 2.0).counters
    {'jitr_events_total{agent="detect",result="matched"}': 3.0}
    """

    def __init__(self, worker: str) -> None:
        self.worker = worker
        self.registry = CollectorRegistry()
        r = self.registry
        self.events = Counter(
            "jitr_events", "Events by what became of them.", ["agent", "result"], registry=r
        )
        self.dead_letters = Counter("jitr_dead_letters", "Dead letters.", ["agent", "stage"], registry=r)
        self.stamps = Counter(
            "jitr_refused_stamps",
            "Decisions of calls that are not ours by their signature.",
            ["reason"],
            registry=r,
        )
        self.batch_seconds = Histogram(
            "jitr_batch_seconds", "From a batch in hand to its acknowledgement.", ["agent"], registry=r
        )
        self.trainings = Counter("jitr_trainings", "Trainings ended.", ["result"], registry=r)
        self.tasks = Gauge("jitr_tasks", "Tasks known, merged and retired ones apart.", registry=r)
        self.labels = Gauge("jitr_labels", "Labels collected.", ["task"], registry=r)
        self.route_state = Gauge(
            "jitr_route_state", "1 for the state a route is in.", ["task", "state"], registry=r
        )
        self.bound = Gauge(
            "jitr_agreement_lower_bound", "Proved lower bound on agreement.", ["task"], registry=r
        )
        self.shadow = Gauge("jitr_shadow_calls", "Calls of the shadow run so far.", ["task"], registry=r)
        self.shadow_forecast = Gauge(
            "jitr_shadow_forecast_calls", "Calls that it was forecast to take.", ["task"], registry=r
        )
        self.cost = Gauge(
            "jitr_cost_usd", "Dollars spent since the task began.", ["task", "kind"], registry=r
        )
        self.saved = Gauge("jitr_saved_usd", "Dollars saved since the task began.", ["task"], registry=r)
        self.waits = Counter(
            "jitr_waits",
            "Tries that failed as a server or the disk was away.",
            ["agent", "cause"],
            registry=r,
        )
        self.waiting = Gauge(
            "jitr_waiting", "Source partitions that wait for a server or the disk.", ["agent"], registry=r
        )
        info = Gauge("jitr_build_info", "Always 1.", ["version"], registry=r)
        info.labels(_version()).set(1)
        self._known: dict[str, str] = {}
        self._waiting: dict[str, set[str]] = {}
        self._last: dict[str, dict[str, float]] = {}

    def event(self, agent: str, result: str, n: int = 1) -> None:
        """Count events."""
        if n:
            self.events.labels(agent, result).inc(n)

    def watch_loops(self, loops: Callable[[], Iterable[Loops]]) -> None:
        """Show how these loops in the background fare."""
        self.registry.register(_LoopCollector(loops))

    def wait(self, agent: str, cause: str, place: str) -> None:
        """A try failed at a source partition: it waits."""
        self.waits.labels(agent, cause).inc()
        self._waiting.setdefault(agent, set()).add(place)
        self.waiting.labels(agent).set(len(self._waiting[agent]))

    def waited(self, agent: str, place: str) -> None:
        """It waits no more."""
        self._waiting.setdefault(agent, set()).discard(place)
        self.waiting.labels(agent).set(len(self._waiting[agent]))

    def task_label(self, task: str) -> str:
        """A task as a label value: beyond the first many they are all ``other``."""
        if task not in self._known:
            self._known[task] = task if len(self._known) < MOST_TASKS else "other"
        return self._known[task]

    def show_tasks(self, tasks: Iterable[Task]) -> None:
        """Take the gauges of tasks from what `jitr.tasks` says."""
        self.tasks.set(sum(task.status in ("candidate", "task") for task in tasks))

    def show_routes(self, routes: Iterable[Route]) -> None:
        """Take the gauges of routes from what `jitr.routes` says."""
        sums: dict[tuple[str, str], float] = {}
        states: dict[tuple[str, str], int] = {}

        def add(task: str, kind: str, usd: float) -> None:
            sums[task, kind] = sums.get((task, kind), 0.0) + usd

        for route in routes:
            label, money = self.task_label(route.task), route.money
            self.labels.labels(label).set(route.labels)
            states[label, route.state] = states.get((label, route.state), 0) + 1
            for kind in ("teacher", "audit", "surrogate", "shadow", "train"):
                add(label, kind, getattr(money, f"{kind}_usd"))
            add(label, "saved", saved_usd(money))
            proof = route.surrogate.proof if route.surrogate else None
            if proof is not None and label != "other":
                self.bound.labels(label).set(proof.bound)
            if label != "other":
                run = shadow_run(route)
                self.shadow.labels(label).set(run.calls if run else 0)
                self.shadow_forecast.labels(label).set(run.forecast_calls if run else 0)
        for label in {label for label, _ in states}:
            for state in _STATES:
                self.route_state.labels(label, state).set(states.get((label, state), 0))
        for (label, kind), usd in sums.items():
            if kind == "saved":
                self.saved.labels(label).set(usd)
            else:
                self.cost.labels(label, kind).set(usd)

    def page(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self.registry)

    def window(self, agent: str, start: float, end: float) -> MetricsWindow:
        """What an agent counted since its last window."""
        now: dict[str, float] = {}
        for metric in self.registry.collect():
            if metric.type != "counter":
                continue
            for sample in metric.samples:
                if sample.name.endswith("_total") and sample.labels.get("agent") == agent:
                    labels = ",".join(f'{k}="{v}"' for k, v in sorted(sample.labels.items()))
                    now[f"{sample.name}{{{labels}}}"] = sample.value
        before = self._last.get(agent, {})
        self._last[agent] = now
        counters = {k: v - before.get(k, 0.0) for k, v in now.items() if v != before.get(k, 0.0)}
        return MetricsWindow(agent=agent, worker=self.worker, start=start, end=end, counters=counters)


class _LoopCollector(Collector):
    def __init__(self, loops: Callable[[], Iterable[Loops]]) -> None:
        self._loops = loops

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("jitr_loop_up", "1 while a loop in the background runs.", labels=["loop"])
        restarts = CounterMetricFamily(
            "jitr_loop_restarts", "Loops in the background that died and were begun again.", labels=["loop"]
        )
        for loops in self._loops():
            for name, loop in loops.states.items():
                up.add_metric([name], float(loop.state == "running"))
                restarts.add_metric([name], loop.restarts)
        yield from (up, restarts)


def _version() -> str:
    try:
        return version("jitr")
    except PackageNotFoundError:
        return "0"
