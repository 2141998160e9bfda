"""Running surrogates beside the event loop: a few threads, a bound on what waits, and a deadline."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Final

from jitr.router.artifacts import Surrogate, SurrogateAnswer


class BusyError(Exception):
    """More answers are under way than the threads can give in time."""


class Scorers:
    """A small pool of threads that run surrogates.

    Parameters
    ----------
    threads : int
        Surrogates are short and hold the interpreter for most of their time; two are enough to keep a
        slow one from stopping the others.
    waiting : int
        Answers under way beyond which a further call is refused at once.
    """

    def __init__(self, threads: int = 2, waiting: int = 64) -> None:
        self._pool: Final = ThreadPoolExecutor(threads, thread_name_prefix="jitr-surrogate")
        self._most: Final = waiting
        self._lock: Final = Lock()
        self._under_way = 0

    def submit(self, surrogate: Surrogate, text: str) -> asyncio.Future[SurrogateAnswer]:
        """Begin an answer.

        Raises
        ------
        BusyError
            If too many are under way.
        """
        if self._under_way >= self._most:
            raise BusyError
        with self._lock:
            self._under_way += 1
        begun = self._pool.submit(surrogate.answer, text)
        # counted until the thread is free again, not until the caller has given up
        begun.add_done_callback(self._done)
        return asyncio.wrap_future(begun)

    async def ask(self, surrogate: Surrogate, text: str, deadline_s: float) -> SurrogateAnswer:
        """Answer within a deadline.

        Raises
        ------
        TimeoutError
            If the deadline passes; the thread ends its work unheard.
        BusyError
            If too many are under way.
        """
        return await asyncio.wait_for(self.submit(surrogate, text), deadline_s)

    def close(self) -> None:
        """Take no more; answers under way end unheard."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _done(self, begun: Future[SurrogateAnswer]) -> None:
        with self._lock:
            self._under_way -= 1
