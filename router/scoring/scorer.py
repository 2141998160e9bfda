"""The program that runs surrogates in a process of its own; `jitr.router.scoring.process` starts it.

Its standard input is a socket to the process that asks. It answers requests one after another; artifacts are
loaded beside, so that a new version keeps nobody waiting. It ends when the other end of the socket does,
whatever it is doing then.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final, Protocol

import msgspec

from jitr.router.scoring.frames import (
    Failed,
    Frames,
    Load,
    Loaded,
    LoadRefused,
    Ready,
    Reply,
    Request,
    Said,
    Score,
    ScoreReply,
    Unload,
    frame,
)
from jitr.schemas.errors import ArtifactError, WeightsError

RUNTIME: Final = "jitr.router.scoring.runtime:Loader"
_LOOK_S: Final = 1.0
_WARMING: Final = 4
# what an answer takes is told by a text of usual length
_SAMPLE: Final = (
    "Please tell me what became of the order that I placed last week, for it has not arrived yet."
)


class Runtime(Protocol):
    """What loads surrogates and lets them answer; a class without arguments, named ``module:Class``."""

    def load(self, folder: Path, digest: str, /) -> Any:
        """Load one."""

    def answer(self, asked: Sequence[tuple[Any, str]], /) -> Sequence[Any]:
        """Answer texts, each by its surrogate."""

    def measure(self, surrogate: Any, /) -> tuple[float, dict[str, float]]:
        """Megabytes of memory: its own, and of each encoder that it shares with others."""

    def release(self, kept: Sequence[Any], /) -> None:
        """Let go of encoders that none of these needs."""


class Scorer:
    """Loads and answers as the socket says."""

    def __init__(self, runtime: Runtime, connection: socket.socket) -> None:
        self._runtime: Final = runtime
        self._connection: Final = connection
        self._surrogates: Final[dict[int, Any]] = {}
        self._changes: Final[SimpleQueue[Load | Unload]] = SimpleQueue()
        self._sending: Final = threading.Lock()

    def run(self, requests: SimpleQueue[Request]) -> None:
        """Serve for ever."""
        self._send(Ready())
        threading.Thread(target=self._change, name="load and drop", daemon=True).start()
        while True:
            match requests.get():
                case Score(asked):
                    before = time.perf_counter()
                    answers = self._answers([(key, _text(raw)) for key, raw in asked])
                    self._send(ScoreReply(answers, time.perf_counter() - before))
                case change:
                    self._changes.put(change)

    def _answers(self, asked: list[tuple[int, str]]) -> list[Said | Failed]:
        try:
            return self._together(asked)
        except Exception:  # one of them is at fault; the others are not to pay for it
            return [self._alone(key, text) for key, text in asked]

    def _alone(self, key: int, text: str) -> Said | Failed:
        try:
            return self._together([(key, text)])[0]
        except Exception as error:
            return Failed(f"{type(error).__name__}: {error}")

    def _together(self, asked: list[tuple[int, str]]) -> list[Said | Failed]:
        found = self._runtime.answer([(self._surrogates[key], text) for key, text in asked])
        return [Said(answer.label, answer.text, float(answer.score)) for answer in found]

    def _change(self) -> None:
        while True:
            change = self._changes.get()
            if isinstance(change, Load):
                self._send(self._loaded(change))
            else:
                self._drop(change.key)

    def _loaded(self, load: Load) -> Loaded | LoadRefused:
        try:
            return self._load(load)
        except Exception as error:
            self._drop(load.key)
            if isinstance(error, ArtifactError):
                return LoadRefused(load.key, "artifact", str(error))
            if isinstance(error, WeightsError):
                return LoadRefused(load.key, "weights", str(error))
            return LoadRefused(load.key, "other", f"{type(error).__name__}: {error}")

    def _load(self, load: Load) -> Loaded:
        surrogate = self._surrogates[load.key] = self._runtime.load(Path(load.folder), load.digest)
        took_s = float("inf")
        # the first answer of a runtime is slow: nobody should wait for it; of the others the quickest counts,
        # for the machine may be busy with something else
        for _ in range(_WARMING):
            before = time.perf_counter()
            self._runtime.answer([(surrogate, _SAMPLE)])
            took_s = min(took_s, time.perf_counter() - before)
        ram_mb, encoders = self._runtime.measure(surrogate)
        return Loaded(load.key, ram_mb, encoders, took_s)

    def _drop(self, key: int) -> None:
        self._surrogates.pop(key, None)
        self._runtime.release(list(self._surrogates.values()))

    def _send(self, reply: Reply) -> None:
        try:
            body = frame(reply)
        except Exception as error:  # a label that is no text
            assert isinstance(reply, ScoreReply)
            failed = Failed(f"{type(error).__name__}: {error}")
            body = frame(ScoreReply([failed] * len(reply.answers), reply.took_s))
        with self._sending:
            self._connection.sendall(body)


def main(runtime: str, parent: int) -> None:
    """Run until the parent ends."""
    for number in (signal.SIGINT, signal.SIGTERM):
        # meant for a whole group of processes; this one ends when its parent has no more use for it
        signal.signal(number, signal.SIG_IGN)
    # beside a thread that loads, answers are to have the interpreter at once
    sys.setswitchinterval(0.0005)
    connection = socket.socket(fileno=os.dup(0))
    requests: SimpleQueue[Request] = SimpleQueue()
    threading.Thread(target=_read, args=(connection, requests, parent), name="read", daemon=True).start()
    module, _, name = runtime.partition(":")
    make: Callable[[], Runtime] = getattr(import_module(module), name)
    Scorer(make(), connection).run(requests)


def _read(connection: socket.socket, requests: SimpleQueue[Request], parent: int) -> None:
    """Read requests; end the process with the connection, or where only a copy of it outlives the parent."""
    decoder, frames = msgspec.msgpack.Decoder(Request), Frames()
    while True:
        ready, _, _ = select.select([connection], [], [], _LOOK_S)
        if not ready and os.getppid() == parent:
            continue
        data = _received(connection) if ready else b""
        if not data:
            os._exit(0)
        for body in frames.feed(data):
            requests.put(decoder.decode(body))


def _received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(1 << 20)
    except OSError:
        return b""


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogatepass")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
