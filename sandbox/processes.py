"""Child processes that end with us, however we end, and write their output to a file."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jitr.schemas.errors import UnavailableError

# Asks the kernel to end the child when the thread that started it ends (PR_SET_PDEATHSIG), then becomes it.
_TIED_TO_PARENT = """
import ctypes, os, signal, sys
try:
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
except (AttributeError, OSError):
    pass  # not Linux: a killed parent leaves the child behind
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""


def tied_to_parent(command: Sequence[str]) -> list[str]:
    """A command that ends when the thread that starts it ends: start it from one that lives long enough."""
    return [sys.executable, "-S", "-c", _TIED_TO_PARENT, str(os.getpid()), *command]


@dataclass
class Child:
    """One running child: its name, its process and where its output goes."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def said(self) -> str:
        """The end of what it wrote."""
        return self.log.read_text(errors="replace")[-3000:]


class Processes:
    """The children of one run, started in order and stopped in the reverse order.

    Parameters
    ----------
    folder : Path
        Where their logs go.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     processes = Processes(Path(folder))
    ...     child = processes.start("hello", [sys.executable, "-c", "print('hi')"])
    ...     _ = child.process.wait()
    ...     processes.stop()
    ...     child.said().strip()
    'hi'
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.children: list[Child] = []

    def start(
        self, name: str, command: Sequence[str], environ: Mapping[str, str | None] | None = None
    ) -> Child:
        """Start a child in a session of its own: Ctrl-C is for us, and we then stop it in order.

        ``environ`` is added to our own environment; what is None there is taken out of it.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        log = self._folder / f"{name}.log"
        whole = {**os.environ, **(environ or {})}
        with log.open("wb") as output:
            process = subprocess.Popen(
                tied_to_parent(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={key: value for key, value in whole.items() if value is not None},
                start_new_session=True,
            )
        child = Child(name, process, log)
        self.children.append(child)
        return child

    def wait_until(self, child: Child, ready: Callable[[], bool], timeout_s: float = 60.0) -> None:
        """Wait until a child is ready.

        Raises
        ------
        UnavailableError
            If it ends or is not ready in time; the message carries what it wrote.
        """
        deadline = time.monotonic() + timeout_s
        while not ready():
            if child.process.poll() is not None:
                raise UnavailableError(f"{child.name} ended at its start; it said:\n{child.said()}")
            if time.monotonic() > deadline:
                raise UnavailableError(f"{child.name} is not ready after {timeout_s:g} s:\n{child.said()}")
            time.sleep(0.02)

    def dead(self) -> Child | None:
        """A child that has ended although nobody stopped it."""
        return next((child for child in self.children if child.process.poll() is not None), None)

    def stop(self, grace_s: float = 10.0) -> None:
        """End every child, the last started first; what does not end in time is killed with its children."""
        for child in reversed(self.children):
            if child.process.poll() is None:
                child.process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.process.wait(grace_s)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.process.pid, signal.SIGKILL)
            child.process.wait()
        self.children.clear()
