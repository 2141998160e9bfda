"""A bounded queue on disk: what could not be sent to Kafka waits here, and survives a restart."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from jitr.router.publishing.drops import Drop

log = logging.getLogger(__name__)
_MAGIC: Final = b"\xf5jtr"  # no UTF-8 text holds its first byte
# magic, bytes of the batch, calls in the file before it, calls in it, CRC-32 of the batch; then of all this
_FIELDS: Final = struct.Struct(">4sIIII")
_HEAD: Final = _FIELDS.size + 4
_SLOTS: Final = 64
_SEGMENT_BYTES: Final = 16 * 2**20


class Spool:
    """Batches on disk, first in, first out; for one thread at a time.

    A folder of segment files; each entry is a head and the bytes of a batch. An entry that the disk does not
    take whole is cut off again. What a segment holds is forgotten when its last entry was taken, so that
    after a crash some batches come twice: they carry the same ids. Where a file is damaged, reading goes on
    at the next whole entry. Files are for their owner only.

    Parameters
    ----------
    root : Path
        Each process takes a numbered folder of its own in it, and finds it again after a restart. It takes
        over what waits in those of processes that have not come back.
    limit_bytes : int
        Bound on what waits; a batch beyond it is refused.

    Attributes
    ----------
    size_bytes : int
        What the segments hold on disk.
    lost : int
        Calls that were written and cannot be read.

    Raises
    ------
    OSError
        At the start only, where the folder cannot be made or all of them are taken.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, Spool(Path(folder), 1000) as spool:
    ...     spool.append(b"first", 1), spool.append(b"second", 2), spool.calls
    ...     spool.peek(), spool.take(), spool.peek()
    (None, None, 3)
    ((b'first', 1), None, (b'second', 2))
    """

    def __init__(self, root: Path, limit_bytes: int) -> None:
        self._limit: Final = limit_bytes
        self._segment_bytes: Final = max(1, min(_SEGMENT_BYTES, limit_bytes // 16))
        self._folder, self._lock = _own_folder(root)
        self._writer: int | None = None
        _take_over(root, self._folder)
        self._segments = sorted(self._folder.glob("*.spool"))
        self._number = int(self._segments[-1].stem) if self._segments else 0
        self._sizes: dict[Path, int] = {}
        self._calls: dict[Path, int] = {}
        for path in self._segments:
            data = _bytes_of(path)
            self._sizes[path] = len(data)
            self._calls[path] = _calls_in(data)
        self.size_bytes = sum(self._sizes.values())
        self._entries: Iterator[tuple[bytes, int]] | None = None
        self._head: tuple[bytes, int] | None = None
        self.lost = 0

    @property
    def calls(self) -> int:
        """How many calls wait."""
        return sum(self._calls.values())

    def append(self, batch: bytes, calls: int) -> Drop | None:
        """Add a batch at the end; None, or why it is not there."""
        if self.size_bytes + _HEAD + len(batch) > self._limit:
            return Drop.SPOOL_FULL
        try:
            path, writer = self._open()
        except OSError as error:
            return self._refused(error)
        whole, before = self._sizes[path], self._calls[path]
        head = _FIELDS.pack(_MAGIC, len(batch), before, calls, zlib.crc32(batch))
        rest = memoryview(head + zlib.crc32(head).to_bytes(4) + batch)
        try:
            while rest:
                rest = rest[os.write(writer, rest) :]
        except OSError as error:
            try:
                os.ftruncate(writer, whole)
            except OSError:
                self._close_writer()  # a new file follows, and reading leaves the torn end out
            return self._refused(error)
        self._sizes[path] += _HEAD + len(batch)
        self._calls[path] += calls
        self.size_bytes += _HEAD + len(batch)
        if self._sizes[path] >= self._segment_bytes:
            self._close_writer()
        return None

    def peek(self) -> tuple[bytes, int] | None:
        """The oldest batch and how many calls it holds, or None where nothing waits."""
        while self._head is None and self._segments:
            first = self._segments[0]
            if self._writer is not None and len(self._segments) == 1:
                self._close_writer()  # what is read is written no more
            if self._entries is None:
                self._entries = _whole(_bytes_of(first))
            self._head = next(self._entries, None)
            if self._head is None:
                self._forget(first)
        return self._head

    def take(self) -> None:
        """Forget the batch that `peek` returned."""
        if self._head is not None:
            self._calls[self._segments[0]] -= self._head[1]
            self._head = None

    def close(self) -> None:
        """Close the files; what waits stays on disk."""
        if self._head is None:
            self.peek()  # a segment whose last entry was taken goes now
        self._close_writer()
        self._entries = None
        self.release()

    def release(self) -> None:
        """Let the folder go, and touch nothing in it: for a forked child, whose parent still uses it."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _forget(self, path: Path) -> None:
        self._entries = None
        del self._segments[0]
        self.size_bytes -= self._sizes.pop(path)
        if missed := self._calls.pop(path):
            log.error("%s is damaged: %d calls in it are lost", path, missed)
            self.lost += missed
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            log.error("%s cannot be removed (%s); its calls come again after a restart", path, error)

    def _refused(self, error: OSError) -> Drop:
        log.error("the spool in %s cannot be written: %s", self._folder, error)
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        return Drop.DISK_FULL if full else Drop.NO_SPOOL

    def _open(self) -> tuple[Path, int]:
        if self._writer is None:
            path = self._folder / f"{self._number + 1:08d}.spool"
            self._writer = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
            self._number += 1
            self._segments.append(path)
            self._sizes[path] = self._calls[path] = 0
        return self._segments[-1], self._writer

    def _close_writer(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            try:
                os.close(writer)
            except OSError as error:  # some file systems say only now that the disk is full
                log.error("the spool in %s: %s", self._folder, error)


def _own_folder(root: Path) -> tuple[Path, int]:
    root.mkdir(parents=True, exist_ok=True)
    root.chmod(0o700)
    for slot in range(_SLOTS):
        folder = root / str(slot)
        folder.mkdir(mode=0o700, exist_ok=True)
        folder.chmod(0o700)
        lock = _locked(folder)
        if lock is not None:
            return folder, lock
    raise OSError(
        f"{root}: all {_SLOTS} spools are taken by running processes; give each host its own folder"
    )


def _locked(folder: Path) -> int | None:
    """A lock on a folder, let go when it is closed; None where another process holds it."""
    lock = os.open(folder / "lock", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    except OSError:
        os.close(lock)
        raise
    return lock


def _take_over(root: Path, own: Path) -> None:
    """Move what nobody sends any more behind what is ours."""
    number = max((int(path.stem) for path in own.glob("*.spool")), default=0)
    for left in sorted(root.glob("*/*.spool")):
        if left.parent == own:
            continue
        try:
            lock = _locked(left.parent)
            if lock is not None:
                number += 1
                left.rename(own / f"{number:08d}.spool")
                os.close(lock)
        except OSError as error:
            log.error("%s cannot be taken over: %s", left, error)


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        log.error("%s cannot be read: %s", path, error)
        return b""


def _calls_in(data: bytes) -> int:
    """The calls that were written, as far as the heads tell."""
    return max((before + calls for _, _, before, calls, _ in _heads(data)), default=0)


def _whole(data: bytes) -> Iterator[tuple[bytes, int]]:
    """The entries that are as they were written."""
    for at, size, _, calls, check in _heads(data):
        batch = data[at : at + size]
        if len(batch) == size and zlib.crc32(batch) == check:
            yield batch, calls


def _heads(data: bytes) -> Iterator[tuple[int, int, int, int, int]]:
    """Each undamaged head: where its batch begins, and its fields; what is none is skipped."""
    at = 0
    while (at := data.find(_MAGIC, at)) >= 0:
        head = data[at : at + _FIELDS.size]
        if zlib.crc32(head).to_bytes(4) == data[at + _FIELDS.size : at + _HEAD]:
            _, size, before, calls, check = _FIELDS.unpack(head)
            yield at + _HEAD, size, before, calls, check
            at += _HEAD + size
        else:
            at += 1
