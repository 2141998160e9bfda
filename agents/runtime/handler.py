"""What an agent is made of: a plain handler that turns incoming events into outputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from jitr.schemas.authors import UNCHECKED, Author
from jitr.schemas.events import Event
from jitr.schemas.record import Record

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class IncomingEvent(Generic[T]):
    """One event as a handler gets it: what it says and where it stands.

    ``offset`` is that of the Kafka record; ``index`` counts the events packed in it. ``end`` says that no
    later event of the same record follows. ``author`` is who made it, by its signature.
    """

    id: str
    time: float
    value: T
    partition: int
    offset: int
    index: int = 0
    end: bool = True
    author: Author = UNCHECKED


@dataclass(frozen=True, slots=True)
class Output:
    """One event to be sent: topic and key, and its id, which makes a second sending harmless.

    ``alone`` keeps it from being packed with others into one Kafka record, so that its offset is its own.
    """

    topic: str
    key: str
    id: str
    time: float
    record: Record
    alone: bool = False


Outputs = Sequence[Output]


async def _nobody() -> int | None:
    return None


@dataclass(frozen=True, slots=True)
class SourcePartition:
    """The source partition that a handler is for.

    ``end`` gives its end as far as it is known, ``ask_end`` asks Kafka for it.
    """

    topic: str
    partition: int
    end: Callable[[], int | None] = lambda: None
    ask_end: Callable[[], Awaitable[int | None]] = _nobody


class Handler(ABC, Generic[T]):
    """A handler without state: events in, outputs out.

    `read` must not change anything: what it raises dead-letters one event and harms no other. `handle`
    may be a coroutine; an `UnavailableError` or an `OSError` from it means that a server is away, and the
    batch is tried again later; anything else is taken to be the fault of one of the events.

    Attributes
    ----------
    results : Counter
        What became of the events, by name, for `jitr_events_total`; left empty they count as handled.
    """

    def __init__(self) -> None:
        self.results: Counter[str] = Counter()

    @abstractmethod
    def read(self, event: Event) -> T:
        """Decode one event, or raise a `RecordError`."""

    @abstractmethod
    def handle(self, batch: Sequence[IncomingEvent[T]]) -> Outputs | Awaitable[Outputs]:
        """Work on a batch, in the order of its offsets."""


class StatefulHandler(Handler[T]):
    """A handler whose state lives as long as its source partition, and moves with it.

    Outputs leave only after a snapshot that contains them, so that they are the same after any crash.

    """

    @property
    def waiting(self) -> bool:
        """Whether something is held back that `flush` would give out."""
        return False

    @abstractmethod
    def snapshot(self) -> bytes:
        """Everything that must survive."""

    @abstractmethod
    def restore(self, state: bytes) -> None:
        """Take up a snapshot; called before the first event, on a fresh handler."""

    def flush(self) -> Outputs:
        """What should not wait any longer, now that no event has come for a while."""
        return ()
