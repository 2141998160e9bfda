"""Calls on their way to Kafka: packed, redacted, never in the caller's way."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec

from jitr.models.redaction.redaction import Redaction
from jitr.router.publishing.drops import Drop
from jitr.router.publishing.link import RECORD_BYTES, RETRY_S, KafkaLink, Sent
from jitr.router.publishing.packing import encoded, is_call, weight
from jitr.router.publishing.publish_health import PublishHealth
from jitr.router.publishing.spool import Spool
from jitr.router.scoring.fetch import local_path
from jitr.router.supervisor import Loops
from jitr.schemas.calls import Call
from jitr.schemas.settings import Settings
from jitr.schemas.signing import Signing

log = logging.getLogger(__name__)
MOST_CALLS: Final = 20_000
MOST_BYTES: Final = 64 * 2**20
BATCH_CALLS: Final = 100
BATCH_BYTES: Final = 256 * 1024
# where many wait, a record takes more: a busy event loop gets to few of them
CROWDED: Final = 1000
CROWDED_CALLS: Final = 1000
CROWDED_BYTES: Final = 800 * 1024
# calls of more bytes are made events beside the event loop
LONG: Final = 10_000
YIELD_S: Final = 0.002
PUMP: Final = "publish"
LINK: Final = "kafka"
_events: Final = msgspec.json.Decoder(list[msgspec.Raw])


class EventStream:
    """Publishes calls to `llm.calls`, several in one record.

    `publish` only appends to a queue in memory. One loop packs what has come within the linger and sends
    it; while Kafka is away batches wait on disk, in order, and are sent when it is back; where the disk takes
    none they wait in memory. Whatever passes a bound is dropped and counted, and the caller never waits. A
    call that cannot be published is dropped alone. At any time ``taken`` is ``published`` + all that was
    ``dropped`` + ``waiting``.

    Parameters
    ----------
    settings : Settings
    source : str
        URI reference of the sender, for CloudEvents' ``source``.
    clock : callable
        Monotonic seconds.

    Attributes
    ----------
    taken : int
        Calls handed to `publish`, and those of an earlier run that were found on disk.
    published : int
        Calls that Kafka has confirmed.
    dropped : Counter of Drop
        Calls lost, by why.
    loops : Loops
        What runs in the background.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        source: str = "/jitr/gateway",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings: Final = settings
        self._redact: Final = Redaction(settings)
        self._source: Final = source
        self._seal: Final = Signing(settings).seal("gateway", settings.topics.calls.name)
        self._linger_s: Final = settings.gateway.publish_linger_ms / 1000
        self._clock: Final = clock
        self._queue: Final[deque[tuple[Call, bool, int, float]]] = deque()
        self._queued_bytes = 0
        # what was taken from the queue, or from the spool, and is neither sent nor dropped yet
        self._hand: Final[list[bytes]] = []
        self._hand_since: float | None = None
        self._again: Final[list[bytes]] = []
        self._wake: Final = asyncio.Event()
        self._stopping = False
        self._stopped = False
        self._link: Final = KafkaLink(settings, settings.topics.calls.name)
        self._health: Final = PublishHealth(clock)
        self._spool: Spool | None = None
        self._refusal: Drop | None = None
        self._spool_tried_at = float("-inf")
        self.spool_trouble = ""
        self.loops: Final = Loops()
        self.taken = 0
        self.published = 0
        self.dropped: Final[Counter[str]] = Counter()

    @property
    def spool_bytes(self) -> int:
        """What waits on disk, in bytes."""
        return self._spool.size_bytes if self._spool else 0

    @property
    def queued(self) -> int:
        """Calls that wait in memory."""
        return len(self._queue) + len(self._hand)

    @property
    def waiting(self) -> int:
        """Calls that wait, in memory and on disk."""
        return self.queued + (self._spool.calls if self._spool else 0)

    @property
    def connected(self) -> bool:
        """Whether Kafka answers."""
        return self._link.connected

    @property
    def keeping(self) -> bool:
        """Whether calls find a place: Kafka or the disk takes them, none was lost: see `PublishHealth`."""
        if not self.loops.alive(PUMP):
            self._health.lost()
        oldest = self._hand_since
        if oldest is None and self._queue:
            oldest = self._queue[0][3]
        return self._health.open(oldest)

    def state(self) -> dict[str, Any]:
        """How publishing fares, for people: what Kafka and the spool say, and what waits."""
        return {
            "keeping": self.keeping,
            "kafka": self._link.trouble or "ok",
            "spool": self.spool_trouble or "ok",
            "waiting": self.waiting,
        }

    async def start(self) -> None:
        """Begin to publish; neither Kafka nor the disk need be there yet."""
        await self._open_spool()
        self.loops.run(LINK, self._keep_link)
        self.loops.run(PUMP, self._pump)

    async def stop(self, deadline_s: float = 10.0) -> None:
        """Send what waits, or write it to disk, within a deadline."""
        if self._queue:
            # a program that ends right after its first call is not sent to the disk for that
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._link.tried.wait(), deadline_s / 2)
        self._stopping = True
        self._wake.set()
        # a send that does not come to an end falls back to the spool after its own timeout
        await self.loops.stop(PUMP, grace_s=deadline_s)
        await self.loops.stop(LINK)
        await self._link.close()
        self._stopped = True
        await _in_thread(self._see_out)

    def abandon(self) -> None:
        """Let go of what a forked child has of its parent's stream: the child must touch none of it."""
        if self._spool:
            self._spool.release()

    def publish(self, call: Call, *, redacted: bool = False) -> bool:
        """Take a call, on the event loop's thread; never raises.

        Parameters
        ----------
        call : Call
        redacted : bool
            Whether the request is redacted, as `Router` leaves it; then only what was answered is looked at,
            and the event is not read back: a field to which a program gave another type makes a dead letter.

        Returns
        -------
        bool
            False where it is dropped: it is too large, or too much waits, or the stream has stopped.
        """
        self.taken += 1
        try:
            size = weight(call)
        except Exception as error:  # a program may hand us anything
            log.error("a call that is none is dropped: %s", error)
            return self._drop(Drop.UNENCODABLE)
        if self._stopped:
            return self._drop(Drop.CLOSED)
        if size > RECORD_BYTES:
            return self._drop(Drop.TOO_LARGE)
        if len(self._queue) >= MOST_CALLS or self._queued_bytes + size > MOST_BYTES:
            return self._drop(self._refusal or Drop.QUEUE_FULL)
        self._queue.append((call, redacted, size, self._clock()))
        self._queued_bytes += size
        self._wake.set()
        return True

    def _drop(self, why: Drop, calls: int = 1) -> bool:
        self.dropped[why] += calls
        if why.is_outage:
            self._health.lost()
        return False

    async def _keep_link(self) -> None:
        await self._link.keep(self._wake.set)

    async def _pump(self) -> None:
        while True:
            if not (self._queue or self._hand or self._stopping or self._replayable()):
                await self._wake.wait()
            self._wake.clear()
            if not self._stopping:
                await asyncio.sleep(self._linger_s)
            if self._spool is None:
                await self._open_spool()
            settled = True
            while settled and (self._queue or self._hand):
                if not self._hand:
                    await self._pack()
                settled = await self._settle()
            await self._replay()
            if self._stopping and (not settled or not self._queue):
                return
            if not settled:
                await asyncio.sleep(RETRY_S)

    def _replayable(self) -> bool:
        return bool(self._again or self.spool_bytes) and self.connected

    async def _pack(self) -> None:
        """Move calls from the queue to the hand, as events; a call leaves the one as it enters the other."""
        size, begun = 0, time.perf_counter()
        most, most_bytes = BATCH_CALLS, BATCH_BYTES
        if len(self._queue) > CROWDED:
            most, most_bytes = CROWDED_CALLS, CROWDED_BYTES
        while self._queue and len(self._hand) < most:
            call, redacted, weight, since = self._queue[0]
            if weight > LONG:  # requests must not wait for it
                event = await _in_thread(partial(self._event, call, redacted))
            else:
                event = self._event(call, redacted)
            if event is not None and self._hand and size + len(event) > most_bytes:
                return
            self._queue.popleft()
            self._queued_bytes -= weight
            if event is not None:
                size += len(event)
                self._hand.append(event)
                self._hand_since = since if self._hand_since is None else self._hand_since
            # requests must not wait for long; but in a busy loop each of these lets all of them go first
            if time.perf_counter() - begun > YIELD_S:
                await asyncio.sleep(0)
                begun = time.perf_counter()

    def _event(self, call: Call, redacted: bool) -> bytes | None:
        """The call as one event; None where it is none, and is counted."""
        try:
            clean = self._redact.answer(call) if redacted else self._redact.call(call)
        except Exception:
            log.exception("redacting call %r failed; it is dropped", call.id)
            self._drop(Drop.FAILED if is_call(call) else Drop.UNENCODABLE)
            return None
        try:
            return encoded(clean, self._source, self._seal, known=redacted)
        except Exception as error:
            log.error("call %r cannot be written as an event (%s); it is dropped", call.id, error)
            self._drop(Drop.UNENCODABLE)
            return None

    async def _settle(self) -> bool:
        """Send the hand, or write it to disk; False where neither takes it."""
        # while anything waits on disk, newer calls queue up behind it
        if not self.spool_bytes and await self._deliver(self._hand):
            self._refusal = None
        elif self._hand:
            await _in_thread(self._keep)
        if not self._hand:
            self._hand_since = None
        return not self._hand

    async def _deliver(self, events: list[bytes]) -> bool:
        """Send events, each gone from the list once it is settled; False where Kafka takes none now."""
        size = len(events)
        while events:
            some = events[:size]
            sent = await self._link.send(b"[" + b",".join(some) + b"]")
            if sent is Sent.AWAY:
                return False
            if sent is Sent.TAKEN:
                self.published += len(some)
            elif len(some) > 1:
                size = len(some) // 2  # until the one at fault is alone
                continue
            else:
                self._drop(Drop(sent.value))
            del events[: len(some)]
            size = max(1, 2 * len(some))
        return True

    def _keep(self) -> None:
        self._refusal = Drop.NO_SPOOL
        if self._spool is not None:
            self._refusal = self._spool.append(b"[" + b",".join(self._hand) + b"]", len(self._hand))
            self.spool_trouble = self._refusal or ""
        if self._refusal is None:
            self._hand.clear()

    async def _replay(self) -> None:
        # newer calls are let through to the disk between some batches, lest they fill the memory
        for _ in range(50):
            if self._spool is None or not self.connected:
                return
            if not self._again:
                waiting = await _in_thread(self._spool.peek)
                self._count_damage()
                if waiting is None:
                    return
                self._again.extend(bytes(event) for event in _events.decode(waiting[0]))
            if not await self._deliver(self._again):
                return
            self._spool.take()

    def _count_damage(self) -> None:
        if self._spool and self._spool.lost:
            self.dropped[Drop.DAMAGED] += self._spool.lost
            self._spool.lost = 0

    async def _open_spool(self) -> None:
        if self._clock() - self._spool_tried_at < RETRY_S:
            return
        self._spool_tried_at = self._clock()
        root = local_path(self._settings.state.root) or Path(".jitr/state")
        limit = self._settings.gateway.spool_mb * 2**20
        try:
            self._spool = await _in_thread(lambda: Spool(root / "spool", limit))
        except OSError as error:
            if not self.spool_trouble:
                log.error("calls cannot wait on disk while Kafka is away: %s", error)
            self.spool_trouble = f"{type(error).__name__}: {error}"
        else:
            self.spool_trouble = ""
            self.taken += self._spool.calls

    def _see_out(self) -> None:
        """Write what is left to disk, or count it as lost."""
        while self._queue or self._hand:
            if not self._hand:
                call, redacted, weight, _ = self._queue.popleft()
                self._queued_bytes -= weight
                event = self._event(call, redacted)
                if event is None:
                    continue
                self._hand.append(event)
            self._keep()
            if self._refusal:
                self._drop(self._refusal, len(self._hand))
                self._hand.clear()
        if self._spool:
            self._count_damage()
            self._spool.close()


async def _in_thread(work: Callable[[], Any]) -> Any:
    """Run something in a thread; a cancellation waits for its end, so that nothing goes on behind us."""
    try:
        running = asyncio.get_running_loop().run_in_executor(None, work)
    except RuntimeError:  # the interpreter ends, and begins no more threads
        return work()
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait({running})
        raise
