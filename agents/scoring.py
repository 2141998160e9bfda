"""Surrogates at work in a child process: embedding never runs on the event loop."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import fsspec

from jitr.agents.orphans import end_with
from jitr.schemas.errors import ArtifactError
from jitr.schemas.routes import SurrogateRef

_MOST_LOADED = 16


class Scorer:
    """Answers of surrogates, from a process of its own that is started when it is first needed."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None

    async def answers(self, ref: SurrogateRef, texts: Sequence[str]) -> list[tuple[str, float, str]]:
        """Answer texts.

        Returns
        -------
        list of (label, score, text)

        Raises
        ------
        ArtifactError
            The surrogate cannot be loaded, or took its process with it.
        """
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                1, mp_context=get_context("spawn"), initializer=_begin, initargs=(os.getpid(),)
            )
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._pool, _answer, ref.uri, ref.digest, list(texts))
        except BrokenProcessPool as error:
            self._pool = None
            raise ArtifactError(f"surrogate {ref.version} ended the process that ran it: {error}") from error

    def stop(self) -> None:
        """End the process."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None


def fetch(uri: str) -> Path:
    """An artifact's folder on this machine; one from afar is copied once."""
    fs, path = fsspec.core.url_to_fs(uri)
    if "file" in fs.protocol:
        return Path(path)
    folder = Path(tempfile.gettempdir()) / f"jitr-artifact-{sha256(uri.encode()).hexdigest()[:24]}"
    if not folder.exists():
        aside = tempfile.mkdtemp(prefix="jitr-fetch-")
        fs.get(path.rstrip("/") + "/", aside + "/", recursive=True)
        Path(aside).rename(folder)
    return folder


_loaded: dict[str, Any] = {}
_weights: list[Any] = []


def _begin(parent: int) -> None:
    import signal

    end_with(parent)

    # Ctrl-C is for the parent, which ends this process
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _answer(uri: str, digest: str, texts: list[str]) -> list[tuple[str, float, str]]:
    """In the child: load once, answer."""
    from jitr.models.bases.weights import Weights
    from jitr.models.surrogates.runtime import Surrogate

    if digest not in _loaded:
        if not _weights:
            _weights.append(Weights())
        if len(_loaded) >= _MOST_LOADED:
            del _loaded[next(iter(_loaded))]
        _loaded[digest] = Surrogate.load(fetch(uri), digest, _weights[0])
    return [(answer.label, answer.score, answer.text) for answer in _loaded[digest].answer_many(texts)]
