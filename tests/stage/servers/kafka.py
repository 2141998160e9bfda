"""What a test does to a broker, and what it wants to know of one."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from jitr.agents.runtime.topics import create_missing
from jitr.schemas.events import Event, decode_events, encode_batch
from jitr.schemas.record import Record
from jitr.schemas.settings import Settings

PARTITIONS = 4


def settings_for(
    bootstrap: str, folder: Path, redis: str = "redis://127.0.0.1:1/0"
) -> tuple[Settings, dict[str, str]]:
    """Settings under a prefix of their own, and the environment that gives a process the same."""
    environ = {
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "REDIS_URL": redis,
        "JITR_KAFKA__PREFIX": f"t{uuid4().hex[:8]}.",
        "JITR_KAFKA__PARTITIONS": str(PARTITIONS),
        # the shortest that Apache Kafka allows: a killed worker is missed after this
        "JITR_KAFKA__SESSION_TIMEOUT_S": "6",
        "JITR_STATE__ROOT": str(folder / "state"),
        "JITR_WORKER__PORT": "0",
        "JITR_POLICY__SUPPORT": "20",
    }
    return Settings.load(environ=environ), environ


class Kafka:
    """A producer and a reader on a broker, with the topics of these settings."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.bootstrap = settings.kafka.bootstrap
        self.topics = settings.topics

    async def __aenter__(self) -> "Kafka":
        await create_missing(self.settings.kafka, self.topics.all())
        self.producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap)
        await self.producer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.producer.stop()

    async def publish(
        self,
        topic: str,
        records: Iterable[Record],
        *,
        pack: int = 10,
        key: str | None = None,
        partition: int | None = None,
    ) -> None:
        """Pack records into Kafka records, spread over partitions unless they have a key or a partition."""
        todo: list[Any] = list(records)
        futures = []
        for at in range(0, len(todo), pack):
            some = [(r.id, r.time, r) for r in todo[at : at + pack]]
            value, headers = encode_batch(some, source="/test")
            place = partition
            if place is None and key is None:
                place = at // pack % PARTITIONS
            futures.append(
                await self.producer.send(
                    topic, value, key=key.encode() if key else None, headers=headers, partition=place
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
        """Every event of a topic, in the order of each partition."""
        read = [
            decode_events(r.value, r.headers, fallback_id="", fallback_time=0.0)
            for r in await self.read(topic)
        ]
        return [e for events in read for e in events if isinstance(e, Event)]

    async def rows(self, topic: str, kind: Any) -> list[Any]:
        """Every event of a topic, decoded."""
        return [msgspec.json.decode(e.data, type=kind) for e in await self.events(topic)]

    async def done(self, *agents: str) -> None:
        """Wait until these agents have committed all of their sources."""
        sources = {
            "detect": self.topics.calls,
            "mine": self.topics.unmatched,
            "collect": self.topics.task_calls,
            "train": self.topics.trainings,
            "audit": self.topics.task_calls,
            "control": self.topics.evidence,
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


async def eventually(condition: Callable[[], Any], within_s: float = 30.0) -> None:
    """Wait until a condition holds, which may be a coroutine."""
    async with asyncio.timeout(within_s):
        while True:
            found = condition()
            if isinstance(found, Awaitable):
                found = await found
            if found:
                return
            await asyncio.sleep(0.02)
