"""Surrogates at work in a process of their own: embedding never runs on the event loop."""

from __future__ import annotations

import asyncio
import itertools
import os
import tempfile
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from jitr.router.scoring.fetch import folder_of
from jitr.router.scoring.frames import Said
from jitr.router.scoring.process import ScorerEndedError, ScorerProcess
from jitr.schemas.errors import ArtifactError
from jitr.schemas.routes import SurrogateRef

_MOST_LOADED = 16
_BLOCK = 512
_LOAD_S = 300.0
_TEXT_S = 2.0


class AuditScorer:
    """Answers of surrogates, from a process that is started when it is first needed.

    Surrogates take turns, so that the one that ends or hangs the process is known.
    """

    def __init__(self) -> None:
        self._process: ScorerProcess | None = None
        self._loaded: Final[OrderedDict[str, int]] = OrderedDict()
        self._keys: Final = itertools.count()
        self._turn: Final = asyncio.Lock()
        self._cache: Final = Path(tempfile.gettempdir()) / f"jitr-artifacts-{os.getuid()}"

    @property
    def pid(self) -> int | None:
        """The process's id, if there is one."""
        return self._process.pid if self._process else None

    async def answers(self, ref: SurrogateRef, texts: Sequence[str]) -> list[tuple[str, float, str]]:
        """Answer texts.

        Returns
        -------
        list of (label, score, text)

        Raises
        ------
        ArtifactError
            The surrogate cannot be loaded, raises an error, or ends or hangs its process.
        WeightsError
            Its encoder is not on this machine.
        """
        async with self._turn:
            try:
                async with asyncio.timeout(_LOAD_S + _TEXT_S * len(texts)):
                    return await self._answers(ref, texts)
            except (ScorerEndedError, TimeoutError) as error:
                self.stop()
                raise ArtifactError(
                    f"surrogate {ref.version} ended or hung the process that ran it"
                ) from error

    def stop(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process = None
        self._loaded.clear()

    async def _answers(self, ref: SurrogateRef, texts: Sequence[str]) -> list[tuple[str, float, str]]:
        if self._process is None or self._process.ended.done():
            self.stop()
            self._process = await ScorerProcess.start()
        key = await self._load(self._process, ref)
        found: list[tuple[str, float, str]] = []
        for at in range(0, len(texts), _BLOCK):
            scored = await self._process.score([(key, text) for text in texts[at : at + _BLOCK]])
            for answer in scored.answers:
                if not isinstance(answer, Said):
                    raise ArtifactError(f"surrogate {ref.version} fails: {answer.error}")
                found.append((answer.label, answer.score, answer.text))
        return found

    async def _load(self, process: ScorerProcess, ref: SurrogateRef) -> int:
        if ref.digest in self._loaded:
            self._loaded.move_to_end(ref.digest)
            return self._loaded[ref.digest]
        try:
            folder = await folder_of(ref.uri, ref.digest, self._cache)
        except FileNotFoundError as error:
            raise ArtifactError(f"surrogate {ref.version} is not at {ref.uri}: {error}") from error
        key = next(self._keys)
        await process.load(key, folder, ref.digest)
        self._loaded[ref.digest] = key
        if len(self._loaded) > _MOST_LOADED:
            process.drop(self._loaded.popitem(last=False)[1])
        return key
