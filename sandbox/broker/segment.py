"""One append-only file of a partition's log, with a sparse index of it in memory.

As in Kafka the index has an entry about every 4 KiB of log, so memory grows with 24 bytes per 4096 stored,
and the file system's cache is the only cache of data.
"""

import os
from array import array
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

from jitr.sandbox.broker.wire.batch import HEADER_BYTES, BatchHeader, crc_fits, read_header

_INDEX_EVERY_BYTES = 4096
_SCAN_BYTES = 1024 * 1024


class OpenFiles:
    """File descriptors by path, the least recently used closed first: partitions may outnumber ulimit."""

    def __init__(self, limit: int = 128) -> None:
        self._limit = limit
        self._open: OrderedDict[Path, int] = OrderedDict()

    def get(self, path: Path) -> int:
        fd = self._open.get(path)
        if fd is None:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            self._open[path] = fd
            if len(self._open) > self._limit:
                os.close(self._open.popitem(last=False)[1])
        else:
            self._open.move_to_end(path)
        return fd

    def forget(self, path: Path) -> None:
        fd = self._open.pop(path, None)
        if fd is not None:
            os.close(fd)

    def close(self, *, sync: bool) -> None:
        for fd in self._open.values():
            if sync:
                os.fsync(fd)
            os.close(fd)
        self._open.clear()


class Segment:
    """Batches from `base_offset` on, in the file `<base_offset>.log`.

    Parameters
    ----------
    folder : Path
        The partition's folder.
    base_offset : int
        Offset from which this file counts; the first batch may start later after a compaction.
    files : OpenFiles
        Where the descriptor comes from.
    """

    def __init__(self, folder: Path, base_offset: int, files: OpenFiles) -> None:
        self.path = folder / f"{base_offset:020d}.log"
        self.base_offset = base_offset
        self.next_offset = base_offset
        self.size = 0
        self.max_timestamp_ms = -1
        self._files = files
        self._clear_index()

    def _clear_index(self) -> None:
        # of one batch per 4 KiB: its last offset, its position, and the largest timestamp up to and with it
        self._lasts = array("q")
        self._positions = array("q")
        self._timestamps = array("q")
        self._indexed_to = -_INDEX_EVERY_BYTES

    def load(self) -> Iterator[BatchHeader]:
        """Read the file's headers into the index, cutting a torn or damaged end off; yields each header.

        The bytes of the last 4 MiB of the file are checked by CRC: a process that dies tears the end only.
        """
        size = self.path.stat().st_size
        with self.path.open("rb") as file:
            while self.size + HEADER_BYTES <= size:
                file.seek(self.size)
                header = read_header(file.read(HEADER_BYTES))
                if header.size < HEADER_BYTES or self.size + header.size > size:
                    break
                if header.base_offset < self.next_offset or header.last_offset < header.base_offset:
                    break
                if size - self.size < 4 * _SCAN_BYTES:
                    file.seek(self.size)
                    if not crc_fits(file.read(header.size)):
                        break
                self._note(header)
                yield header
        if self.size < size:
            os.truncate(self.path, self.size)

    def append(self, batch: bytes, header: BatchHeader) -> None:
        """Write one batch whose offsets are already those of the log."""
        fd = self._files.get(self.path)
        try:
            written = os.write(fd, batch)
            if written != len(batch):
                raise OSError(
                    f"{written} of {len(batch)} bytes were written to {self.path}: is the disk full?"
                )
        except OSError:
            os.ftruncate(fd, self.size)  # or the next batch would follow half a one
            raise
        self._note(header)

    def _note(self, header: BatchHeader) -> None:
        self.max_timestamp_ms = max(self.max_timestamp_ms, header.max_timestamp_ms)
        if self.size - self._indexed_to >= _INDEX_EVERY_BYTES:
            self._lasts.append(header.last_offset)
            self._positions.append(self.size)
            self._timestamps.append(self.max_timestamp_ms)
            self._indexed_to = self.size
        self.size += header.size
        self.next_offset = header.last_offset + 1

    def read(self, offset: int, max_bytes: int, *, at_least_one: bool) -> bytes:
        """Batches from the one that holds `offset` (or follows it) on; the last may be cut, as Kafka does.

        Parameters
        ----------
        offset : int
            First offset wanted.
        max_bytes : int
            Most bytes to return.
        at_least_one : bool
            Return the first batch whole even if it is larger than max_bytes.
        """
        position = self._position_of(offset)
        if position >= self.size:
            return b""
        fd = self._files.get(self.path)
        head = read_header(os.pread(fd, HEADER_BYTES, position))
        if head.size > max_bytes:
            if not at_least_one:
                return b""
            max_bytes = head.size
        return os.pread(fd, min(max_bytes, self.size - position), position)

    def _position_of(self, offset: int) -> int:
        """Position of the first batch whose last offset is at or above `offset`."""
        entry = bisect_left(self._lasts, offset)
        if entry == 0:
            return 0
        for position, header in self._headers(self._positions[entry - 1]):
            if header.last_offset >= offset:
                return position
        return self.size

    def _headers(self, position: int) -> Iterator[tuple[int, BatchHeader]]:
        fd = self._files.get(self.path)
        while position < self.size:
            chunk = os.pread(fd, 2 * _INDEX_EVERY_BYTES, position)
            at = 0
            while at + HEADER_BYTES <= len(chunk) and position + at < self.size:
                header = read_header(chunk, at)
                yield position + at, header
                at += header.size
            position += at

    def batches(self) -> Iterator[bytes]:
        """All batches, through a descriptor of its own: compaction reads closed segments in a thread."""
        with self.path.open("rb") as file:
            position = 0
            while position < self.size:
                head = file.read(HEADER_BYTES)
                size = read_header(head).size
                yield head + file.read(size - HEADER_BYTES)
                position += size

    def first_at_or_after(self, timestamp_ms: int) -> bytes | None:
        """The first batch with a record at or after a time, or None."""
        if self.max_timestamp_ms < timestamp_ms:
            return None
        entry = bisect_right(self._timestamps, timestamp_ms - 1)  # first entry whose maximum reaches the time
        start = self._positions[entry - 1] if entry else 0
        for position, header in self._headers(start):
            if header.max_timestamp_ms >= timestamp_ms:
                return os.pread(self._files.get(self.path), header.size, position)
        return None

    def modified_s(self) -> float:
        """When the file was last appended to, Unix time in seconds; compaction keeps it."""
        return self.path.stat().st_mtime

    def remove(self) -> None:
        """Delete the file."""
        self._files.forget(self.path)
        self.path.unlink(missing_ok=True)
