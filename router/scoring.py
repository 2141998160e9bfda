"""Surrogates answering in processes of their own: batches, deadlines, and what happens when one ends."""

from __future__ import annotations

import asyncio
import itertools
import logging
from asyncio import Future
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from jitr.router.batches import Held, Lanes, Waiting, fail
from jitr.router.crashes import Crashes
from jitr.router.frames import Loaded, Said
from jitr.router.process import ScorerEndedError, ScorerProcess
from jitr.router.scorer import RUNTIME
from jitr.router.supervisor import Loops
from jitr.schemas.errors import ArtifactError

log = logging.getLogger(__name__)
START_S: Final = 60.0


class BusyError(Exception):
    """So much waits already that the answer would be late."""


class LoadingError(Exception):
    """The surrogate is not in the memory of any process now."""


class SurrogateError(Exception):
    """The surrogate raised an error on this text."""


class CrashError(ArtifactError):
    """The surrogate ends, or hangs, the process that runs it."""


@dataclass(eq=False, slots=True)
class _Slot:
    """The place of one process; another takes it when that one ends."""

    wake: asyncio.Event = field(default_factory=asyncio.Event)
    process: ScorerProcess | None = None
    loaded: set[int] = field(default_factory=set)
    loading: Held | None = None
    batch: list[Waiting] = field(default_factory=list)
    until: float = 0.0


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
        ``module:Class`` of what loads surrogates, see `jitr.router.scorer.Runtime`.
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
    batches, texts : int
        Batches answered, and the texts in them.
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
        self._runtime: Final = runtime
        self._hung_s: Final = hung_s
        self._load_s: Final = load_s
        self._slots: Final[list[_Slot]] = []
        self._keys: Final = itertools.count()
        self._held: Final[dict[int, Held]] = {}
        self._lanes: Final = Lanes()
        self._crashes: Final = Crashes()
        self.refused: Callable[[Held, Exception], None] = lambda held, error: None
        self.loops: Final = Loops()
        self.batches = 0
        self.texts = 0

    @property
    def queued(self) -> int:
        """Texts that wait."""
        return len(self._lanes)

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
        self._held[held.key] = held
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
        self._held.pop(held.key, None)
        for slot in self._slots:
            if held.key in slot.loaded and slot.process is not None:
                slot.loaded.discard(held.key)
                slot.process.drop(held.key)
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
        if self._lanes.is_full(deadline_s is None):
            raise BusyError
        future: Future[Said] = loop.create_future()
        if deadline_s is not None:
            ahead_s = self._ahead_s(held.used)
            if ahead_s and ahead_s + held.cost_s > deadline_s:
                raise BusyError
            timer = loop.call_later(deadline_s, _expire, future)
            future.add_done_callback(lambda _: timer.cancel())
        self._lanes.put(Waiting(held, text, future, beside=deadline_s is None))
        self._wake()
        return future

    async def close(self) -> None:
        """End the processes at once, whatever they are doing."""
        await asyncio.gather(*(self.loops.stop(name) for name in list(self.loops.states)))

    def _begin(self) -> None:
        for n in range(1, self._processes + 1):
            self._slots.append(slot := _Slot())
            self.loops.run(f"scorer {n}", partial(self._run, slot))

    def _ahead_s(self, now: float) -> float:
        running_s = sum(max(0.0, slot.until - now) for slot in self._slots if slot.batch)
        return (running_s + self._lanes.callers_s) / sum(bool(slot.loaded) for slot in self._slots)

    def _is_served(self, held: Held) -> bool:
        return any(held.key in slot.loaded for slot in self._slots)

    def _fail_unserved(self) -> None:
        self._lanes.fail(lambda held: not self._is_served(held), LoadingError())

    def _wake(self) -> None:
        for slot in self._slots:
            slot.wake.set()

    def _crashed(self, held: Held) -> int:
        return self._crashes.of(held.digest, asyncio.get_running_loop().time())

    async def _run(self, slot: _Slot) -> None:
        """Keep a process in its place until it ends."""
        try:
            slot.process = await ScorerProcess.start(self._runtime)
            slot.process.ended.add_done_callback(lambda _: slot.wake.set())
            await asyncio.wait([slot.process.ready], timeout=START_S)
            if not slot.process.ready.done() or slot.process.ended.done():
                raise ScorerEndedError(f"the process {slot.process.pid} that was to run surrogates is not up")
            await self._serve(slot, slot.process)
        except ScorerEndedError:
            self._blame(slot)
            raise
        finally:
            self._clear(slot)

    def _clear(self, slot: _Slot) -> None:
        batch, slot.batch, slot.loading = slot.batch, [], None
        slot.loaded.clear()
        if slot.process is not None:
            slot.process.kill()
            slot.process = None
        fail(batch, ScorerEndedError("the process that ran the surrogate ended"))
        self._fail_unserved()

    async def _serve(self, slot: _Slot, process: ScorerProcess) -> None:
        while True:
            slot.wake.clear()
            if process.ended.done():
                raise ScorerEndedError(f"the process {process.pid} that ran surrogates ended")
            await self._load_next(slot, process)
            slot.batch = self._lanes.take(lambda item, batch: self._fits(slot, item, batch))
            if slot.batch:
                await self._score(slot, process)
            else:
                await slot.wake.wait()

    async def _load_next(self, slot: _Slot, process: ScorerProcess) -> None:
        """Begin to load what is not here yet: one at a time, the one that was asked for last first."""
        missing = [held for key, held in self._held.items() if key not in slot.loaded]
        if slot.loading is not None or not missing:
            return
        held = slot.loading = min(missing, key=lambda held: (self._crashed(held), -held.used))
        loading = process.load(held.key, held.folder, held.digest)
        loop = asyncio.get_running_loop()
        timer = loop.call_later(self._load_s, self._give_up, process, f"{held.folder} is not loaded")

        def done(future: Future[Loaded]) -> None:
            timer.cancel()
            self._loaded(slot, process, held, future)

        loading.add_done_callback(done)
        if self._crashed(held):
            await asyncio.wait([loading])  # alone: should the process end again, it is known why

    def _give_up(self, process: ScorerProcess, why: str) -> None:
        log.error("%s; the process %d that runs surrogates hangs and is ended", why, process.pid)
        process.kill()

    def _loaded(self, slot: _Slot, process: ScorerProcess, held: Held, future: Future[Loaded]) -> None:
        error = None if future.cancelled() else future.exception()
        if isinstance(error, ScorerEndedError):
            return  # `_blame` has still to see what was being loaded
        slot.loading = None
        slot.wake.set()
        if held.key not in self._held:
            process.drop(held.key)
        elif error is None:
            slot.loaded.add(held.key)
            if not held.ready.done():
                held.cost_s = max(1e-5, future.result().answer_s)
                held.ready.set_result(future.result())
        elif isinstance(error, Exception):
            self._refuse(held, error)

    def _fits(self, slot: _Slot, item: Waiting, batch: list[Waiting]) -> bool:
        if item.held.key not in slot.loaded:
            return False
        if self._crashed(item.held):
            return slot.loading is None and all(other.held is item.held for other in batch)
        return not batch or not self._crashed(batch[0].held)

    async def _score(self, slot: _Slot, process: ScorerProcess) -> None:
        loop = asyncio.get_running_loop()
        batch = slot.batch
        cost_s = sum(item.held.cost_s for item in batch)
        slot.until = loop.time() + cost_s
        try:
            async with asyncio.timeout(max(self._hung_s, 10 * cost_s)):
                scored = await process.score([(item.held.key, item.text) for item in batch])
        except TimeoutError:
            self._give_up(process, f"{len(batch)} texts are not answered")
            raise ScorerEndedError(f"the process {process.pid} that ran surrogates hung") from None
        slot.batch = []
        self.batches += 1
        self.texts += len(batch)
        _learn({item.held for item in batch}, scored.took_s / cost_s)
        for item, answer in zip(batch, scored.answers, strict=True):
            if item.future.done():
                continue
            if isinstance(answer, Said):
                item.future.set_result(answer)
            else:
                item.future.set_exception(SurrogateError(answer.error))

    def _blame(self, slot: _Slot) -> None:
        """Remember what was at work as the process ended."""
        at_work = {item.held for item in slot.batch} | ({slot.loading} if slot.loading else set())
        for held in at_work:
            if self._crashes.add(held.digest, asyncio.get_running_loop().time()):
                times = self._crashed(held)
                error = CrashError(f"it ended or hung the process that ran it, {times} times of late")
                log.error("the surrogate in %s is not run any more: %s", held.folder, error)
                self._refuse(held, error)

    def _refuse(self, held: Held, error: Exception) -> None:
        known = self._held.pop(held.key, None)
        if not held.ready.done():
            held.ready.set_exception(error)
        elif known is not None:
            self.drop(held)
            self.refused(held, error)


def _learn(held: Iterable[Held], ratio: float) -> None:
    """Bring forecasts nearer to what a batch took, ``ratio`` times what was forecast."""
    factor = min(4.0, max(0.25, ratio)) ** 0.3
    for one in held:
        one.cost_s = min(60.0, max(1e-5, one.cost_s * factor))


def _expire(future: Future[Said]) -> None:
    if not future.done():
        future.set_exception(TimeoutError())
