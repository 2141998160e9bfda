"""A handler and all that must survive it: its state, the ids it has seen, what it made and has not sent.

With state, a snapshot comes first and holds the outputs; they are sent when it is durable, and only then is
anything acknowledged: a crash anywhere repeats them unchanged.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from mode.utils.logging import get_logger

from jitr.agents.runtime.decode import Unpacked, outgoing
from jitr.agents.runtime.dedup import SeenIds
from jitr.agents.runtime.handler import Handler, IncomingEvent, Output, SourcePartition, StatefulHandler
from jitr.agents.runtime.metrics import Metrics
from jitr.agents.runtime.producer import Send, pack, send_all
from jitr.agents.runtime.snapshot_store import LostError, Outgoing, SnapshotStore, StateSnapshot
from jitr.schemas.deadletters import DeadLetter
from jitr.schemas.errors import UnavailableError
from jitr.schemas.signing import Signing

T = TypeVar("T")
log = get_logger(__name__)

SEEN = 20_000
# a snapshot may take up to this share of a partition processor's time
_SNAPSHOT_SHARE = 0.05


@dataclass(frozen=True)
class DurableSettings:
    """Who works, where its state is kept, and where dead letters go.

    ``snapshot_s`` is the least time between snapshots; ``signing`` signs what is made, checks what is read.
    """

    agent: str
    dead_letters: str
    state_url: str
    snapshot_s: float = 0.0
    signing: Signing | None = None


@dataclass(frozen=True, slots=True)
class EncodedCheckpoint:
    """What a checkpoint writes and sends: records for Kafka, and the state where there is one."""

    packed: list[Outgoing]
    state: bytes | None
    took_s: float


class Durable(Generic[T]):
    """The handler of one source partition, and how far it has come.

    Attributes
    ----------
    position : int
        The last source offset that was worked on.
    pending : list of Unpacked
        What was worked on since the last checkpoint.
    may_ack : bool
        False where the partition is another's already.
    unsettled : bool
        Whether the last snapshot holds outputs that were sent: whoever opens it would send them again.
    torn : bool
        Whether the handler may hold half of a batch: the next thing that it does is to go back.

    Parameters
    ----------
    place, make, send, settings, metrics
        As of `PartitionProcessor`.
    """

    def __init__(
        self,
        place: SourcePartition,
        make: Callable[[SourcePartition], Handler[T]],
        send: Send,
        settings: DurableSettings,
        metrics: Metrics,
    ) -> None:
        self.handler = make(place)
        self.position = -1
        self.pending: list[Unpacked[T]] = []
        self.may_ack = True
        self.unsettled = False
        self.torn = False
        self.due = 0.0
        self._place = place
        self._make = make
        self._send = send
        self._settings = settings
        self._metrics = metrics
        self._store = SnapshotStore(f"{settings.state_url}/{place.topic}/p{place.partition:05d}")
        self._sequence = 0
        self._seen = SeenIds(SEEN)
        self._outputs: list[Output] = []

    @property
    def stateful(self) -> bool:
        """Whether there is state to be kept."""
        return isinstance(self.handler, StatefulHandler)

    @property
    def waiting(self) -> bool:
        """Whether something is held back that `flush` would give out."""
        return isinstance(self.handler, StatefulHandler) and self.handler.waiting

    async def open(self) -> None:
        """Go on where the last owner stood, and send what it may not have sent."""
        if self.stateful:
            self._store.claim()
        await send_all(await self._load(), self._send, self._settings.dead_letters)

    async def handle(self, events: Sequence[IncomingEvent[T]]) -> None:
        """Let the handler work on events, and keep what it makes of them."""
        if self.torn:
            await self.replay([d for u in self.pending for d in u.events])
        outputs = self.handler.handle(events)
        if inspect.isawaitable(outputs):
            outputs = await outputs
        self._outputs += outputs

    async def replay(self, events: Sequence[IncomingEvent[T]]) -> None:
        """Go back to the last snapshot and do these events again."""
        self.torn = True
        seen, position = self._seen, self.position
        if self.stateful:
            await self._load()
        else:
            self._outputs = []
            self.handler.results.clear()
        self._seen, self.position = seen, position
        self.torn = False
        if events:
            try:
                await self.handle(events)
            except BaseException:
                self.torn = True
                raise

    def is_repeat(self, incoming: IncomingEvent[T]) -> bool:
        """Whether an event was seen before; from now on it was."""
        if not self.stateful or self._seen.add(incoming.id):
            return False
        self._metrics.event(self._settings.agent, "duplicate")
        return True

    def forget(self, incoming: IncomingEvent[T]) -> None:
        """Let an event come again under the same id."""
        self._seen.forget(incoming.id)

    def done(self, batch: Sequence[Unpacked[T]]) -> None:
        """A batch was worked on."""
        self.position = batch[-1].source.offset
        self.pending += batch

    def flush(self) -> None:
        """Take what the handler held back; what cannot be encoded of it is dropped and counted."""
        if not isinstance(self.handler, StatefulHandler):
            return
        try:
            for output in self.handler.flush():
                pack([output], source="/")
                self._outputs.append(output)
        except (OSError, UnavailableError):
            raise
        except Exception:
            log.exception("%s: what was held back cannot be told", self._settings.agent)
            self._metrics.event(self._settings.agent, "lost")

    def ack(self, unpacked: Unpacked[T]) -> None:
        """Acknowledge a record, if that is still ours to do."""
        if self.may_ack:
            unpacked.source.ack()

    def encode(self) -> EncodedCheckpoint:
        """Encode what a checkpoint writes and sends.

        Raises
        ------
        OSError
            If the disk is full, or away.
        Exception
            If an event led to what cannot be encoded.
        """
        packed = pack(self._outputs, source=f"/jitr/{self._settings.agent}", signing=self._settings.signing)
        packed += [outgoing(dead, self._settings.dead_letters) for u in self.pending for dead in u.letters]
        started = time.monotonic()
        state = self.handler.snapshot() if isinstance(self.handler, StatefulHandler) else None
        return EncodedCheckpoint(packed, state, time.monotonic() - started)

    def keep(self) -> None:
        """Raise `LostError` if another has taken the state up.

        Asked before anything is written: a handler may write more than its snapshot.
        """
        if self.stateful and not self._store.held():
            raise LostError(f"another worker has claimed {self._place.topic}/{self._place.partition}")

    async def commit(self, encoded: EncodedCheckpoint) -> None:
        """Make everything since the last time durable, then acknowledge it.

        Raises
        ------
        LostError
            If another has taken the state up: nothing was sent.
        """
        started = time.monotonic()
        if encoded.state is not None:
            self._sequence += 1
            self._store.write(
                StateSnapshot(self.position, self._sequence, self._seen.save(), encoded.state, encoded.packed)
            )
        took_s = encoded.took_s + time.monotonic() - started
        too_large = await send_all(encoded.packed, self._send, self._settings.dead_letters)
        self._metrics.event(self._settings.agent, "too_large", too_large)
        self.unsettled = self.stateful and bool(encoded.packed)
        self._count([dead for u in self.pending for dead in u.letters])
        for u in self.pending:
            self.ack(u)
        self.pending, self._outputs = [], []
        self.due = time.monotonic() + max(self._settings.snapshot_s, took_s / _SNAPSHOT_SHARE)

    async def _load(self) -> list[Outgoing]:
        self.handler = self._make(self._place)
        self._outputs = []
        if not isinstance(self.handler, StatefulHandler):
            return []
        for found in self._store.snapshots():
            if await self._is_of_older_topic(found):
                log.warning(
                    "%s: %s was made anew, its old state is dropped", self._settings.agent, self._place.topic
                )
                self._store.clear()
                break
            handler = self._make(self._place)
            assert isinstance(handler, StatefulHandler)
            try:
                handler.restore(found.state)
            except (OSError, UnavailableError):
                raise
            except Exception:
                log.exception("%s: a snapshot cannot be taken up", self._settings.agent)
                self._metrics.event(self._settings.agent, "snapshot_lost")
                continue
            self.handler = handler
            self.position, self._sequence = found.position, found.sequence
            self._seen = SeenIds(SEEN, found.seen)
            return found.outbox
        return []

    async def _is_of_older_topic(self, found: StateSnapshot) -> bool:
        """Whether a snapshot includes what this topic does not hold; asked after it was read."""
        end = self._place.end()
        if end is None or found.position >= end:
            asked = await self._place.ask_end()
            end = asked if asked is not None else end
        return end is not None and found.position >= end

    def _count(self, letters: Sequence[DeadLetter]) -> None:
        agent = self._settings.agent
        results = self.handler.results
        n = sum(len(u.events) for u in self.pending)
        for result, count in (results or {"handled": n}).items():
            self._metrics.event(agent, result, count)
        results.clear()
        for dead in letters:
            self._metrics.event(agent, "dead")
            self._metrics.dead_letters.labels(agent, dead.stage).inc()
