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

from jitr.agents.handler import Delivery, Handler, Output, Place, StatefulHandler
from jitr.agents.metrics import Metrics
from jitr.agents.outbox import Send, pack, send_all
from jitr.agents.seen import Seen
from jitr.agents.state import LostError, Outgoing, Snapshot, SnapshotStore
from jitr.agents.unpack import Unpacked, outgoing
from jitr.schemas.deadletters import DeadLetter

T = TypeVar("T")
log = get_logger(__name__)

SEEN = 20_000
# a snapshot may take up to this share of a lane's time
_SNAPSHOT_SHARE = 0.05


@dataclass(frozen=True)
class DurableSettings:
    """Who works, where its state is kept, and where dead letters go.

    ``snapshot_s`` is the least time between snapshots.
    """

    agent: str
    dead_letters: str
    state_url: str
    snapshot_s: float = 0.0


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

    Parameters
    ----------
    place, make, send, settings, metrics
        As of `Lane`.
    """

    def __init__(
        self,
        place: Place,
        make: Callable[[Place], Handler[T]],
        send: Send,
        settings: DurableSettings,
        metrics: Metrics,
    ) -> None:
        self.handler = make(place)
        self.position = -1
        self.pending: list[Unpacked[T]] = []
        self.may_ack = True
        self.unsettled = False
        self.due = 0.0
        self._place = place
        self._make = make
        self._send = send
        self._settings = settings
        self._metrics = metrics
        self._store = SnapshotStore(f"{settings.state_url}/{place.topic}/p{place.partition:05d}")
        self._sequence = 0
        self._seen = Seen(SEEN)
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
        await send_all(await self._load(), self._send)

    async def handle(self, events: Sequence[Delivery[T]]) -> None:
        """Let the handler work on events, and keep what it makes of them."""
        outputs = self.handler.handle(events)
        if inspect.isawaitable(outputs):
            outputs = await outputs
        self._outputs += outputs

    def is_repeat(self, delivery: Delivery[T]) -> bool:
        """Whether an event was seen before; from now on it was."""
        if not self.stateful or self._seen.add(delivery.id):
            return False
        self._metrics.event(self._settings.agent, "duplicate")
        return True

    def forget(self, delivery: Delivery[T]) -> None:
        """Let an event come again under the same id."""
        self._seen.forget(delivery.id)

    async def rewind(self) -> None:
        """Take back a half-done batch: the last snapshot, and what was done since."""
        if not self.stateful:
            # outputs of good events that were made one by one are kept
            return
        seen, position = self._seen, self.position
        await self._load()
        self._seen, self.position = seen, position
        done = [d for u in self.pending for d in u.events]
        if done:
            await self.handle(done)

    def done(self, batch: Sequence[Unpacked[T]]) -> None:
        """A batch was worked on."""
        self.position = batch[-1].source.offset
        self.pending += batch

    def flush(self) -> None:
        """Take what the handler held back."""
        if isinstance(self.handler, StatefulHandler):
            self._outputs += self.handler.flush()

    def ack(self, unpacked: Unpacked[T]) -> None:
        """Acknowledge a record, if that is still ours to do."""
        if self.may_ack:
            unpacked.source.ack()

    async def checkpoint(self) -> None:
        """Make everything since the last time durable, then acknowledge it.

        Raises
        ------
        LostError
            If another has taken the state up: nothing was sent.
        """
        took_s = 0.0
        letters = [dead for u in self.pending for dead in u.letters]
        packed = pack(self._outputs, source=f"/jitr/{self._settings.agent}")
        packed += [outgoing(dead, self._settings.dead_letters) for dead in letters]
        if isinstance(self.handler, StatefulHandler):
            started = time.monotonic()
            if not self._store.held():
                # before anything is written: a handler may write more than its snapshot
                raise LostError(f"another worker has claimed {self._place.topic}/{self._place.partition}")
            self._sequence += 1
            state = self.handler.snapshot()
            self._store.write(Snapshot(self.position, self._sequence, self._seen.save(), state, packed))
            took_s = time.monotonic() - started
        await send_all(packed, self._send)
        self.unsettled = self.stateful and bool(packed)
        self._count(letters)
        for u in self.pending:
            self.ack(u)
        self.pending, self._outputs = [], []
        self.due = time.monotonic() + max(self._settings.snapshot_s, took_s / _SNAPSHOT_SHARE)

    async def _load(self) -> list[Outgoing]:
        self.handler = self._make(self._place)
        self._outputs = []
        if not isinstance(self.handler, StatefulHandler):
            return []
        found = self._store.latest()
        if found is not None and await self._is_of_older_topic(found):
            log.warning(
                "%s: %s was made anew, its old state is dropped", self._settings.agent, self._place.topic
            )
            self._store.clear()
            found = None
        if found is None:
            return []
        self.position, self._sequence = found.position, found.sequence
        self._seen = Seen(SEEN, found.seen)
        self.handler.restore(found.state)
        return found.outbox

    async def _is_of_older_topic(self, found: Snapshot) -> bool:
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
