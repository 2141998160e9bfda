"""The surrogates that routes name: fetched, loaded, warmed and only then in use, within a bound of memory."""

from __future__ import annotations

import asyncio
import logging
from asyncio import Future
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from jitr.router.reasons import Reason
from jitr.router.scoring.batches import Held
from jitr.router.scoring.fetch import folder_of
from jitr.router.scoring.frames import Said
from jitr.router.scoring.scorer_slot import CrashError
from jitr.router.scoring.scorers import LoadingError, Scorers
from jitr.router.supervisor import Loops
from jitr.schemas.errors import ArtifactError
from jitr.schemas.routes import SurrogateRef

log = logging.getLogger(__name__)
RETRY_S: Final = 10.0
CRASHED_S: Final = 60.0
FETCH_S: Final = 60.0
# what was loaded stays at least so long, so that two that do not fit together do not load all the time
RESIDENT_S: Final = 2.0
# only what was idle for so long makes room for what nobody has asked for yet
IDLE_S: Final = 60.0


class RemoteSurrogate(Protocol):
    """What answers one task in the teacher's place; it runs elsewhere, and never holds up the event loop."""

    def ask(self, text: str, deadline_s: float | None = None, /) -> Future[Said]:
        """Begin to answer the input of one call; without a deadline, nobody waits for it.

        Raises
        ------
        LoadingError, BusyError
            It is not in memory now, or would be late.
        """


@dataclass(frozen=True, slots=True)
class ArtifactRefusal:
    """Why a surrogate is not in use."""

    reason: Reason
    detail: str = ""
    retry_at: float = float("inf")


class StoredArtifact:
    """One surrogate of the store: in memory, or loaded again when it is asked for."""

    def __init__(self, ref: SurrogateRef, store: ArtifactStore) -> None:
        self.ref = ref
        self.held: Held | None = None
        self.refusal: ArtifactRefusal | None = ArtifactRefusal(Reason.ARTIFACT_LOADING)
        self.task: asyncio.Task[None] | None = None
        self.loaded_at = 0.0
        self._store: Final = store

    @property
    def used(self) -> float:
        """When it was last asked for, if it is held."""
        return self.held.used if self.held else 0.0

    def ask(self, text: str, deadline_s: float | None = None) -> Future[Said]:
        """Begin an answer; see `RemoteSurrogate`."""
        if self.held is None:
            self._store.demand(self)
            raise LoadingError
        return self._store.scorers.submit(self.held, text, deadline_s)


