"""A partition processor: everything that happens to the events of one source partition, strictly in order.

Records are unpacked and batched; a batch is worked on; its outputs are made durable; only then are its
records acknowledged.
"""

from __future__ import annotations

import asyncio
import errno
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from mode.utils.logging import get_logger

from jitr.agents.runtime.crash_markers import CrashMarker
from jitr.agents.runtime.decode import KafkaRecord, Unpacked, unpack
from jitr.agents.runtime.durable import Durable, DurableSettings
from jitr.agents.runtime.handler import Handler, SourcePartition
from jitr.agents.runtime.metrics import Metrics
from jitr.agents.runtime.poison import PoisonFilter
from jitr.agents.runtime.producer import Send
from jitr.agents.runtime.snapshot_store import LostError
from jitr.schemas.errors import UnavailableError

T = TypeVar("T")
log = get_logger(__name__)

_LONGEST_PAUSE_S = 10.0
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG, errno.EACCES, errno.EPERM}


@dataclass(frozen=True)
class ProcessorSettings(DurableSettings):
    """How a partition processor batches.

    ``batch`` counts events, ``linger_s`` is how long the first of them waits for others, ``idle_s`` how
    long silence lasts before what is left is flushed.
    """

    batch: int = 1000
    linger_s: float = 0.02
    idle_s: float = 1.0


class PartitionProcessor(Generic[T]):
    """The work on one source partition.

    Attributes
    ----------
    waits_for : str
        The server or disk that it waits for, and why; empty where it waits for none.

    Parameters
    ----------
    place : SourcePartition
        A snapshot beyond its end is of an older topic of that name.
    make : callable
        Gives a fresh handler.
    send : Send
        Hands one record to the producer.
    settings : ProcessorSettings
    metrics : Metrics
    """

    def __init__(
        self,
        place: SourcePartition,
        make: Callable[[SourcePartition], Handler[T]],
        send: Send,
        settings: ProcessorSettings,
        metrics: Metrics,
    ) -> None:
        self.place = place
        self.settings = settings
        self.durable: Durable[T] = Durable(place, make, send, settings, metrics)
        self.queued_bytes = 0
        self.waits_for = ""
        self._metrics = metrics
        self._queue: asyncio.Queue[KafkaRecord | None] = asyncio.Queue()
        self._finishing = False
        self._key = f"{place.topic}/{place.partition}"

    def put(self, source: KafkaRecord) -> None:
        """Queue a record."""
        self.queued_bytes += len(source.value or b"")
        self._queue.put_nowait(source)

    @property
    def queued(self) -> int:
        """Records that wait."""
        return self._queue.qsize()

    def finish(self, *, ack: bool) -> None:
        """End `run` after the batch in hand; without ``ack`` where the partition is another's already."""
        self._finishing, self.durable.may_ack = True, ack
        self._queue.put_nowait(None)

    async def run(self) -> None:
        """Work until told to finish, cancelled, or without the state, which another has taken up."""
        batch: list[KafkaRecord] = []
        if not self.durable.stateful:
            # nothing is left from before: there is nothing to do until something comes
            first = await self._queue.get()
            if first is None:
                return
            batch = [first]
        await self._retrying(self.durable.open)
        place, url = self.place, self.settings.state_url
        marker = CrashMarker(f"{url}/crash-markers/{place.topic}/p{place.partition:05d}.json")
        try:
            await self._work(batch, PoisonFilter(self.durable, marker, self.settings.agent))
        except asyncio.CancelledError:
            # we are told to stop in the middle of a batch: that is nobody's fault
            marker.close()
            raise
        except LostError as error:
            log.warning("%s: %s: what is in hand is its to do", self.settings.agent, error)
            marker.leave()
        else:
            marker.close()

    async def _work(self, batch: list[KafkaRecord], poison_filter: PoisonFilter[T]) -> None:
        durable = self.durable
        while not self._finishing:
            if batch:
                await self._process(await self._fill(batch), poison_filter)
            batch = await self._next()
            if batch or self._finishing:
                continue
            if durable.pending or durable.waiting:
                durable.flush()
                await self._retrying(poison_filter.checkpoint)
            elif durable.unsettled:
                await self._retrying(poison_filter.checkpoint)
        if durable.pending:
            await poison_filter.checkpoint()

    async def _next(self) -> list[KafkaRecord]:
        durable = self.durable
        if durable.pending:
            wait_s: float | None = max(0.001, min(self.settings.idle_s, durable.due - time.monotonic()))
        else:
            wait_s = self.settings.idle_s if durable.waiting or durable.unsettled else None
        try:
            source = await asyncio.wait_for(self._queue.get(), wait_s)
        except TimeoutError:
            return []
        return [] if source is None else [source]

    async def _fill(self, batch: list[KafkaRecord]) -> list[Unpacked[T]]:
        """Unpack records until there are events enough or the first has waited long enough."""
        deadline = time.monotonic() + self.settings.linger_s
        unpacked = [self._unpack(source) for source in batch]
        count = sum(len(u.events) + 1 for u in unpacked)
        while count < self.settings.batch:
            if self._queue.empty():
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                try:
                    source: KafkaRecord | None = await asyncio.wait_for(self._queue.get(), left)
                except TimeoutError:
                    break
            else:
                source = self._queue.get_nowait()
            if source is None:
                break
            unpacked.append(self._unpack(source))
            count += len(unpacked[-1].events) + 1
            await asyncio.sleep(0)  # a hostile record takes a second, and Kafka's heartbeats must go on
        return unpacked

    def _unpack(self, source: KafkaRecord) -> Unpacked[T]:
        self.queued_bytes -= len(source.value or b"")
        if source.value is None:
            self._metrics.event(self.settings.agent, "tombstone")
        return unpack(source, self.durable.handler.read, self.settings.signing)

    async def _process(self, batch: list[Unpacked[T]], poison_filter: PoisonFilter[T]) -> None:
        started = time.perf_counter()
        durable = self.durable
        fresh = [u for u in batch if u.source.offset > durable.position]
        for old in (u for u in batch if u.source.offset <= durable.position):
            # the state has it already, and its outputs went with the snapshot that has it
            durable.ack(old)
        if not fresh:
            return
        for u in fresh:
            u.events = [d for d in u.events if not durable.is_repeat(d)]
        await self._retrying(lambda: poison_filter.apply(fresh))
        durable.done(fresh)
        if not durable.stateful or time.monotonic() >= durable.due:
            await self._retrying(poison_filter.checkpoint)
        self._metrics.batch_seconds.labels(self.settings.agent).observe(time.perf_counter() - started)

    async def _retrying(self, step: Callable[[], Awaitable[Any]]) -> None:
        """Try again for as long as a server or the disk is away; nothing is acknowledged meanwhile."""
        pause, agent = 0.1, self.settings.agent
        try:
            while True:
                try:
                    await step()
                    return
                except (OSError, UnavailableError) as error:
                    cause = _cause(error)
                    self._metrics.wait(agent, cause, self._key)
                    self.waits_for = f"{cause}: {error}"
                    log.warning("%s: waiting for %s", agent, self.waits_for)
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, _LONGEST_PAUSE_S)
        finally:
            if self.waits_for:
                self.waits_for = ""
                self._metrics.waited(agent, self._key)


def _cause(error: Exception) -> str:
    """What is waited for: ``disk`` where the state cannot be written, else ``server``."""
    return "disk" if isinstance(error, OSError) and error.errno in _DISK else "server"
