"""Snapshots of state, one line of them per source partition, under the state root.

Whoever takes a partition claims its state first. A snapshot's name begins with its writer's claim and goes on
with the offset up to which it includes everything; the highest name wins. So a worker that was held up, and
writes on after another has claimed, covers nothing, and learns of it before it sends anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import PurePosixPath
from uuid import uuid4

import fsspec
import msgspec

from jitr.schemas.errors import JitrError

KEPT = 2
_CLAIM, _SNAPSHOT = ".claim", ".snapshot"


class LostError(JitrError):
    """Another worker has taken up the state of a partition."""


class Outgoing(msgspec.Struct, frozen=True, array_like=True):
    """One Kafka record that is to be sent."""

    topic: str
    key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes]]


class StateSnapshot(msgspec.Struct, frozen=True):
    """What a partition processor must know to go on.

    ``position`` is the last source offset that ``state`` includes, ``sequence`` counts the snapshots,
    ``seen`` are the last event ids (8-byte digests), ``outbox`` is what was to be sent when it was written
    and may not have been.
    """

    position: int
    sequence: int
    seen: bytes
    state: bytes
    outbox: list[Outgoing]


class SnapshotStore:
    """The snapshots of one source partition.

    Parameters
    ----------
    root : str
        Any fsspec URL or path; the folder is made when the first snapshot is written.

    Examples
    --------
    >>> store = SnapshotStore("memory://doc/snapshots")
    >>> store.claim()
    >>> store.latest() is None
    True
    >>> for position in (7, 12, 9):
    ...     store.write(StateSnapshot(position, 0, b"", b"state", []))
    >>> store.latest().position
    12
    >>> other = SnapshotStore("memory://doc/snapshots")
    >>> other.claim()
    >>> store.held(), other.held()
    (False, True)
    >>> store.write(StateSnapshot(20, 0, b"", b"late", []))
    Traceback (most recent call last):
    jitr.agents.runtime.snapshot_store.LostError: another worker has claimed memory://doc/snapshots
    >>> other.latest().position
    12
    """

    def __init__(self, root: str) -> None:
        self._fs, self._path = fsspec.core.url_to_fs(root)
        self._root = root
        self._owner = ""

    def claim(self) -> None:
        """Make the state ours: from now on the last owner's snapshots count for nothing."""
        names = self._names()
        last = max((_owner(name) for name in names), default="")
        # two who claim at once differ by a token: one of them is the higher
        self._owner = f"{int(last.partition('.')[0] or 0) + 1:010d}.{uuid4().hex[:8]}"
        self._fs.makedirs(self._path, exist_ok=True)
        self._fs.pipe_file(f"{self._path}/{self._owner}{_CLAIM}", b"")
        for name in names:
            if name.endswith(_CLAIM) and _owner(name) < self._owner:
                self._remove(name)

    def held(self) -> bool:
        """Whether nobody has claimed it after us."""
        return max((_owner(name) for name in self._names()), default="") <= self._owner

    def write(self, snapshot: StateSnapshot) -> None:
        """Write aside, rename, and drop those that are too old to be wanted.

        Raises
        ------
        LostError
            If another has claimed the state meanwhile: nothing of the snapshot may be sent.
        """
        self._fs.makedirs(self._path, exist_ok=True)
        place = f"{snapshot.position + 1:020d}-{snapshot.sequence:010d}"
        path = f"{self._path}/{self._owner}-{place}{_SNAPSHOT}"
        aside = f"{path}.{uuid4().hex}.tmp"
        try:
            with self._fs.open(aside, "wb") as file:
                file.write(msgspec.msgpack.encode(snapshot))
            self._fs.mv(aside, path)
        except OSError:
            # on a full disk, what is half written must not take what space there is
            with suppress(OSError):
                self._fs.rm_file(aside)
            raise
        names = self._names()
        if max(map(_owner, names)) > self._owner:
            self._remove(path)
            raise LostError(f"another worker has claimed {self._root}")
        for old in _snapshots(names)[:-KEPT]:
            self._remove(old)

    def snapshots(self) -> Iterator[StateSnapshot]:
        """The snapshots that can be read, from the one that includes most."""
        for name in reversed(_snapshots(self._names())):
            try:
                with self._fs.open(name, "rb") as file:
                    found = msgspec.msgpack.decode(file.read(), type=StateSnapshot)
            except (ValueError, RecursionError, FileNotFoundError):
                continue
            yield found

    def latest(self) -> StateSnapshot | None:
        """The snapshot that includes most, None where there is none."""
        return next(self.snapshots(), None)

    def clear(self) -> None:
        """Forget everything: the source topic was made anew."""
        for name in _snapshots(self._names()):
            self._remove(name)

    def _names(self) -> list[str]:
        self._fs.invalidate_cache()
        if not self._fs.exists(self._path):
            return []
        names = (str(name) for name in self._fs.ls(self._path, detail=False))
        return sorted(name for name in names if name.endswith((_CLAIM, _SNAPSHOT)))

    def _remove(self, name: str) -> None:
        with suppress(FileNotFoundError):
            self._fs.rm_file(name)


def _snapshots(names: list[str]) -> list[str]:
    return [name for name in names if name.endswith(_SNAPSHOT)]


def _owner(name: str) -> str:
    """Whose a file is: what its name begins with."""
    return PurePosixPath(name).name.removesuffix(_CLAIM).partition("-")[0]
