"""What aiokafka cannot decode is handed on as far as it can be, so that no record stops its partition.

aiokafka raises at a header whose name is no UTF-8, or a batch that cannot be decompressed, and raises again
whenever it is asked; brokers take both. Here such a batch is read once more: names of headers with U+FFFD
where they are no UTF-8, and whatever is left as one record with a header that says why.
"""

from __future__ import annotations

import importlib
import struct
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c, decode_varint
from aiokafka.structs import ConsumerRecord

from jitr.schemas.codecs import CODECS

# the header of a record that stands for what could not be read; its value is those bytes
UNREADABLE = "jitr-unreadable"

_HEADER = struct.Struct(">qiibIhiqqqhii")
_CRC_FROM = 21
_PLAIN: Any = fetcher.PartitionRecords
_MODULES = ("default_records", "legacy_records", "_crecords.default_records", "_crecords.legacy_records")


def install() -> None:
    """Make every consumer of this process read so; a second time changes nothing."""
    fetcher.MemoryRecords = _Records
    fetcher.PartitionRecords = _PartitionRecords
    for name in _MODULES:
        # the compiled ones are not everywhere
        with suppress(ImportError):
            module = importlib.import_module(f"aiokafka.record.{name}")
            for codec in CODECS.values():
                setattr(module, f"{codec.name}_decode", codec.decode)


class _Records:
    """The batches of a fetch; remembers the bytes of the last one."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._batches: Any = MemoryRecords(data)
        self._at = 0
        self.last = b""

    def has_next(self) -> bool:
        return bool(self._batches.has_next())

    def size_in_bytes(self) -> int:
        return int(self._batches.size_in_bytes())

    def next_batch(self) -> Any:
        end = self._at + 12 + int.from_bytes(self._data[self._at + 8 : self._at + 12])
        self.last, self._at = self._data[self._at : end], end
        return self._batches.next_batch()


class _PartitionRecords(_PLAIN):  # type: ignore[misc]  # aiokafka has no types
    def __next__(self) -> Any:
        try:
            return super().__next__()
        except StopIteration:
            raise
        except Exception as error:
            raw = bytes(self._records.last)
            if len(raw) < _HEADER.size or raw[16] != 2 or _crc_of(raw) != calc_crc32c(raw[_CRC_FROM:]):
                # damaged on its way: fetched again it may be whole
                raise
            self._records_iterator = chain(self._again(raw, error), self._unpack_records())
            return super().__next__()

    next_fetch_offset: int

    def _again(self, raw: bytes, error: Exception) -> Iterator[Any]:
        head = _HEADER.unpack_from(raw)
        for offset, timestamp, key, value, headers in _records(raw, error):
            if offset >= self.next_fetch_offset:
                self.next_fetch_offset = offset + 1
                sizes = [-1 if data is None else len(data) for data in (key, value)]
                place = (self._tp.topic, self._tp.partition, offset, timestamp, (head[5] >> 3) & 1)
                yield ConsumerRecord(*place, key, value, None, *sizes, headers)
        self.next_fetch_offset = head[0] + head[6] + 1


_Record = tuple[int, int, bytes | None, bytes | None, tuple[tuple[str, bytes | None], ...]]


def _crc_of(raw: bytes) -> int:
    return int(_HEADER.unpack_from(raw)[4])


def _records(raw: bytes, error: Exception) -> Iterator[_Record]:
    """The records of a batch of version 2; what cannot be read is one record at the last offset."""
    base, _, _, _, _, attributes, last, first_ms, most_ms, _, _, _, count = _HEADER.unpack_from(raw)
    rest, next_offset = raw[_HEADER.size :], base
    try:
        if attributes & 7:
            rest = bytes(CODECS[attributes & 7].decode(rest))
        for _ in range(count):
            length, at = decode_varint(rest, 0)
            if not 0 < length <= len(rest) - at:
                raise CorruptRecordException(f"a record of {length} bytes")
            delta, offset, key, value, headers = _record(rest[at : at + length])
            if not next_offset <= base + offset <= base + last:
                raise CorruptRecordException(f"a record at {base + offset}, outside of its batch")
            next_offset = base + offset + 1
            rest = rest[at + length :]
            yield base + offset, most_ms if attributes & 8 else first_ms + delta, key, value, headers
    except Exception as second:
        said = f"Kafka's record batch cannot be read from offset {next_offset} on: {second or error!r}"
        told = said.encode("utf-8", "backslashreplace")
        yield base + last, most_ms, None, rest, ((UNREADABLE, told),)


def _record(data: bytes) -> tuple[int, int, bytes | None, bytes | None, tuple[tuple[str, bytes | None], ...]]:
    """The parts of a record, without its length."""
    at = 1

    def number() -> int:
        nonlocal at
        found, at = decode_varint(data, at)
        return int(found)

    def text() -> bytes | None:
        nonlocal at
        length = number()
        if length < 0:
            return None
        at += length
        if at > len(data):
            raise CorruptRecordException("a field longer than its record")
        return data[at - length : at]

    delta, offset = number(), number()
    key, value = text(), text()
    headers = tuple([((text() or b"").decode("utf-8", "replace"), text()) for _ in range(number())])
    if at != len(data):
        raise CorruptRecordException(f"{len(data) - at} bytes behind the headers")
    return delta, offset, key, value, headers
