"""A lane: everything that happens to the events of one source partition, strictly in order.

A batch is worked on; its outputs are made durable; only then are its records acknowledged. With state, the
snapshot comes first and holds the outputs, so that a crash anywhere repeats them unchanged.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from mode.utils.logging import get_logger

from jitr.agents.handler import Delivery, Handler, Output, Place, StatefulHandler
from jitr.agents.marks import Marks
from jitr.agents.metrics import Metrics
from jitr.agents.outbox import Send, pack, send_all
from jitr.agents.seen import Seen
from jitr.agents.state import Outgoing, Snapshot, SnapshotStore
from jitr.agents.unpack import Source, Unpacked, blame, outgoing, unpack
from jitr.schemas.deadletters import DeadLetter
from jitr.schemas.errors import JitrError, UnavailableError

T = TypeVar("T")
log = get_logger(__name__)

SEEN = 20_000
_LONGEST_PAUSE_S = 10.0
# a snapshot may take up to this share of a lane's time
_SNAPSHOT_SHARE = 0.05


class FatalEventError(JitrError):
    """An event that killed its process as often as we let it."""


@dataclass(frozen=True)
class LaneSettings:
    """How a lane batches.

    ``batch`` counts events, ``linger_s`` is how long the first of them waits for others, ``idle_s`` how
    long silence lasts before what is left is flushed, ``snapshot_s`` the least time between snapshots.
    """

    agent: str
    dead_letters: str
    state_url: str
    batch: int = 1000
    linger_s: float = 0.02
    idle_s: float = 1.0
    snapshot_s: float = 0.0


class Lane(Generic[T]):
    """The work on one source partition.

    Parameters
    ----------
    place : Place
        A snapshot beyond its end is of an older topic of that name.
    make : callable
        Gives a fresh handler.
    send : Send
        Hands one record to the producer.
    settings : LaneSettings
    metrics : Metrics
    """

    def __init__(
        self,
        place: Place,
        make: Callable[[Place], Handler[T]],
        send: Send,
        settings: LaneSettings,
        metrics: Metrics,
    ) -> None:
        self.place = place
        self.settings = settings
        self._make = make
        self._send = send
        self._metrics = metrics
        self._handler = make(place)
        self._store = SnapshotStore(f"{settings.state_url}/{place.topic}/p{place.partition:05d}")
        self._queue: asyncio.Queue[Source | None] = asyncio.Queue()
        self._position = -1
        self._sequence = 0
        self._seen = Seen(SEEN)
        self._outputs: list[Output] = []
        self._pending: list[Unpacked[T]] = []
        self._snapshot_due = 0.0
        self._marks: Marks | None = None
        self._finishing = False
        self._may_ack = True
        self.handled = 0
        self.queued_bytes = 0

    def put(self, source: Source) -> None:
        """Queue a record."""
        self.queued_bytes += len(source.value)
        self._queue.put_nowait(source)

    @property
    def queued(self) -> int:
        """Records that wait."""
        return self._queue.qsize()

    async def run(self) -> None:
        """Work until told to finish, or cancelled."""
        batch: list[Source] = []
        if not isinstance(self._handler, StatefulHandler):
            # nothing is left from before: there is nothing to do until something comes
            first = await self._queue.get()
            if first is None:
                return
            batch = [first]
        await self._retrying(self._open)
        try:
            await self._work(batch)
        except asyncio.CancelledError:
            # we are told to stop in the middle of a batch: that is nobody's fault
            if self._marks is not None:
                self._marks.close()
            raise
        if self._marks is not None:
            self._marks.close()

    async def _work(self, batch: list[Source]) -> None:
        while not self._finishing:
            if batch:
                await self._process(await self._fill(batch))
            batch = await self._next()
            if not batch and not self._finishing and (self._pending or self._waiting):
                self._flush()
                await self._retrying(self._checkpoint)
        if self._pending:
            await self._checkpoint()

    def finish(self, *, ack: bool) -> None:
        """End `run` after the batch in hand; without ``ack`` where the partition is another's already."""
        self._finishing, self._may_ack = True, ack
        self._queue.put_nowait(None)

    @property
    def _waiting(self) -> bool:
        return isinstance(self._handler, StatefulHandler) and self._handler.waiting

    async def _next(self) -> list[Source]:
        if self._pending:
            wait_s: float | None = max(
                0.001, min(self.settings.idle_s, self._snapshot_due - time.monotonic())
            )
        else:
            wait_s = self.settings.idle_s if self._waiting else None
        try:
            source = await asyncio.wait_for(self._queue.get(), wait_s)
        except TimeoutError:
            return []
        return [] if source is None else [source]

    async def _fill(self, batch: list[Source]) -> list[Unpacked[T]]:
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
                    source: Source | None = await asyncio.wait_for(self._queue.get(), left)
                except TimeoutError:
                    break
            else:
                source = self._queue.get_nowait()
            if source is None:
                break
            unpacked.append(self._unpack(source))
            count += len(unpacked[-1].events) + 1
        return unpacked

    def _unpack(self, source: Source) -> Unpacked[T]:
        self.queued_bytes -= len(source.value)
        return unpack(source, self._handler.read)

    async def _process(self, batch: list[Unpacked[T]]) -> None:
        started = time.perf_counter()
        fresh = [u for u in batch if u.source.offset > self._position]
        for old in (u for u in batch if u.source.offset <= self._position):
            # the state has it already, and its outputs went with the snapshot that has it
            self._ack(old)
        if not fresh:
            return
        for u in fresh:
            u.events = [d for d in u.events if not self._is_repeat(d)]
        await self._retrying(lambda: self._apply(fresh))
        self._position = fresh[-1].source.offset
        self._pending += fresh
        if not isinstance(self._handler, StatefulHandler) or time.monotonic() >= self._snapshot_due:
            await self._retrying(self._checkpoint)
        self._metrics.batch_seconds.labels(self.settings.agent).observe(time.perf_counter() - started)

    def _is_repeat(self, delivery: Delivery[T]) -> bool:
        if not isinstance(self._handler, StatefulHandler) or self._seen.add(delivery.id):
            return False
        self._metrics.event(self.settings.agent, "duplicate")
        return True

    async def _apply(self, batch: list[Unpacked[T]]) -> None:
        """Let the handler work on a batch; find the culprits if it cannot."""
        events = [d for u in batch for d in u.events]
        if not events:
            return
        marks = self._marks
        assert marks is not None
        if not any(marks.one_by_one((d.offset, d.index)) for d in events):
            marks.begin((events[0].offset, events[0].index), (events[-1].offset, events[-1].index))
            try:
                await self._handle(events)
                return
            except (OSError, UnavailableError):
                await self._rewind()
                raise
            except Exception as error:
                log.warning("%s: a batch of %d failed: %r", self.settings.agent, len(events), error)
                await self._rewind()
        await self._one_by_one(batch, marks)

    async def _one_by_one(self, batch: list[Unpacked[T]], marks: Marks) -> None:
        good: list[Delivery[T]] = []
        for u in batch:
            for delivery in tuple(u.events):
                at = (delivery.offset, delivery.index)
                try:
                    if marks.guilty(at):
                        raise FatalEventError(f"killed its process three times (event {delivery.id})")
                    marks.begin(at, at)
                    await self._handle([delivery])
                    good.append(delivery)
                except (OSError, UnavailableError):
                    await self._rewind()
                    raise
                except Exception as error:
                    u.events.remove(delivery)
                    # it may be replayed one day, under the same id
                    self._seen.forget(delivery.id)
                    u.letters.append(blame(u.source, delivery, error, self.settings.agent))
                    await self._rewind()
                    if good and isinstance(self._handler, StatefulHandler):
                        await self._handle(good)

    async def _handle(self, events: Sequence[Delivery[T]]) -> None:
        outputs = self._handler.handle(events)
        if inspect.isawaitable(outputs):
            outputs = await outputs
        self._outputs += outputs

    async def _rewind(self) -> None:
        """Take back a half-done batch: the last snapshot, and what was done since."""
        if not isinstance(self._handler, StatefulHandler):
            # outputs of good events that were made one by one are kept
            return
        seen, position = self._seen, self._position
        await self._load()
        self._seen, self._position = seen, position
        done = [d for u in self._pending for d in u.events]
        if done:
            await self._handle(done)

    async def _open(self) -> None:
        url, place = self.settings.state_url, self.place
        self._marks = Marks(f"{url}/marks/{place.topic}/p{place.partition:05d}.json")
        leftover = await self._load()
        await send_all(leftover, self._send)

    async def _load(self) -> list[Outgoing]:
        self._handler = self._make(self.place)
        self._outputs = []
        if not isinstance(self._handler, StatefulHandler):
            return []
        found = self._store.latest()
        if found is not None and await self._is_of_older_topic(found):
            log.warning(
                "%s: %s was made anew, its old state is dropped", self.settings.agent, self.place.topic
            )
            self._store.clear()
            found = None
        if found is None:
            return []
        self._position, self._sequence = found.position, found.sequence
        self._seen = Seen(SEEN, found.seen)
        self._handler.restore(found.state)
        return found.outbox

    async def _is_of_older_topic(self, found: Snapshot) -> bool:
        """Whether a snapshot includes what this topic does not hold; asked after it was read."""
        end = self.place.end()
        if end is None or found.position >= end:
            asked = await self.place.ask_end()
            end = asked if asked is not None else end
        return end is not None and found.position >= end

    def _flush(self) -> None:
        if isinstance(self._handler, StatefulHandler):
            self._outputs += self._handler.flush()

    async def _checkpoint(self) -> None:
        """Make everything since the last time durable, then acknowledge it."""
        took_s = 0.0
        letters = [dead for u in self._pending for dead in u.letters]
        packed = pack(self._outputs, source=f"/jitr/{self.settings.agent}")
        packed += [outgoing(dead, self.settings.dead_letters) for dead in letters]
        if isinstance(self._handler, StatefulHandler):
            started = time.monotonic()
            self._sequence += 1
            seen = self._seen.save()
            self._store.write(
                Snapshot(self._position, self._sequence, seen, self._handler.snapshot(), packed)
            )
            took_s = time.monotonic() - started
        await send_all(packed, self._send)
        self._count(letters)
        for u in self._pending:
            self._ack(u)
        self._pending, self._outputs = [], []
        self._snapshot_due = time.monotonic() + max(self.settings.snapshot_s, took_s / _SNAPSHOT_SHARE)

    def _ack(self, unpacked: Unpacked[T]) -> None:
        if self._may_ack:
            unpacked.source.ack()

    def _count(self, letters: Sequence[DeadLetter]) -> None:
        agent = self.settings.agent
        n = sum(len(u.events) for u in self._pending)
        results = self._handler.results
        for result, count in (results or {"handled": n}).items():
            self._metrics.event(agent, result, count)
        results.clear()
        for dead in letters:
            self._metrics.event(agent, "dead")
            self._metrics.dead_letters.labels(agent, dead.stage).inc()
        self.handled += n

    async def _retrying(self, step: Callable[[], Awaitable[Any]]) -> None:
        """Try again for as long as a server is away; nothing is acknowledged meanwhile."""
        pause = 0.1
        while True:
            try:
                await step()
                return
            except (OSError, UnavailableError) as error:
                log.warning("%s: waiting for a server: %s", self.settings.agent, error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_S)
