"""A worker as a process: it runs until it is told to stop, and then it ends, whatever it waits for."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Callable, Sequence

from mode.utils.logging import get_logger

from jitr.agents.worker import AGENTS, Worker
from jitr.schemas.settings import Settings

log = get_logger(__name__)

# a batch in hand has 8 s, and leaving the groups takes a moment
_STOP_S = 12.0


async def serve(
    settings: Settings,
    agents: Sequence[str] = AGENTS,
    *,
    started: Callable[[Worker], None] | None = None,
    stopping: Callable[[], None] = lambda: None,
) -> None:
    """Run a worker until SIGINT or SIGTERM, or until something fails that only a restart can mend.

    ``stopping`` is called when the end begins, also where that is before everything has started.
    """
    stop = asyncio.Event()

    def end() -> None:
        stop.set()
        stopping()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end)
    worker = Worker(settings, agents)
    await worker.start()
    try:
        ending = asyncio.ensure_future(stop.wait())
        failing = asyncio.ensure_future(worker.failed())
        ready = asyncio.ensure_future(worker.ready())
        done, _ = await asyncio.wait([ending, failing, ready], return_when=asyncio.FIRST_COMPLETED)
        if ready in done and started is not None:
            started(worker)
        await asyncio.wait([ending, failing], return_when=asyncio.FIRST_COMPLETED)
        if failing.done():
            failing.result()
        failing.cancel()
        ready.cancel()
        ending.cancel()
    finally:
        stopping()
        await worker.stop()


def run(
    settings: Settings, agents: Sequence[str] = AGENTS, *, started: Callable[[Worker], None] | None = None
) -> None:
    """Run a worker as this process.

    A worker that is told to stop and cannot leave its groups in time (the broker went first) ends all the
    same: what it did not acknowledge comes again.

    Parameters
    ----------
    settings : Settings
    agents : sequence of str
    started : callable, optional
        Called when every agent has joined its group.
    """
    # the state holds what callers wrote: it is nobody else's to read
    os.umask(0o077)
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    # it complains whenever a commit takes longer than a second
    logging.getLogger("mode.timers").setLevel(logging.ERROR)
    asyncio.run(serve(settings, agents, started=started, stopping=_leave_in_time))


def _leave_in_time() -> None:
    """End the process when its time to stop is over, whatever it waits for then."""
    last = threading.Timer(_STOP_S, _leave)
    last.daemon = True
    last.start()


def _leave() -> None:
    log.error("still stopping after %g s (is Kafka gone?); leaving", _STOP_S)
    os._exit(1)
