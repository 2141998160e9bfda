"""The process that runs surrogates, as seen by the one that asks: started, asked, killed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import subprocess
import sys
import threading
from asyncio import Future
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Final, cast

import msgspec

from jitr.router.scoring.frames import (
    Frames,
    Load,
    Loaded,
    LoadRefused,
    Ready,
    Reply,
    Request,
    Score,
    ScoreReply,
    Unload,
    frame,
)
from jitr.router.scoring.scorer import RUNTIME
from jitr.schemas.errors import ArtifactError, UnavailableError, WeightsError

log = logging.getLogger(__name__)
_decoder: Final = msgspec.msgpack.Decoder(Reply)


class ScorerEndedError(Exception):
    """The process ended before it answered."""


class ScorerProcess(asyncio.Protocol):
    """One process that runs surrogates; make it with `start`, in the event loop that asks it.

    `ready` is done when it is up, `ended` when it is gone. It starts a fresh interpreter and so inherits no
    thread, lock or connection, and imports nothing of the program that asks. It ends with that one, however
    that ends.
    """

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        loop = asyncio.get_running_loop()
        self.ended: Final[Future[None]] = loop.create_future()
        self.ready: Final[Future[None]] = loop.create_future()
        self._child: Final = child
        self._loop: Final = loop
        self._frames: Final = Frames()
        self._scores: Final[deque[Future[ScoreReply]]] = deque()
        self._loads: Final[dict[int, Future[Loaded]]] = {}
        self._transport: asyncio.Transport | None = None
        self._killed = False

    @classmethod
    async def start(cls, runtime: str = RUNTIME) -> ScorerProcess:
        """Start the process; it takes requests at once, and answers when it is up.

        Parameters
        ----------
        runtime : str
            ``module:Class`` of what loads surrogates there, see `jitr.router.scoring.scorer.Runtime`.

        Raises
        ------
        UnavailableError
            If this machine starts no process.
        """
        child, ours = _started(runtime)
        process = cls(child)
        await process._loop.create_connection(lambda: process, sock=ours)
        return process

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._child.pid

    def load(self, key: int, folder: Path, digest: str) -> Future[Loaded]:
        """Load an artifact beside whatever else is done.

        Raises
        ------
        ArtifactError, WeightsError, RuntimeError
            By the future: it cannot be loaded.
        ScorerEndedError
            By the future: the process ended first.
        """
        future: Future[Loaded] = self._loop.create_future()
        if self.ended.done():
            future.set_exception(ScorerEndedError(f"the process {self.pid} that ran surrogates ended"))
        else:
            self._loads[key] = future
            self._send(Load(key, str(folder.absolute()), digest))
        return future

    def drop(self, key: int) -> None:
        """Let go of a surrogate."""
        self._send(Unload(key))

    def score(self, asked: Sequence[tuple[int, str]]) -> Future[ScoreReply]:
        """Answer texts of loaded surrogates, one `Said` or `Failed` each.

        Raises
        ------
        ScorerEndedError
            By the future: the process ended first.
        """
        future: Future[ScoreReply] = self._loop.create_future()
        if self.ended.done():
            future.set_exception(ScorerEndedError(f"the process {self.pid} that ran surrogates ended"))
        else:
            self._scores.append(future)
            self._send(Score([(key, text.encode("utf-8", "surrogatepass")) for key, text in asked]))
        return future

    def kill(self) -> None:
        """End it at once; what it was asked fails."""
        self._killed = True
        self._child.kill()
        if self._transport is not None:
            self._transport.abort()
        self._end()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are none by name

    def data_received(self, data: bytes) -> None:
        """Hand out what is answered."""
        for body in self._frames.feed(data):
            self._received(_decoder.decode(body))

    def connection_lost(self, error: Exception | None) -> None:
        """Fail what it will not answer any more."""
        self._end()

    def _send(self, request: Request) -> None:
        if self._transport is not None and not self.ended.done():
            self._transport.write(frame(request))

    def _received(self, reply: Reply) -> None:
        if isinstance(reply, Ready):
            if not self.ready.done():
                self.ready.set_result(None)
            return
        if isinstance(reply, LoadRefused | Loaded):
            loading = self._loads.pop(reply.key, None)
            if loading is None or loading.done():
                return
            if isinstance(reply, Loaded):
                loading.set_result(reply)
            else:
                kinds = {"artifact": ArtifactError, "weights": WeightsError}
                loading.set_exception(kinds.get(reply.kind, RuntimeError)(reply.detail))
            return
        scoring = self._scores.popleft()
        if not scoring.done():
            scoring.set_result(reply)

    def _end(self) -> None:
        if self.ended.done():
            return
        self.ended.set_result(None)
        self._child.kill()
        # a process that the system cannot end yet must keep nobody waiting
        threading.Thread(target=self._reap, name="jitr-reap", daemon=True).start()
        self.ready.cancel()
        waiting: list[Future[Loaded] | Future[ScoreReply]] = [*self._loads.values(), *self._scores]
        self._loads.clear()
        self._scores.clear()
        for future in waiting:
            if not future.done():
                future.set_exception(ScorerEndedError(f"the process {self.pid} that ran surrogates ended"))

    def _reap(self) -> None:
        code = self._child.wait()
        if not self._killed:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(
                    log.error, "the process %d that runs surrogates ended with %d", self.pid, code
                )


def _started(runtime: str) -> tuple[subprocess.Popen[bytes], socket.socket]:
    ours, theirs = socket.socketpair()
    # as spawning does: what we can import it can too, and nothing of a folder that it happens to stand in
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-P", "-m", "jitr.router.scoring.scorer", runtime, str(os.getpid())]
    with theirs:
        try:
            child = subprocess.Popen(  # noqa: S603 - a program of ours
                command, stdin=theirs.fileno(), stdout=subprocess.DEVNULL, env=environ
            )
        except OSError as error:
            ours.close()
            raise UnavailableError(
                f"{sys.executable} cannot be started to run surrogates: {error}; the teacher answers"
            ) from error
    return child, ours