class ArtifactStore:
    """The surrogates that routes name, by digest.

    All are loaded that fit into memory; one that does not takes, when it is asked for, the place of those
    that were not asked for the longest.

    Parameters
    ----------
    cache : Path
        Where artifacts from afar are copied to; local ones are read where they are.
    changed : callable
        Called when an artifact has been loaded or refused.
    scorers : Scorers
        Where they run; ended by `close`.
    loops : Loops
        Watches the loads.
    room_mb : float
        Memory of each process for surrogates and the encoders that they share, together.
    """

    def __init__(
        self, cache: Path, changed: Callable[[], None], scorers: Scorers, loops: Loops, *, room_mb: float
    ) -> None:
        self.scorers: Final = scorers
        self._loops: Final = loops
        self._cache: Final = cache
        self._changed: Final = changed
        self._room_mb: Final = room_mb
        self._entries: dict[str, StoredArtifact] = {}
        self._is_full = False
        self.scorers.refused = self._crashed

    def want(self, refs: Iterable[SurrogateRef]) -> None:
        """Begin to load what is not here, and let go of what no route names any more."""
        wanted = {ref.digest: ref for ref in refs}
        for digest in self._entries.keys() - wanted.keys():
            self._let_go(self._entries.pop(digest))
            self._is_full = False
        now = asyncio.get_running_loop().time()
        for digest, ref in wanted.items():
            entry = self._entries.get(digest)
            if entry is None:
                entry = self._entries[digest] = StoredArtifact(ref, self)
                if self._is_full:
                    entry.refusal = None
                else:
                    self._begin(entry)
            elif entry.refusal is not None and (now >= entry.refusal.retry_at or ref.uri != entry.ref.uri):
                entry.ref = ref  # it may have been mended, or lie somewhere else now
                self._begin(entry)

    def find(self, ref: SurrogateRef) -> StoredArtifact | ArtifactRefusal:
        """The surrogate, or why it is not in use."""
        entry = self._entries.get(ref.digest)
        if entry is None:
            return ArtifactRefusal(Reason.ARTIFACT_LOADING)
        return entry.refusal or entry

    def demand(self, entry: StoredArtifact) -> None:
        """Load a surrogate that was let go for others."""
        if self._entries.get(entry.ref.digest) is not entry or entry.task is not None:
            return
        now = asyncio.get_running_loop().time()
        newest = max((e.loaded_at for e in self._entries.values() if e.held is not None), default=0.0)
        if not newest or now >= newest + RESIDENT_S:
            self._begin(entry, demanded=True)

    async def close(self) -> None:
        """End the processes and let everything go, whatever is under way."""
        tasks = [entry.task for entry in self._entries.values() if entry.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._entries.clear()
        await self.scorers.close()

    def _begin(self, entry: StoredArtifact, demanded: bool = False) -> None:
        if entry.task is None:
            entry.task = self._loops.once("artifact", self._bring(entry, demanded))

    def _let_go(self, entry: StoredArtifact) -> None:
        if entry.task is not None:
            entry.task.cancel()
        if entry.held is not None:
            self.scorers.drop(entry.held)
            entry.held = None

    async def _bring(self, entry: StoredArtifact, demanded: bool) -> None:
        ref, loop = entry.ref, asyncio.get_running_loop()
        try:
            async with asyncio.timeout(FETCH_S):
                folder = await folder_of(ref.uri, ref.digest, self._cache)
            entry.held = await self.scorers.load(folder, ref.digest)
            entry.loaded_at = loop.time()
            entry.refusal = self._make_room(entry, demanded)
        except CrashError as error:
            entry.refusal = ArtifactRefusal(Reason.ARTIFACT_REFUSED, str(error), loop.time() + CRASHED_S)
        except ArtifactError as error:
            entry.refusal = ArtifactRefusal(Reason.ARTIFACT_REFUSED, str(error), loop.time() + CRASHED_S)
        except Exception as error:  # whatever is wrong with it, the teacher answers
            detail = f"{type(error).__name__}: {error}"
            entry.refusal = ArtifactRefusal(Reason.ARTIFACT_MISSING, detail, loop.time() + RETRY_S)
        finally:
            entry.task = None
        self._tell(entry)

    def _make_room(self, entry: StoredArtifact, demanded: bool) -> ArtifactRefusal | None:
        """Let others go, or itself, until what is held fits; a refusal where it would not fit alone."""
        if (alone_mb := _ram_mb([entry])) > self._room_mb:
            self._let_go_held(entry)
            return ArtifactRefusal(
                Reason.ARTIFACT_REFUSED,
                f"it takes {alone_mb:.0f} MB, gateway.surrogates_mb allows {self._room_mb:.0f}; raise it",
            )
        now = asyncio.get_running_loop().time()
        while _ram_mb(self._entries.values()) > self._room_mb:
            others = [other for other in self._entries.values() if other.held and other is not entry]
            oldest = min(others, key=lambda other: other.used)
            self._is_full = True
            if not demanded and now - oldest.used < IDLE_S:
                self._let_go_held(entry)
            else:
                self._let_go_held(oldest)
        return None

    def _let_go_held(self, entry: StoredArtifact) -> None:
        if entry.held is not None:
            log.warning("surrogate %s makes room for others; see gateway.surrogates_mb", entry.ref.version)
            self.scorers.drop(entry.held)
            entry.held = None

    def _crashed(self, held: Held, error: Exception) -> None:
        for entry in self._entries.values():
            if entry.held is held:
                entry.held = None
                retry_at = asyncio.get_running_loop().time() + CRASHED_S
                entry.refusal = ArtifactRefusal(Reason.ARTIFACT_REFUSED, str(error), retry_at)
                self._tell(entry)

    def _tell(self, entry: StoredArtifact) -> None:
        if entry.refusal is not None:
            ref = entry.ref
            log.warning("surrogate %s at %s is not used: %s", ref.version, ref.uri, entry.refusal.detail)
        self._changed()


def _ram_mb(entries: Iterable[StoredArtifact]) -> float:
    """What they take together; each encoder once."""
    loaded = [entry.held.ready.result() for entry in entries if entry.held is not None]
    encoders = {name: mb for one in loaded for name, mb in one.encoders.items()}
    return sum(one.ram_mb for one in loaded) + sum(encoders.values())
