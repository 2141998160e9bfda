"""The slot of one scoring process: started, given texts and surrogates, replaced when it ends."""

from __future__ import annotations

import asyncio
import logging
from asyncio import Future
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from jitr.router.scoring.batches import Held, ScoringQueues, WaitingText, fail
from jitr.router.scoring.crashes import Crashes
from jitr.router.scoring.frames import Loaded, Said
from jitr.router.scoring.process import ScorerEndedError, ScorerProcess
from jitr.schemas.errors import ArtifactError

log = logging.getLogger(__name__)
START_S: Final = 60.0


class SurrogateError(Exception):
    """The surrogate raised an error on this text."""


class CrashError(ArtifactError):
    """The surrogate ends, or hangs, the process that runs it."""


@dataclass(eq=False, slots=True, kw_only=True)
class Shared:
    """What the slots of all processes work on together.

    Attributes
    ----------
    runtime : str
    hung_s, load_s : float
        As of `jitr.router.scoring.scorers.Scorers`.
    refuse : callable
        Told of a surrogate that cannot be loaded, or must not be run any more.
    gone : callable
        Called when a process is gone, and its surrogates with it.
    batches, texts : int
        Answered so far.
    """

    runtime: str
    hung_s: float
    load_s: float
    refuse: Callable[[Held, Exception], None]
    gone: Callable[[], None]
    held: dict[int, Held] = field(default_factory=dict)
    queues: ScoringQueues = field(default_factory=ScoringQueues)
    crashes: Crashes = field(default_factory=Crashes)
    batches: int = 0
    texts: int = 0


class ScorerSlot:
    """Keeps one process at work; see `Shared`.

    A surrogate that was at work as a process ended is run alone afterwards, also where it is loaded: should
    the process end again, it is known why.

    Attributes
    ----------
    process : ScorerProcess or None
    loaded : set of int
        Keys of the surrogates that it holds.
    """

    def __init__(self, shared: Shared) -> None:
        self._shared: Final = shared
        self._wake: Final = asyncio.Event()
        self._loading: Held | None = None
        self._batch: list[WaitingText] = []
        self._until = 0.0
        self.process: ScorerProcess | None = None
        self.loaded: Final[set[int]] = set()

    async def run(self) -> None:
        """Start a process and keep it at work until it ends.

        Raises
        ------
        ScorerEndedError
            When it has ended, or hangs.
        """
        try:
            process = self.process = await ScorerProcess.start(self._shared.runtime)
            process.ended.add_done_callback(lambda _: self.wake())
            await asyncio.wait([process.ready], timeout=START_S)
            if not process.ready.done() or process.ended.done():
                raise ScorerEndedError(f"the process {process.pid} that was to run surrogates is not up")
            await self._serve(process)
        except ScorerEndedError:
            self._blame()
            raise
        finally:
            self._clear()

    def wake(self) -> None:
        """Say that there may be something to do."""
        self._wake.set()

    def drop(self, held: Held) -> None:
        """Let go of a surrogate."""
        if held.key in self.loaded and self.process is not None:
            self.loaded.discard(held.key)
            self.process.drop(held.key)

    def left_s(self, now: float) -> float:
        """What the batch that runs is forecast to take still."""
        return max(0.0, self._until - now) if self._batch else 0.0

    async def _serve(self, process: ScorerProcess) -> None:
        while True:
            self._wake.clear()
            if process.ended.done():
                raise ScorerEndedError(f"the process {process.pid} that ran surrogates ended")
            await self._load_next(process)
            self._batch = self._shared.queues.take(self._fits)
            if self._batch:
                await self._score(process)
            else:
                await self._wake.wait()

    async def _load_next(self, process: ScorerProcess) -> None:
        """Begin to load what is not here yet: one at a time, the one that was asked for last first."""
        missing = [held for key, held in self._shared.held.items() if key not in self.loaded]
        if self._loading is not None or not missing:
            return
        held = self._loading = min(missing, key=lambda held: (self._crashed(held), -held.used))
        loading = process.load(held.key, held.folder, held.digest)
        loop = asyncio.get_running_loop()
        timer = loop.call_later(self._shared.load_s, self._give_up, process, f"{held.folder} is not loaded")

        def done(future: Future[Loaded]) -> None:
            timer.cancel()
            self._loaded(process, held, future)

        loading.add_done_callback(done)
        if self._crashed(held):
            await asyncio.wait([loading])  # alone: should the process end again, it is known why

    def _give_up(self, process: ScorerProcess, why: str) -> None:
        log.error("%s; the process %d that runs surrogates hangs and is ended", why, process.pid)
        process.kill()

    def _loaded(self, process: ScorerProcess, held: Held, future: Future[Loaded]) -> None:
        error = None if future.cancelled() else future.exception()
        if isinstance(error, ScorerEndedError):
            return  # `_blame` has still to see what was being loaded
        self._loading = None
        self.wake()
        if held.key not in self._shared.held:
            process.drop(held.key)
        elif error is None:
            self.loaded.add(held.key)
            if not held.ready.done():
                held.cost_s = max(1e-5, future.result().answer_s)
                held.ready.set_result(future.result())
        elif isinstance(error, Exception):
            self._shared.refuse(held, error)

    def _fits(self, item: WaitingText, batch: list[WaitingText]) -> bool:
        if item.held.key not in self.loaded:
            return False
        if self._crashed(item.held):
            return self._loading is None and all(other.held is item.held for other in batch)
        return not batch or not self._crashed(batch[0].held)

    async def _score(self, process: ScorerProcess) -> None:
        loop = asyncio.get_running_loop()
        batch = self._batch
        cost_s = sum(item.held.cost_s for item in batch)
        self._until = loop.time() + cost_s
        try:
            async with asyncio.timeout(max(self._shared.hung_s, 10 * cost_s)):
                scored = await process.score([(item.held.key, item.text) for item in batch])
        except TimeoutError:
            self._give_up(process, f"{len(batch)} texts are not answered")
            raise ScorerEndedError(f"the process {process.pid} that ran surrogates hung") from None
        self._batch = []
        self._shared.batches += 1
        self._shared.texts += len(batch)
        _learn({item.held for item in batch}, scored.took_s / cost_s)
        for item, answer in zip(batch, scored.answers, strict=True):
            if item.future.done():
                continue
            if isinstance(answer, Said):
                item.future.set_result(answer)
            else:
                item.future.set_exception(SurrogateError(answer.error))

    def _blame(self) -> None:
        """Remember what was at work as the process ended."""
        at_work = {item.held for item in self._batch} | ({self._loading} if self._loading else set())
        for held in at_work:
            if self._shared.crashes.add(held.digest, asyncio.get_running_loop().time()):
                times = self._crashed(held)
                error = CrashError(f"it ended or hung the process that ran it, {times} times of late")
                log.error("the surrogate in %s is not run any more: %s", held.folder, error)
                self._shared.refuse(held, error)

    def _crashed(self, held: Held) -> int:
        return self._shared.crashes.of(held.digest, asyncio.get_running_loop().time())

    def _clear(self) -> None:
        batch, self._batch, self._loading = self._batch, [], None
        self.loaded.clear()
        if self.process is not None:
            self.process.kill()
            self.process = None
        fail(batch, ScorerEndedError("the process that ran the surrogate ended"))
        self._shared.gone()


def _learn(held: Iterable[Held], ratio: float) -> None:
    """Bring forecasts nearer to what a batch took, ``ratio`` times what was forecast."""
    factor = min(4.0, max(0.25, ratio)) ** 0.3
    for one in held:
        one.cost_s = min(60.0, max(1e-5, one.cost_s * factor))
