"""Surrogates answering in processes of their own: batches, deadlines, and what happens when one ends."""

from __future__ import annotations

import asyncio
import itertools
from asyncio import Future
from collections.abc import Callable
from pathlib import Path
from typing import Final

from jitr.router.scoring.batches import Held, WaitingText
from jitr.router.scoring.frames import Said
from jitr.router.scoring.scorer import RUNTIME
from jitr.router.scoring.scorer_slot import ScorerSlot, Shared
from jitr.router.supervisor import Loops


class BusyError(Exception):
    """So much waits already that the answer would be late."""


class LoadingError(Exception):
    """The surrogate is not in the memory of any process now."""


class Scorers:
    """Processes that run surrogates, and what waits for them; used in one event loop.

    What has come while a batch ran goes together in the next one. A text that nobody waits for goes when no
    other does. A process that ends is started again; a surrogate that was at work then is afterwards run
    alone, so that the one at fault is found, and is refused when it does it again and again.

    Parameters
    ----------
    processes : int
        Each holds every surrogate. They are started when the first surrogate is loaded.
    runtime : str
        ``module:Class`` of what loads surrogates, see `jitr.router.scoring.scorer.Runtime`.
    hung_s : float
        A batch that takes longer (and ten times longer than forecast) ends its process.
    load_s : float
        So does an artifact that takes longer to load.

    Attributes
    ----------
    refused : callable
        Told of a surrogate that was held and is not any more, and why.
    loops : Loops
        One for each process; its restarts are those of the process.
    """

    def __init__(
        self,
        processes: int = 1,
        *,
        runtime: str = RUNTIME,
        hung_s: float = 5.0,
        load_s: float = 60.0,
    ) -> None:
        self._processes: Final = processes
        self._slots: Final[list[ScorerSlot]] = []
        self._shared: Final = Shared(
            runtime=runtime, hung_s=hung_s, load_s=load_s, refuse=self._refuse, gone=self._fail_unserved
        )
        self._keys: Final = itertools.count()
        self.refused: Callable[[Held, Exception], None] = lambda held, error: None
        self.loops: Final = Loops()

    @property
    def queued(self) -> int:
        """Texts that wait."""
        return len(self._shared.queues)

    @property
    def batches(self) -> int:
        """Batches answered."""
        return self._shared.batches

    @property
    def texts(self) -> int:
        """Texts in them."""
        return self._shared.texts

    @property
    def pids(self) -> list[int]:
        """The processes that run now."""
        return [slot.process.pid for slot in self._slots if slot.process is not None]

    async def load(self, folder: Path, digest: str) -> Held:
        """Load a surrogate into every process; returns when the first of them can answer.

        Raises
        ------
        ArtifactError, WeightsError, RuntimeError
            It cannot be loaded, or ends the process each time.
        """
        loop = asyncio.get_running_loop()
        held = Held(next(self._keys), folder, digest, loop.create_future(), used=loop.time())
        self._shared.held[held.key] = held
        if not self._slots:
            self._begin()
        self._wake()
        try:
            await held.ready
        except BaseException:
            self.drop(held)
            raise
        return held

    def drop(self, held: Held) -> None:
        """Let go of a surrogate; its texts that wait fail."""
        self._shared.held.pop(held.key, None)
        for slot in self._slots:
            slot.drop(held)
        self._fail_unserved()

    def submit(self, held: Held, text: str, deadline_s: float | None = None) -> Future[Said]:
        """Begin an answer; the future raises `TimeoutError` at the deadline.

        Parameters
        ----------
        held : Held
        text : str
        deadline_s : float, optional
            How long the caller waits; without, nobody does, and whoever waits comes first.

        Raises
        ------
        LoadingError
            No process holds the surrogate now.
        BusyError
            What waits already is forecast to make it late. Who finds nothing at work is never refused.
        SurrogateError, ScorerEndedError
            By the future: the surrogate raised an error, or its process ended.
        """
        loop = asyncio.get_running_loop()
        held.used = loop.time()
        if not self._is_served(held):
            raise LoadingError
        if self._shared.queues.is_full(deadline_s is None):
            raise BusyError
        future: Future[Said] = loop.create_future()
        if deadline_s is not None:
            ahead_s = self._ahead_s(held.used)
            if ahead_s and ahead_s + held.cost_s > deadline_s:
                raise BusyError
            timer = loop.call_later(deadline_s, _expire, future)
            future.add_done_callback(lambda _: timer.cancel())
        self._shared.queues.put(WaitingText(held, text, future, beside=deadline_s is None))
        self._wake()
        return future

    async def close(self) -> None:
        """End the processes at once, whatever they are doing."""
        await asyncio.gather(*(self.loops.stop(name) for name in list(self.loops.states)))

    def _begin(self) -> None:
        for n in range(1, self._processes + 1):
            self._slots.append(slot := ScorerSlot(self._shared))
            self.loops.run(f"scorer {n}", slot.run)

    def _ahead_s(self, now: float) -> float:
        running_s = sum(slot.left_s(now) for slot in self._slots)
        return (running_s + self._shared.queues.callers_s) / sum(bool(slot.loaded) for slot in self._slots)

    def _is_served(self, held: Held) -> bool:
        return any(held.key in slot.loaded for slot in self._slots)

    def _fail_unserved(self) -> None:
        self._shared.queues.fail(lambda held: not self._is_served(held), LoadingError())

    def _wake(self) -> None:
        for slot in self._slots:
            slot.wake()

    def _refuse(self, held: Held, error: Exception) -> None:
        known = self._shared.held.pop(held.key, None)
        if not held.ready.done():
            held.ready.set_exception(error)
        elif known is not None:
            self.drop(held)
            self.refused(held, error)


def _expire(future: Future[Said]) -> None:
    if not future.done():
        future.set_exception(TimeoutError())
