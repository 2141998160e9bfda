"""A bounded queue on disk: what could not be sent to Kafka waits here, and survives a restart."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

log = logging.getLogger(__name__)
_HEAD: Final = struct.Struct(">III")  # bytes of the batch, calls in it, its CRC-32
_SLOTS: Final = 64


class Spool:
    """Batches on disk, first in, first out.

    A folder of segment files; each entry is its length, how many calls it holds, a check sum, and the
    bytes. What a segment holds is forgotten when its last entry was taken, so that after a crash some
    batches come twice: they carry the same ids. A torn or damaged end of a segment is left out.

    Parameters
    ----------
    root : Path
        Each process takes a numbered folder of its own in it, and finds it again after a restart.
    limit_bytes : int
        Bound on what waits; a batch beyond it is refused.

    Attributes
    ----------
    size_bytes : int
        What the segments hold on disk.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, Spool(Path(folder), 1000) as spool:
    ...     spool.append(b"first", 1), spool.append(b"second", 2), spool.peek(), spool.take(), spool.peek()
    (True, True, (b'first', 1), None, (b'second', 2))
    """

    def __init__(self, root: Path, limit_bytes: int) -> None:
        self._limit: Final = limit_bytes
        self._segment_bytes: Final = max(1, limit_bytes // 16)
        self._folder, self._lock = _own_folder(root)
        self._writer: IO[bytes] | None = None
        self._segments = sorted(self._folder.glob("*.spool"))
        self._number = int(self._segments[-1].stem) if self._segments else 0
        self._sizes = {path: path.stat().st_size for path in self._segments}
        self.size_bytes = sum(self._sizes.values())
        self._entries: Iterator[tuple[bytes, int]] | None = None
        self._head: tuple[bytes, int] | None = None

    def append(self, batch: bytes, calls: int) -> bool:
        """Add a batch at the end; False where it would pass the bound or the disk refuses it."""
        entry = _HEAD.pack(len(batch), calls, zlib.crc32(batch)) + batch
        if self.size_bytes + len(entry) > self._limit:
            return False
        try:
            path, writer = self._open()
            writer.write(entry)
            writer.flush()
        except OSError as error:
            log.error("the spool in %s cannot be written: %s", self._folder, error)
            return False
        self._sizes[path] += len(entry)
        self.size_bytes += len(entry)
        if self._sizes[path] >= self._segment_bytes:
            self._close_writer()
        return True

    def peek(self) -> tuple[bytes, int] | None:
        """The oldest batch and how many calls it holds, or None where nothing waits."""
        while self._head is None and self._segments:
            first = self._segments[0]
            if self._writer is not None and self._writer.name == str(first):
                self._close_writer()  # what is read is written no more
            if self._entries is None:
                self._entries = _read(first)
            self._head = next(self._entries, None)
            if self._head is None:
                self._entries = None
                del self._segments[0]
                self.size_bytes -= self._sizes.pop(first)
                first.unlink(missing_ok=True)
        return self._head

    def take(self) -> None:
        """Forget the batch that `peek` returned."""
        self._head = None

    def close(self) -> None:
        """Close the files; what waits stays on disk."""
        if self._head is None:
            self.peek()  # a segment whose last entry was taken goes now
        self._close_writer()
        self._entries = None
        self._lock.close()

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> tuple[Path, IO[bytes]]:
        if self._writer is None:
            self._number += 1
            path = self._folder / f"{self._number:08d}.spool"
            self._writer = path.open("ab")
            self._segments.append(path)
            self._sizes[path] = 0
        return self._segments[-1], self._writer

    def _close_writer(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _own_folder(root: Path) -> tuple[Path, IO[Any]]:
    for slot in range(_SLOTS):
        folder = root / str(slot)
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("w")
        with contextlib.suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return folder, lock
        lock.close()
    raise OSError(
        f"{root}: all {_SLOTS} spools are taken by running processes; give each host its own folder"
    )


def _read(path: Path) -> Iterator[tuple[bytes, int]]:
    with path.open("rb") as file:
        while head := file.read(_HEAD.size):
            batch, calls = b"", 0
            if len(head) == _HEAD.size:
                size, calls, check = _HEAD.unpack(head)
                batch = file.read(size)
            if not batch or len(batch) < size or zlib.crc32(batch) != check:
                log.error("%s is damaged; what follows in it is lost", path)
                return
            yield batch, calls
