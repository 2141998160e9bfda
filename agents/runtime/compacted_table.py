"""One reader of a compacted topic: the last row of every key, in memory, followed for as long as it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from mode.utils.logging import get_logger

from jitr.router.servers.kafka import client_options, why
from jitr.router.supervisor import Loops
from jitr.schemas import fetching
from jitr.schemas.errors import UnavailableError
from jitr.schemas.events import Event, Headers, decode_events
from jitr.schemas.record import Record, decode
from jitr.schemas.servers import KafkaSettings

R = TypeVar("R", bound=Record)
log = get_logger(__name__)

_PATIENCE_S = 60.0


class CompactedReader(Generic[R]):
    """The rows of a compacted topic.

    It has no consumer group and commits nothing: every start reads the whole topic, and `start` returns
    when all of it that was there has been read. What cannot be read is left out here; the agent that reads
    the topic too makes a dead letter of it.

    Parameters
    ----------
    kafka : KafkaSettings
    topic : str
        Must exist.
    kind : type of Record
    key : callable
        What a row is known by; a later row of the same key takes its place.
    rank : callable, optional
        Unless the later one ranks lower: a worker that opens its state sends what it may have sent before.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        topic: str,
        kind: type[R],
        key: Callable[[R], str],
        rank: Callable[[R], Any] = lambda row: 0,
    ) -> None:
        self.rows: dict[str, R] = {}
        # counts the rows read: whoever derives something from them looks whether it has moved
        self.revision = 0
        self.changed = asyncio.Event()
        self._topic = topic
        self._kind = kind
        self._key = key
        self._rank = rank
        self._kafka = kafka
        self.loops = Loops()
        self._consumer: AIOKafkaConsumer | None = None
        self._next: dict[TopicPartition, int] = {}

    async def start(self) -> None:
        """Read what is there, then go on reading in the background.

        Raises
        ------
        UnavailableError
            If the topic is not there or cannot be read to its end.
        """
        await self._open()
        self.loops.run(f"read {self._topic}", self._follow)

    async def stop(self) -> None:
        """Stop following; the rows stay."""
        await self.loops.stop(f"read {self._topic}")
        await self._close()

    async def _open(self) -> None:
        """Read to the end, from the beginning or from where an earlier consumer stood."""
        fetching.install()
        self._consumer = consumer = AIOKafkaConsumer(
            self._topic,
            **client_options(self._kafka),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        try:
            await consumer.start()
            async with asyncio.timeout(_PATIENCE_S):
                # without a group all partitions are ours, from the beginning, once their leaders are known
                while not (partitions := consumer.assignment()):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
                for tp, offset in self._next.items():
                    consumer.seek(tp, offset)
                ends = await consumer.end_offsets(partitions)
                while any([await consumer.position(tp) < end for tp, end in ends.items()]):
                    self._take(await consumer.getmany(timeout_ms=200, max_records=5000))
        except (KafkaError, TimeoutError) as error:
            await self._close()
            raise UnavailableError(
                f"topic {self._topic} could not be read to its end ({error!r}):"
                f" {await why(self._kafka, error)}"
            ) from error

    async def _close(self) -> None:
        if self._consumer is not None:
            await self._consumer.stop()
            self._consumer = None

    async def _follow(self) -> None:
        """Read on for as long as the consumer works; begun again, with a new one."""
        try:
            if self._consumer is None:
                await self._open()
            while True:
                assert self._consumer is not None
                try:
                    self._take(await self._consumer.getmany(timeout_ms=1000, max_records=5000))
                except KafkaError as error:
                    log.warning("%s: waiting for Kafka: %r", self._topic, error)
                    await asyncio.sleep(1.0)
        except Exception:
            await self._close()
            raise

    def _take(self, batches: Mapping[TopicPartition, list[Any]]) -> None:
        before = self.revision
        for tp, records in batches.items():
            for record in records:
                try:
                    self._take_one(record.value, record.headers)
                except Exception as error:
                    log.warning("%s: a row that cannot be read is left out: %s", self._topic, error)
                self._next[tp] = record.offset + 1
        if self.revision != before:
            self.changed.set()
            self.changed = asyncio.Event()

    def _take_one(self, value: bytes | None, headers: Headers) -> None:
        for event in decode_events(value, headers, fallback_id="", fallback_time=0.0):
            if not isinstance(event, Event):
                continue
            row = decode(event.data, self._kind)
            known = self.rows.get(self._key(row))
            if known is None or self._rank(row) >= self._rank(known):
                self.rows[self._key(row)] = row
                self.revision += 1
