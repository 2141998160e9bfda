"""Workers for tests: in this event loop, or as processes that can be killed."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType

import psutil

from jitr.agents.worker import AGENTS, Worker
from jitr.schemas.settings import Settings

START_S = 60.0


@asynccontextmanager
async def working(settings: Settings, *agents: str) -> AsyncIterator[Worker]:
    """A worker in this loop, that has joined its groups."""
    worker = Worker(settings, agents)
    await worker.start()
    try:
        await asyncio.wait_for(worker.ready(), START_S)
        yield worker
    finally:
        await worker.stop()


class WorkerProcess:
    """A worker as a process.

    Parameters
    ----------
    environ : mapping
        What its settings are, besides those of the file that ``JITR_CONFIG`` names in it.
    log : Path, optional
        Where what it complains about goes.
    """

    def __init__(
        self, environ: Mapping[str, str], agents: Sequence[str] = AGENTS, log: Path | None = None
    ) -> None:
        code = (
            "import os; from pathlib import Path; from jitr.agents.process import run; "
            "from jitr.schemas.settings import Settings; file = os.environ.get('JITR_CONFIG'); "
            f"run(Settings.load(Path(file) if file else None), {list(agents)!r},"
            " started=lambda worker: print('ready', flush=True))"
        )
        errors = log.open("ab") if log is not None else None
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, "LOG_LEVEL": "ERROR", **environ},
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
        if errors is not None:
            errors.close()
        self.killed = False

    async def ready(self) -> None:
        """Wait until it has joined its groups."""
        assert self.process.stdout is not None
        line = await asyncio.wait_for(asyncio.to_thread(self.process.stdout.readline), START_S)
        assert line == b"ready\n", f"the worker ended with {self.process.poll()}"

    @property
    def trains(self) -> bool:
        """Whether one of its children trains now: a child of the process that forks them."""
        try:
            below = psutil.Process(self.process.pid).children()
            servers = [p for p in below if "multiprocessing.forkserver" in " ".join(p.cmdline())]
            return any(server.children() for server in servers)
        except psutil.NoSuchProcess:
            return False

    def kill(self) -> None:
        """SIGKILL to it alone: its children have to see for themselves."""
        self.killed = True
        self.process.kill()
        self.process.wait()

    async def stop(self) -> int:
        """SIGTERM, and its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(self.process.wait, 30)

    def __enter__(self) -> "WorkerProcess":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
