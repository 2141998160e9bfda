"""Read a topic from a point to its end, without a group, and write to one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord

from jitr.router.servers.kafka import client_options, why
from jitr.router.servers.rights import must_have
from jitr.schemas import fetching
from jitr.schemas.errors import RecordError, UnavailableError
from jitr.schemas.events import Event, decode_events
from jitr.schemas.record import Record, decode
from jitr.schemas.rights import KafkaRight
from jitr.schemas.settings import Settings

R = TypeVar("R", bound=Record)


@asynccontextmanager
async def reaching(settings: Settings) -> AsyncIterator[None]:
    """Say which Kafka does not answer, in the place of the client's own error."""
    try:
        yield
    except KafkaError as error:
        raise UnavailableError(await why(settings.kafka, error)) from error


async def records(
    settings: Settings, topic: str, *, since: float | None = None
) -> AsyncIterator[ConsumerRecord[bytes | None, bytes | None]]:
    """Every record of a topic that is there now, from a time (seconds since the epoch) on.

    Raises
    ------
    UnavailableError
        If Kafka does not answer, or does not let us read the topic.
    """
    fetching.install()
    consumer: Any = AIOKafkaConsumer(
        **client_options(settings.kafka), enable_auto_commit=False, auto_offset_reset="earliest"
    )
    async with reaching(settings):
        try:
            await consumer.start()
            # a consumer without topics knows of none: it must not ask for this one, for that may create it
            cluster = await consumer._client.fetch_all_metadata()
            partitions = [TopicPartition(topic, p) for p in sorted(cluster.partitions_for_topic(topic) or ())]
            if not partitions:
                await must_have(settings.kafka, [KafkaRight("operator", "topic", topic, "Read")])
                return
            consumer.assign(partitions)
            ends = await consumer.end_offsets(partitions)
            starts = await consumer.beginning_offsets(partitions)
            if since is not None:
                found = await consumer.offsets_for_times({p: int(since * 1000) for p in partitions})
                starts = {p: found[p].offset if found.get(p) else ends[p] for p in partitions}
            left = {p for p in partitions if starts[p] < ends[p]}
            for p in partitions:
                consumer.seek(p, starts[p])
            while left:
                batches = await consumer.getmany(*left, timeout_ms=500)
                for partition, batch in batches.items():
                    for record in batch:
                        if record.offset < ends[partition]:
                            yield record
                for p in list(left):
                    if await consumer.position(p) >= ends[p]:
                        left.discard(p)
        finally:
            await consumer.stop()


@asynccontextmanager
async def producer(settings: Settings) -> AsyncIterator[Any]:
    """A producer that is flushed and closed at the end."""
    made = AIOKafkaProducer(
        **client_options(settings.kafka),
        linger_ms=20,
        enable_idempotence=True,
        max_request_size=4 << 20,
    )
    async with reaching(settings):
        try:
            await made.start()
            yield made
        finally:
            await made.stop()


def events_of(record: ConsumerRecord[bytes | None, bytes | None]) -> list[Event]:
    """The events of a record that can be read; the others are dead letters, which `jitr dlq` shows."""
    try:
        found = decode_events(record.value, record.headers, fallback_id="", fallback_time=0.0)
    except RecordError:
        return []
    return [event for event in found if isinstance(event, Event)]


def rows_of(record: ConsumerRecord[bytes | None, bytes | None], kind: type[R]) -> list[R]:
    """The events of a record that can be read, decoded."""
    rows = []
    for event in events_of(record):
        with suppress(RecordError):
            rows.append(decode(event.data, kind))
    return rows
