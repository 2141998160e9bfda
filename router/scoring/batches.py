"""Texts that wait for surrogates: who waits comes first, and what goes together."""

from __future__ import annotations

from asyncio import Future
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jitr.router.scoring.frames import Loaded, Said

MOST_WAITING: Final = 1024
MOST_BESIDE: Final = 64
# callers that come while a batch runs wait for its end: this is what a batch may be forecast to take
BATCH_S: Final = 0.02
BESIDE_S: Final = 0.005
LEAST_TEXTS: Final = 4
MOST_TEXTS: Final = 32


@dataclass(eq=False, slots=True)
class Held:
    """A surrogate that the scoring processes hold, or are about to.

    Attributes
    ----------
    ready : Future
        Done when the first process has loaded it.
    cost_s : float
        What one text of it is forecast to take, learned from what texts took.
    used : float
        When it was last asked for, in the event loop's seconds.
    """

    key: int
    folder: Path
    digest: str
    ready: Future[Loaded]
    cost_s: float = 0.005
    used: float = 0.0


@dataclass(eq=False, slots=True)
class WaitingText:
    """A text and the future of its answer; ``beside`` nobody waits for it."""

    held: Held
    text: str
    future: Future[Said]
    beside: bool = False


class ScoringQueues:
    """Two queues: of texts that callers wait for, and of texts that are scored beside the teacher."""

    def __init__(self) -> None:
        self._callers: Final[deque[WaitingText]] = deque()
        self._beside: Final[deque[WaitingText]] = deque()

    def __len__(self) -> int:
        return len(self._callers) + len(self._beside)

    def __iter__(self) -> Iterator[WaitingText]:
        yield from self._callers
        yield from self._beside

    def is_full(self, beside: bool) -> bool:
        """Whether no more may wait."""
        return len(self._beside) >= MOST_BESIDE if beside else len(self._callers) >= MOST_WAITING

    def put(self, item: WaitingText) -> None:
        """Let a text wait."""
        (self._beside if item.beside else self._callers).append(item)

    @property
    def callers_s(self) -> float:
        """What the texts that callers wait for are forecast to take."""
        return sum(item.held.cost_s for item in self._callers if not item.future.done())

    def take(self, fits: Callable[[WaitingText, list[WaitingText]], bool]) -> list[WaitingText]:
        """The next batch: of texts that callers wait for, and where none of them fits, of others.

        Parameters
        ----------
        fits : callable of (item, batch) -> bool
            Whether it may go now, together with these.
        """
        for queue, left_s, least in ((self._callers, BATCH_S, LEAST_TEXTS), (self._beside, BESIDE_S, 1)):
            batch: list[WaitingText] = []
            passed: list[WaitingText] = []
            while queue and len(batch) < MOST_TEXTS and (left_s > 0 or len(batch) < least):
                item = queue.popleft()
                if item.future.done():  # it has come too late, or its caller has gone
                    continue
                if fits(item, batch):
                    batch.append(item)
                    left_s -= item.held.cost_s
                else:
                    passed.append(item)
            queue.extendleft(reversed(passed))
            if batch:
                return batch
        return []

    def fail(self, lost: Callable[[Held], bool], error: Exception) -> None:
        """End the waiting for surrogates that are lost."""
        for queue in (self._callers, self._beside):
            gone = [item for item in queue if lost(item.held)]
            kept = [item for item in queue if item not in gone]
            queue.clear()
            queue.extend(kept)
            fail(gone, error)


def fail(items: Iterable[WaitingText], error: Exception) -> None:
    """End the waiting for these."""
    for item in items:
        if not item.future.done():
            item.future.set_exception(error)
