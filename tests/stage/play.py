"""Playing a recorded stream to worker processes, and what is left of it: the topics, and the rows."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from redis.asyncio import Redis
from stage.recorded import TENANT, Gateway, Part
from stage.servers.kafka import PARTITIONS, Kafka
from stage.workers import WorkerProcess

from jitr.models.surrogates.artifact.artifact import read_manifest
from jitr.router.table import RouteTable, Rows
from jitr.schemas.events import Event
from jitr.schemas.routes import Route
from jitr.schemas.settings import Settings
from jitr.schemas.tasks import Task

SETTLE_S = 75.0
Seen = dict[str, dict[str, Any]]


class Stage:
    """The running play: what has been published, and the workers that are alive."""

    def __init__(self, settings: Settings, environ: dict[str, str], folder: Path, kafka: Kafka) -> None:
        self.settings = settings
        self.kafka = kafka
        self.workers: list[WorkerProcess] = []
        self.table = RouteTable(Redis.from_url(settings.redis.url))
        self.sent: Counter[str] = Counter()
        self.teacher: Counter[str] = Counter()
        self.ids: list[str] = []
        self._environ = environ
        self._folder = folder

    def join(self) -> WorkerProcess:
        """Start one more worker with all agents; it is not ready yet."""
        log = self._folder / f"worker{len(self.workers)}.log"
        self.workers.append(WorkerProcess(self._environ, log=log))
        return self.workers[-1]

    async def publish(self, part: Part, rows: Rows, begin: float = 0.0, end: float = 1.0) -> None:
        """Publish the piece of a part from one share of it to another."""
        gateway = Gateway(rows)
        for place, (lane, all_calls) in enumerate(part.lanes.items()):
            n = len(all_calls)
            calls = [gateway.decided(call) for call in all_calls[int(n * begin) : int(n * end)]]
            topic = self.settings.topics.calls.name
            await self.kafka.publish(topic, calls, partition=place % PARTITIONS)
            self.sent[lane] += len(calls)
            self.teacher[lane] += sum(call.response is not None for call in calls)
            self.ids += [call.id for call in calls]

    async def rows(self) -> Rows:
        """The table as it stands."""
        return await self.table.load(TENANT)

    async def settled(self, stood: Callable[[Route], bool] = lambda route: True) -> Rows:
        """Wait until every call is counted in its row, every label told, and every row stands so.

        Calls that are counted twice never come to the number that was sent: then this fails.
        """
        tasks = {lane: n for lane, n in self.sent.items() if lane != "ad-hoc"}
        calls, labels = sorted(tasks.values()), sorted(self.teacher[lane] for lane in tasks)
        deadline = time.monotonic() + SETTLE_S
        while True:
            rows = await self.rows()
            routes = rows.routes.values()
            counted = sorted(r.calls for r in routes) == calls and sorted(r.labels for r in routes) == labels
            if counted and all(map(stood, routes)):
                return rows
            for worker in self.workers:
                died = worker.process.poll()
                assert died is None or worker.killed, f"a worker ended with {died}"
            assert time.monotonic() < deadline, (
                f"{calls} calls with {labels} labels were sent; the rows say "
                f"{[(r.task, r.calls, r.labels, r.state, r.candidate and r.candidate.state) for r in routes]}"
            )
            await asyncio.sleep(0.05)


@dataclass
class Played:
    """What a play left behind."""

    ids: list[str]
    routes: dict[str, Route]
    tasks: dict[str, Task]
    topics: dict[str, list[Event]]
    took_s: dict[str, float] = field(default_factory=dict)

    def unique(self, topic: str) -> Seen:
        """Events by id, the first of each: a copy must say the same."""
        found: Seen = {}
        for event in self.topics[topic]:
            found.setdefault(event.id, msgspec.json.decode(event.data))
        return found

    def contradictions(self, topic: str) -> list[str]:
        """Ids of events of which a copy says something else."""
        first: dict[str, bytes] = {}
        return [e.id for e in self.topics[topic] if first.setdefault(e.id, bytes(e.data)) != bytes(e.data)]

    def of_tasks(self) -> Iterator[tuple[Route, list[dict[str, Any]]]]:
        """Each route with its calls."""
        calls = defaultdict(list)
        for call in self.unique("task_calls").values():
            calls[call["task"]].append(call)
        for task, route in sorted(self.routes.items()):
            yield route, calls[task]

    def outcome(self) -> dict[str, Any]:
        """What must be the same however the workers lived and died, by task."""
        return {task: _outcome(route, self.tasks[task]) for task, route in sorted(self.routes.items())}


def _outcome(route: Route, task: Task) -> dict[str, Any]:
    refs = {}
    for role in ("surrogate", "candidate"):
        ref = getattr(route, role)
        if ref is not None:
            manifest, _ = read_manifest(Path(ref.uri))
            refs[role] = {
                "version": ref.version,
                "digest": ref.digest,
                "dataset": manifest.lineage.dataset,
                "state": ref.state,
                "labels": ref.labels,
                "proof": msgspec.to_builtins(ref.proof),
            }
    money = route.money
    return {
        "kind": task.kind,
        "labels of the task": sorted(task.labels),
        "templates": msgspec.to_builtins(task.templates),
        "state": route.state,
        "target": type(route.target).__name__,
        "versions": refs,
        "counts": {
            name: getattr(route, name)
            for name in (
                "calls",
                "labels",
                "accepted",
                "audits",
                "agreed",
                "holds",
                "demotions",
                "rejections",
            )
        },
        "share": route.share,
        "audit_rate": route.audit_rate,
        "asked": {name: getattr(money, name) for name in ("teacher_calls", "audit_calls", "answered_calls")},
        "spent": {name: round(getattr(money, name), 9) for name in ("teacher_usd", "audit_usd")},
    }


Scene = Callable[[Stage], Awaitable[None]]


async def play(settings: Settings, environ: dict[str, str], folder: Path, scene: Scene) -> Played:
    """Let a scene run, end the workers in order, and read what is left."""
    folder.mkdir(parents=True, exist_ok=True)
    async with Kafka(settings) as kafka:
        stage = Stage(settings, environ, folder, kafka)
        try:
            await scene(stage)
            for worker in stage.workers:
                if worker.process.poll() is None:
                    assert await worker.stop() == 0
            rows = await stage.rows()
        finally:
            for worker in stage.workers:
                worker.__exit__(None, None, None)
        names = ("calls", "unmatched", "task_calls", "trainings", "evidence", "routes", "ledger")
        topics = {name: await kafka.events(getattr(settings.topics, name).name) for name in names}
        letters = await kafka.read(settings.topics.dead_letters.name)
        assert letters == [], [letter.headers for letter in letters]
    return Played(stage.ids, rows.routes, rows.tasks, topics)


def ids_of(events: Iterable[Event]) -> set[str]:
    """The ids of events."""
    return {event.id for event in events}


def lost_and_found(played: Played) -> tuple[set[str], set[str]]:
    """Ids of calls that are nowhere, and ids that nobody sent."""
    sent = set(played.ids)
    there = ids_of(played.topics["task_calls"]) | ids_of(played.topics["unmatched"])
    return sent - there, there - sent
