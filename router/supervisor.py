"""Work in the background of one process: named, watched, and begun again when it dies."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, Literal

log = logging.getLogger(__name__)
_CANCEL_AGAIN_S: Final = 0.1
_CANCELS: Final = 50


@dataclass(slots=True)
class Loop:
    """How one loop fares.

    Attributes
    ----------
    state : str
        ``running``, ``waiting`` (it died and will be begun again), or ``ended`` (of itself, or told to).
    restarts : int
        How often it died and was to be begun again.
    error : str
        What it died of last; empty where it never did.
    """

    state: Literal["running", "waiting", "ended"] = "running"
    restarts: int = 0
    error: str = ""


class Loops:
    """Runs the loops of one part, and its pieces of work that nobody waits for.

    A loop that ends by an exception, or by a cancellation that nobody here asked for, is logged, counted and
    begun again after a pause that doubles each time. One that returns has ended. A piece of work is run once;
    its exception is logged and counted.

    Parameters
    ----------
    first_s, longest_s : float
        The first pause and the longest, in seconds. A loop that ran for longer than the longest pause
        begins with the first again.

    Attributes
    ----------
    states : dict of str to Loop
    failures : Counter of str
        Pieces of work that ended by an exception, by name.
    """

    def __init__(self, *, first_s: float = 0.1, longest_s: float = 10.0) -> None:
        self._first_s: Final = first_s
        self._longest_s: Final = longest_s
        self._guards: Final[dict[str, asyncio.Task[None]]] = {}
        self._work: Final[set[asyncio.Task[Any]]] = set()
        self.states: Final[dict[str, Loop]] = {}
        self.failures: Final[Counter[str]] = Counter()

    def run(self, name: str, body: Callable[[], Awaitable[None]]) -> None:
        """Begin a loop; ``body`` is called again at each restart."""
        self.states[name] = Loop()
        self._guards[name] = asyncio.create_task(self._guard(name, body), name=f"guard of {name}")

    def once(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Begin a piece of work; the task is for whoever wants to wait for it or to cancel it."""
        task = asyncio.create_task(work, name=name)
        self._work.add(task)
        self.failures[name] += 0
        task.add_done_callback(self._done)
        return task

    def alive(self, name: str) -> bool:
        """Whether a loop runs now."""
        return name in self.states and self.states[name].state == "running"

    async def stop(self, name: str, grace_s: float = 0.0) -> None:
        """End a loop: wait until it returns, and after ``grace_s`` seconds cancel it."""
        guard = self._guards.pop(name, None)
        if guard is not None:
            if grace_s > 0:
                await asyncio.wait({guard}, timeout=grace_s)
            guard.cancel()
            await asyncio.wait({guard})
            self.states[name].state = "ended"

    async def _guard(self, name: str, body: Callable[[], Awaitable[None]]) -> None:
        loop, pause_s = self.states[name], self._first_s
        while True:
            loop.state, begun = "running", time.monotonic()
            # a task of its own: a cancellation from inside a library is not one of ours
            task = asyncio.ensure_future(body())
            try:
                await asyncio.wait({task})
            except asyncio.CancelledError:
                await _ended(task)
                raise
            error = asyncio.CancelledError() if task.cancelled() else task.exception()
            if error is None:
                loop.state = "ended"
                return
            if time.monotonic() - begun > self._longest_s:
                pause_s = self._first_s
            loop.state, loop.restarts, loop.error = "waiting", loop.restarts + 1, _said(error)
            log.error("the loop %r died and is begun again in %g s", name, pause_s, exc_info=error)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, self._longest_s)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._work.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.failures[task.get_name()] += 1
            log.error("%s failed", task.get_name(), exc_info=error)


async def _ended(task: asyncio.Future[Any]) -> None:
    # a library can lose a cancellation that comes just as a wait of its own ends
    for _ in range(_CANCELS):
        if task.done():
            break
        task.cancel()
        await asyncio.wait({task}, timeout=_CANCEL_AGAIN_S)
    if not task.done():
        log.error("%s does not end; it is left behind", task)
    elif not task.cancelled() and (error := task.exception()) is not None:
        log.error("%s failed while it was ended", task, exc_info=error)


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:200]
