"""Clients of the broker under test, closed after the test, and topics of its own for each test."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.client import AIOKafkaClient

Until = Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]


@pytest.fixture
def until() -> Until:
    """Ask again until the answer is true; fails after a minute and says what was answered last."""

    async def wait(condition: Callable[[], Awaitable[Any]], deadline_s: float = 60.0) -> Any:
        end = time.monotonic() + deadline_s
        while not (answer := await condition()):
            if time.monotonic() > end:
                pytest.fail(f"not within {deadline_s} s: {condition}; the last answer was {answer!r}")
            await asyncio.sleep(0.05)
        return answer

    return wait


class Kafka:
    """What a test does with a broker."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self._names = (f"t-{uuid4().hex[:8]}-{i}" for i in count())
        self._closing: list[Callable[[], Awaitable[Any]]] = []

    def name(self) -> str:
        return next(self._names)

    async def admin(self) -> AIOKafkaAdminClient:
        client = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await client.start()
        self._closing.append(client.close)
        return client

    async def topic(self, partitions: int = 1, **config: Any) -> str:
        """Create a topic of these settings (`cleanup_policy` for `cleanup.policy`)."""
        name = self.name()
        settings = {key.replace("_", "."): str(value) for key, value in config.items()}
        admin = await self.admin()
        response = await admin.create_topics([NewTopic(name, partitions, 1, topic_configs=settings)])
        assert response.topic_errors[0][1] == 0, response
        return name

    async def producer(self, **options: Any) -> AIOKafkaProducer:
        client = AIOKafkaProducer(bootstrap_servers=self.bootstrap, **options)
        await client.start()
        self._closing.append(client.stop)
        return client

    async def consumer(self, *topics: str, **options: Any) -> AIOKafkaConsumer:
        options = {"auto_offset_reset": "earliest", "metadata_max_age_ms": 1000, **options}
        client = AIOKafkaConsumer(*topics, bootstrap_servers=self.bootstrap, **options)
        await client.start()
        self._closing.append(client.stop)
        return client

    async def member(self, group: str, *topics: str, **options: Any) -> AIOKafkaConsumer:
        """A consumer that notices a rebalance soon."""
        quick = {"heartbeat_interval_ms": 150, "session_timeout_ms": 3000, "enable_auto_commit": False}
        return await self.consumer(*topics, group_id=group, **{**quick, **options})

    async def client(self) -> AIOKafkaClient:
        client = AIOKafkaClient(bootstrap_servers=self.bootstrap)
        await client.bootstrap()
        self._closing.append(client.close)
        return client

    async def ask(self, request: Any) -> Any:
        """Send one request of aiokafka.protocol as it is."""
        client = await self.client()
        node = client.get_random_node()
        assert await client.ready(node)
        return await client.send(node, request)

    async def all_records(self, topic: str) -> list[ConsumerRecord]:
        """Every record that is in the topic now, by partition and offset."""
        consumer = await self.consumer()
        client = await self.client()
        client.add_topic(topic)
        await client.force_metadata_update()
        partitions = [TopicPartition(topic, p) for p in sorted(client.cluster.partitions_for_topic(topic))]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        found: list[ConsumerRecord] = []
        for partition in partitions:
            await consumer.seek_to_beginning(partition)
        while any([await consumer.position(p) < ends[p] for p in partitions]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found.extend(records)
        await consumer.stop()
        return sorted(found, key=lambda record: (record.partition, record.offset))

    async def close(self) -> None:
        for close in reversed(self._closing):
            await close()


@pytest.fixture
async def kafka(kafka_bootstrap: str) -> AsyncIterator[Kafka]:
    """Each of the brokers in turn."""
    kafka = Kafka(kafka_bootstrap)
    yield kafka
    await kafka.close()


@pytest.fixture
async def dev_kafka(dev_broker: str) -> AsyncIterator[Kafka]:
    """The development broker alone."""
    kafka = Kafka(dev_broker)
    yield kafka
    await kafka.close()


@pytest.fixture
def kafka_at() -> Callable[[str], Kafka]:
    """A broker that the test starts itself."""
    return Kafka
