"""Calls on their way to Kafka: packed, redacted, never in the caller's way."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter, deque
from pathlib import Path
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from jitr.models.tasks.redaction import Redaction
from jitr.router.artifacts import local_path
from jitr.router.spool import Spool
from jitr.schemas.calls import Call
from jitr.schemas.events import BATCH, encode_batch
from jitr.schemas.settings import Settings

log = logging.getLogger(__name__)
HEADERS: Final = [("content-type", BATCH.encode())]
MOST_CALLS: Final = 20_000
MOST_BYTES: Final = 64 * 2**20
BATCH_CALLS: Final = 100
BATCH_BYTES: Final = 256 * 1024
# Kafka's own bound on a record is 1 MiB unless the topic says otherwise
RECORD_BYTES: Final = 1_000_000
SEND_TIMEOUT_S: Final = 5.0
RETRY_S: Final = 1.0


class EventStream:
    """Publishes calls to `llm.calls`, several in one record.

    `publish` only appends to a queue in memory. One task packs what has come within the linger and sends
    it; while Kafka is away batches wait on disk, in order, and are sent when it is back. Whatever passes
    a bound is dropped and counted, and the caller never waits.

    Parameters
    ----------
    settings : Settings
    source : str
        URI reference of the sender, for CloudEvents' ``source``.

    Attributes
    ----------
    published : int
        Calls that Kafka has confirmed.
    dropped : Counter of str
        Calls lost, by why: ``queue_full``, ``spool_full``, ``too_large``.
    """

    def __init__(self, settings: Settings, *, source: str = "/jitr/gateway") -> None:
        self._settings: Final = settings
        self._redact: Final = Redaction(settings)
        self._source: Final = source
        self._topic: Final = settings.topics.calls.name
        self._linger_s: Final = settings.gateway.publish_linger_ms / 1000
        self._queue: deque[tuple[Call, int]] = deque()
        self._queued_bytes = 0
        self._wake: Final = asyncio.Event()
        self._tried: Final = asyncio.Event()
        self._stopping = False
        self._spool: Spool | None = None
        self._producer: AIOKafkaProducer | None = None
        self._pump: asyncio.Task[None] | None = None
        self._linker: asyncio.Task[None] | None = None
        self.published = 0
        self.dropped: Counter[str] = Counter()

    @property
    def spool_bytes(self) -> int:
        """What waits on disk."""
        return self._spool.size_bytes if self._spool else 0

    @property
    def queued(self) -> int:
        """Calls that wait in memory."""
        return len(self._queue)

    @property
    def connected(self) -> bool:
        """Whether Kafka answers."""
        return self._producer is not None

    async def start(self) -> None:
        """Begin to publish; Kafka need not be there yet."""
        root = local_path(self._settings.state.root) or Path(".jitr/state")
        limit = self._settings.gateway.spool_mb * 2**20
        self._spool = await asyncio.to_thread(Spool, root / "spool", limit)
        self._linker = asyncio.create_task(self._link())
        self._pump = asyncio.create_task(self._run())

    async def stop(self, deadline_s: float = 10.0) -> None:
        """Send what waits, or write it to disk, within a deadline."""
        if self._queue:
            # a program that ends right after its first call is not sent to the disk for that
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._tried.wait(), deadline_s / 2)
        self._stopping = True
        self._wake.set()
        if self._pump:
            # a send that does not come to an end falls back to the spool after its own timeout
            await asyncio.wait({self._pump}, timeout=deadline_s)
            await _cancelled(self._pump)
        await _cancelled(self._linker)
        await self._unlink()
        if self._spool:
            while self._queue:
                self._keep_calls(self._take())
            await asyncio.to_thread(self._spool.close)
            self._spool = None

    def publish(self, call: Call) -> bool:
        """Take a call; on the event loop's thread. False where it is dropped, too large or too many."""
        answer = len(call.response.text) if call.response else 0
        size = 500 + answer + sum(len(message.content) for message in call.messages)
        if size > RECORD_BYTES:
            self.dropped["too_large"] += 1
            return False
        if len(self._queue) >= MOST_CALLS or self._queued_bytes + size > MOST_BYTES:
            self.dropped["queue_full"] += 1
            return False
        self._queue.append((call, size))
        self._queued_bytes += size
        self._wake.set()
        return True

    async def _run(self) -> None:
        while True:
            replaying = self.spool_bytes and self.connected
            if not self._queue and not self._stopping and not replaying:
                await self._wake.wait()
            self._wake.clear()
            if not self._stopping:
                await asyncio.sleep(self._linger_s)
            while self._queue:
                await self._dispatch(self._take())
            await self._replay()
            if self._stopping and not self._queue:
                return

    def _take(self) -> list[Call]:
        calls: list[Call] = []
        size = 0
        while self._queue and len(calls) < BATCH_CALLS:
            if calls and size + self._queue[0][1] > BATCH_BYTES:
                break
            call, weight = self._queue.popleft()
            self._queued_bytes -= weight
            size += weight
            calls.append(call)
        return calls

    async def _dispatch(self, calls: list[Call]) -> None:
        try:
            if self._settings.redact:
                for at, call in enumerate(calls):
                    calls[at] = self._redact.call(call)
                    await asyncio.sleep(0)  # long texts take a while, and requests must not wait for them
            batch = self._pack(calls)
            # while anything waits on disk, newer calls queue up behind it
            if not self.spool_bytes and await self._send(batch, len(calls)):
                return
        except asyncio.CancelledError:
            self._keep_calls(calls)
            raise
        await asyncio.to_thread(self._keep, batch, len(calls))

    def _pack(self, calls: list[Call]) -> bytes:
        return encode_batch([(call.id, call.time, call) for call in calls], source=self._source)[0]

    def _keep_calls(self, calls: list[Call]) -> None:
        if self._settings.redact:
            calls = [self._redact.call(call) for call in calls]
        self._keep(self._pack(calls), len(calls))

    async def _send(self, batch: bytes, calls: int) -> bool:
        """Send one batch; True where it is done with, sent or not."""
        if len(batch) > RECORD_BYTES and calls == 1:
            self.dropped["too_large"] += 1
            return True
        if self._producer is None:
            return False
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await self._producer.send_and_wait(self._topic, batch, headers=HEADERS)
        except MessageSizeTooLargeError:
            self.dropped["too_large"] += calls
        except (KafkaError, OSError, TimeoutError) as error:
            log.warning("Kafka does not take calls (%s); they wait on disk", error or type(error).__name__)
            await self._unlink()
            return False
        else:
            self.published += calls
        return True

    async def _replay(self) -> None:
        # newer calls are let through to the disk between some batches, lest they fill the memory
        for _ in range(50):
            if self._spool is None or self._producer is None:
                return
            waiting = await asyncio.to_thread(self._spool.peek)
            if waiting is None or not await self._send(*waiting):
                return
            self._spool.take()

    def _keep(self, batch: bytes, calls: int) -> None:
        if self._spool is None or not self._spool.append(batch, calls):
            self.dropped["spool_full"] += calls

    async def _link(self) -> None:
        while True:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    bootstrap_servers=self._settings.kafka.bootstrap,
                    acks="all",
                    request_timeout_ms=int(SEND_TIMEOUT_S * 1000),
                    max_request_size=2 * RECORD_BYTES,
                )
                try:
                    async with asyncio.timeout(SEND_TIMEOUT_S):
                        await producer.start()
                except (KafkaError, OSError, TimeoutError) as error:
                    log.debug("Kafka does not answer: %s", error)
                    await _closed(producer)
                except asyncio.CancelledError:
                    await _closed(producer)
                    raise
                else:
                    self._producer = producer
                    self._wake.set()
                self._tried.set()
            await asyncio.sleep(RETRY_S)

    async def _unlink(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await _closed(producer)


async def _cancelled(task: asyncio.Task[None] | None) -> None:
    if task is not None:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _closed(producer: AIOKafkaProducer) -> None:
    with contextlib.suppress(KafkaError, OSError, TimeoutError):
        async with asyncio.timeout(SEND_TIMEOUT_S):
            await producer.stop()
