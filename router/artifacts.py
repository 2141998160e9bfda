"""Surrogates in memory: fetched, verified against their digest, warmed, and only then put in use."""

from __future__ import annotations

import asyncio
import logging
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import unquote, urlsplit

from jitr.router.reasons import Reason
from jitr.router.supervisor import Loops
from jitr.schemas.errors import ArtifactError
from jitr.schemas.routes import SurrogateRef

log = logging.getLogger(__name__)
RETRY_S: Final = 10.0


class SurrogateAnswer(Protocol):
    """What a surrogate says: normal form, the text to send, and the gate's score of it."""

    @property
    def label(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def score(self) -> float: ...


class Surrogate(Protocol):
    """What answers one task in the teacher's place."""

    def answer(self, text: str, /) -> SurrogateAnswer:
        """Answer the input of one call."""


Load = Callable[[Path, str], Surrogate]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a surrogate is not in use."""

    reason: Reason
    detail: str = ""
    retry_at: float = float("inf")


class Shelf:
    """The surrogates that routes name, loaded by digest in threads of their own.

    Parameters
    ----------
    cache : Path
        Where artifacts from afar are copied to; local ones are read where they are.
    load : callable of (folder, digest) -> Surrogate
        Reads and verifies; raises `ArtifactError` where the digest is wrong.
    changed : callable
        Called on the event loop when an artifact has been loaded or refused.
    loops : Loops
        Watches the loads.
    """

    def __init__(self, cache: Path, load: Load, changed: Callable[[], None], loops: Loops) -> None:
        self._cache: Final = cache
        self._load: Final = load
        self._changed: Final = changed
        self._loops: Final = loops
        self._held: dict[str, Surrogate | Refusal] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def want(self, refs: Iterable[SurrogateRef]) -> None:
        """Begin to load what is not here, and let go of what no route names any more."""
        wanted = {ref.digest: ref for ref in refs}
        for digest in self._held.keys() - wanted.keys():
            del self._held[digest]
        for digest, ref in wanted.items():
            held = self._held.get(digest)
            due = held is None or (isinstance(held, Refusal) and time.monotonic() >= held.retry_at)
            if due and digest not in self._tasks:
                self._tasks[digest] = self._loops.once("artifact", self._bring(ref))

    def find(self, ref: SurrogateRef) -> Surrogate | Refusal:
        """The surrogate, or why it is not in use."""
        return self._held.get(ref.digest) or Refusal(Reason.ARTIFACT_LOADING)

    async def close(self) -> None:
        """Wait for loads under way and let everything go."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._held.clear()

    async def _bring(self, ref: SurrogateRef) -> None:
        found: Surrogate | Refusal
        try:
            found = await asyncio.to_thread(self._read, ref)
        except ArtifactError as error:
            found = Refusal(Reason.ARTIFACT_REFUSED, str(error))
        except Exception as error:  # whatever is wrong with it, the teacher answers
            found = Refusal(
                Reason.ARTIFACT_MISSING, f"{type(error).__name__}: {error}", time.monotonic() + RETRY_S
            )
        finally:
            del self._tasks[ref.digest]
        if isinstance(found, Refusal):
            log.warning("surrogate %s at %s is not used: %s", ref.version, ref.uri, found.detail)
        self._held[ref.digest] = found
        self._changed()

    def _read(self, ref: SurrogateRef) -> Surrogate:
        folder = local_path(ref.uri)
        if folder is None:
            folder = self._fetch(ref)
        elif not folder.is_dir():
            raise FileNotFoundError(f"{folder} is no folder")
        surrogate = self._load(folder, ref.digest)
        surrogate.answer("")  # the first answer of a runtime is slow; nobody should wait for it
        return surrogate

    def _fetch(self, ref: SurrogateRef) -> Path:
        goal = self._cache / ref.digest.replace(":", "-")
        if goal.is_dir():
            return goal
        try:
            from fsspec.core import url_to_fs  # not in the base install
        except ImportError as error:
            raise FileNotFoundError(
                f"{ref.uri} is no local path; install fsspec (it comes with jitr[agents]) to fetch it"
            ) from error
        files, root = url_to_fs(ref.uri)
        self._cache.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(dir=self._cache))
        try:
            files.get(root.rstrip("/") + "/", f"{aside}/copy/", recursive=True)
            # verified on load each time, so that a damaged copy cannot hide; see `_load`
            (aside / "copy").rename(goal)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        return goal


def local_path(uri: str) -> Path | None:
    """The path that a URI names on this machine, or None if it lies elsewhere.

    Examples
    --------
    >>> local_path("file:///tmp/a%20b"), local_path("state/x"), local_path("s3://bucket/x")
    (PosixPath('/tmp/a b'), PosixPath('state/x'), None)
    """
    if "://" not in uri:
        return Path(uri)
    parts = urlsplit(uri)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None
