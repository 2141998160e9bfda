"""An event loop in a thread of its own, for programs that have none."""

from __future__ import annotations

import asyncio
import selectors
import threading
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import CancelledError
from typing import Any, Final, TypeVar

T = TypeVar("T")


class LoopClosedError(RuntimeError):
    """The loop is closed, or was before the work came to its end."""


class BackgroundLoop:
    """Runs coroutines in a daemon thread, for callers in any other thread.

    A forked child has no such thread, but the memory and the sockets of its parent's: it must call
    `abandon`, keep what runs here from being collected, and begin another.

    Parameters
    ----------
    name : str
        The thread's name.

    Examples
    --------
    >>> background = BackgroundLoop("example")
    >>> background.run(asyncio.sleep(0, "done"))
    'done'
    >>> background.close()
    """

    def __init__(self, name: str) -> None:
        self._selector: Final = _Selector()
        self._loop: Final = asyncio.SelectorEventLoop(self._selector)
        self._thread: Final = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._lock: Final = threading.Lock()
        self._closed = False
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine there, wait for it, and return what it returns or raise what it raises.

        Raises
        ------
        LoopClosedError
            The loop is closed, also while the coroutine runs.
        """
        with self._lock:
            if self._closed:
                work.close()
                raise LoopClosedError("the background loop is closed")
            running = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return running.result()
        except CancelledError as error:
            raise LoopClosedError("the background loop was closed meanwhile") from error

    def call(self, function: Callable[..., object], *args: object) -> None:
        """Have a function called there; returns at once. Nothing is called once the loop is closed."""
        with self._lock:
            if not self._closed:
                self._loop.call_soon_threadsafe(function, *args)

    def close(self) -> None:
        """Cancel what runs there, and end the thread."""
        with self._lock:
            self._closed = True
        asyncio.run_coroutine_threadsafe(_cancel_others(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def abandon(self) -> None:
        """Let go, in a forked child, of what the loop shares with the parent's.

        What is collected later, when the child ends, closes its connections. It must not find the parent's
        selector: the kernel has one for both, and the parent would hear no more of them.
        """
        self._selector.close()


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


class _Selector(selectors.DefaultSelector):
    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        """What is registered: nothing once it is closed, whatever asks for it later."""
        return super().get_map() or {}
