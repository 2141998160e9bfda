"""Snapshots of state, one line of them per source partition, under the state root.

A snapshot's name holds the offset up to which it includes everything, so a late writer that lost its
partition can never cover a newer one: the highest name wins.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from uuid import uuid4

import fsspec
import msgspec

KEPT = 2


class Outgoing(msgspec.Struct, frozen=True, array_like=True):
    """One Kafka record that is to be sent."""

    topic: str
    key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes]]


class Snapshot(msgspec.Struct, frozen=True):
    """What a lane must know to go on.

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
    >>> store.latest() is None
    True
    >>> for position in (7, 12, 9):
    ...     store.write(Snapshot(position, 0, b"", b"state", []))
    >>> store.latest().position
    12
    """

    def __init__(self, root: str) -> None:
        self._fs, self._path = fsspec.core.url_to_fs(root)

    def write(self, snapshot: Snapshot) -> None:
        """Write aside, rename, and drop those that are too old to be wanted."""
        self._fs.makedirs(self._path, exist_ok=True)
        path = f"{self._path}/{snapshot.position + 1:020d}-{snapshot.sequence:010d}.snapshot"
        aside = f"{path}.{uuid4().hex}.tmp"
        with self._fs.open(aside, "wb") as file:
            file.write(msgspec.msgpack.encode(snapshot))
        self._fs.mv(aside, path)
        for old in self._names()[:-KEPT]:
            self._fs.rm_file(old)

    def latest(self) -> Snapshot | None:
        """The snapshot that includes most, None where there is none."""
        for name in reversed(self._names()):
            try:
                with self._fs.open(name, "rb") as file:
                    return msgspec.msgpack.decode(file.read(), type=Snapshot)
            except (msgspec.DecodeError, FileNotFoundError):
                continue
        return None

    def clear(self) -> None:
        """Forget everything: the source topic was made anew."""
        for name in self._names():
            self._fs.rm_file(name)

    def _names(self) -> list[str]:
        self._fs.invalidate_cache()
        if not self._fs.exists(self._path):
            return []
        names = (str(name) for name in self._fs.ls(self._path, detail=False))
        return sorted(name for name in names if PurePosixPath(name).suffix == ".snapshot")
