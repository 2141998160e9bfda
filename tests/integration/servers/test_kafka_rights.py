"""Exactly the rights that `jitr doctor --acls` prints let everything work; one fewer is named."""

from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest
from stage.calls import calls_of
from stage.servers.kafka import eventually
from stage.servers.secure_kafka import SecureKafka, call, committed, settings_at
from stage.workers import working

from jitr.agents.runtime.topics import create_missing
from jitr.agents.worker import Worker
from jitr.cli.topic import producer, records
from jitr.router.publishing.events import EventStream
from jitr.router.servers.rights import missing
from jitr.sandbox.traffic.workload import Workload
from jitr.schemas.errors import UnavailableError
from jitr.schemas.rights import AGENTS, KafkaRight, kafka_rights, making_rights
from jitr.schemas.settings import Settings

pytestmark = pytest.mark.kafka
WORKING = ("detect", "mine", "collect", "audit", "control")


def by(user: str, secure: SecureKafka, settings: Settings) -> Settings:
    """The same settings, as another user."""
    own = settings.kafka
    kafka = secure.settings(
        "sasl_ssl",
        username=user,
        prefix=own.prefix,
        partitions=own.partitions,
        session_timeout_s=own.session_timeout_s,
    )
    return msgspec.structs.replace(settings, kafka=kafka)


def allow(secure: SecureKafka, user: str, rights: Iterable[KafkaRight]) -> None:
    secure.allow(user, sorted({(right.kind, right.name, right.operation) for right in rights}))


def of(settings: Settings, *parts: str) -> list[KafkaRight]:
    return [right for right in kafka_rights(settings) if right.part in parts]


@pytest.fixture
async def settings(secure_kafka: SecureKafka, tmp_path: Path) -> Settings:
    made = settings_at(secure_kafka.settings(), tmp_path)
    await create_missing(made.kafka, made.topics.all())
    return made


async def test_the_documented_rights_are_enough(secure_kafka: SecureKafka, settings: Settings) -> None:
    gateway, worker, operator = (
        by(user, secure_kafka, settings) for user in ("gateway", "worker", "operator")
    )
    allow(secure_kafka, "gateway", of(settings, "gateway"))
    allow(secure_kafka, "worker", of(settings, "worker", *WORKING))
    allow(secure_kafka, "operator", of(settings, "operator"))
    settled = [(worker, of(settings, "worker", *WORKING)), (operator, of(settings, "operator"))]
    for user, rights in settled:
        await eventually(lambda user=user, rights=rights: _whole(user, rights))
    stream = EventStream(gateway)
    await stream.start()
    calls = calls_of(Workload(seed=6, tasks=["spam"]), 60)
    async with working(worker, *WORKING):
        for one in calls:
            stream.publish(one)
        await eventually(lambda: stream.published == 60)
        for agent in ("detect", "mine", "collect", "audit", "control"):
            await eventually(lambda agent=agent: committed(settings, agent, WORKED[agent]))
    await stream.stop()
    topics = operator.topics
    assert [record async for record in records(operator, topics.calls.name)]
    async for _ in records(operator, topics.ledger.name):
        pass
    async with producer(operator) as client:
        for topic in (topics.calls, topics.unmatched, topics.evidence, topics.dead_letters):
            await client.send_and_wait(topic.name, b"{}")


WORKED = {
    "detect": "calls",
    "mine": "unmatched",
    "collect": "task_calls",
    "audit": "task_calls",
    "control": "evidence",
}


async def _whole(user: Settings, rights: list[KafkaRight]) -> bool:
    return not await missing(user.kafka, rights)


async def test_one_right_fewer_of_a_worker_is_named(secure_kafka: SecureKafka, settings: Settings) -> None:
    worker = by("worker", secure_kafka, settings)
    rights = of(settings, "worker", *AGENTS)
    # to read or write a topic implies to describe it
    implied = {right.name for right in rights if right.operation != "Describe"}
    for left_out in rights:
        same = (left_out.kind, left_out.name, left_out.operation)
        if left_out.operation == "Describe" and left_out.name in implied:
            continue
        allow(secure_kafka, "worker", (r for r in rights if (r.kind, r.name, r.operation) != same))

        async def only_that(same: tuple[str, str, str] = same) -> bool:
            found = await missing(worker.kafka, rights)
            return {(r.kind, r.name, r.operation) for r in found} == {same}

        await eventually(only_that)
    for left_out in (rights[0], next(r for r in rights if r.kind == "group")):
        allow(secure_kafka, "worker", (r for r in rights if str(r) != str(left_out)))
        await eventually(lambda left_out=left_out: _lacks(worker, rights, left_out))
        with pytest.raises(UnavailableError, match=str(left_out)) as told:
            await Worker(worker).start()
        assert "jitr doctor --acls" in str(told.value)


async def _lacks(user: Settings, rights: list[KafkaRight], right: KafkaRight) -> bool:
    return {str(r) for r in await missing(user.kafka, rights)} == {str(right)}


async def test_one_right_fewer_of_a_gateway_or_a_person_is_named(
    secure_kafka: SecureKafka, settings: Settings
) -> None:
    gateway, operator = by("gateway", secure_kafka, settings), by("operator", secure_kafka, settings)
    calls = settings.topics.calls.name
    for rest in ((), [KafkaRight("gateway", "topic", calls, "Describe")]):
        allow(secure_kafka, "gateway", rest)
        stream = EventStream(gateway)
        await stream.start()
        stream.publish(call(1))
        await eventually(lambda stream=stream: f"Write on topic {calls}" in stream.state()["kafka"])
        await stream.stop()
        assert stream.waiting == stream.taken > 0  # kept on disk until the right is there
    async with producer(settings) as client:
        await client.send_and_wait(calls, b"{}")
    for rest in ((), [KafkaRight("operator", "topic", calls, "Describe")]):
        allow(secure_kafka, "operator", rest)
        with pytest.raises(UnavailableError, match=rf"{calls}.*jitr doctor --acls"):
            async for _ in records(operator, calls):
                pass
    elsewhere = KafkaRight("operator", "topic", settings.topics.evidence.name, "Write")
    for rest, says in (((), "write to any topic"), ([elsewhere], calls)):
        allow(secure_kafka, "operator", rest)
        with pytest.raises(UnavailableError, match=rf"{says}.*jitr doctor --acls"):
            async with producer(operator) as client:
                await client.send_and_wait(calls, b"{}")


async def test_a_worker_makes_topics_with_the_rights_to_make_them(
    secure_kafka: SecureKafka, tmp_path: Path
) -> None:
    worker = by("worker", secure_kafka, settings_at(secure_kafka.settings(), tmp_path))
    topics = worker.topics.all()
    describe = [right for right in of(worker, "worker") if right.operation == "Describe"]
    allow(secure_kafka, "worker", describe)
    with pytest.raises(UnavailableError, match=rf"Create on topic {topics[0].name}"):
        await create_missing(worker.kafka, topics)
    allow(secure_kafka, "worker", [*describe, *making_rights(worker)])

    async def made() -> bool:
        try:
            return len(await create_missing(worker.kafka, topics)) == len(topics)
        except UnavailableError:
            return False

    await eventually(made)
