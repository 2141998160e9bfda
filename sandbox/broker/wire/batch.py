"""Record batches, format version 2: the header that is checked, and the records inside when a key matters.

A batch is opaque to the broker but for its header: what a producer compressed is stored and served as it is.
Only compaction, and the rule that a compacted topic's records have keys, look inside.
Source of the layout: kafka.apache.org/documentation/#recordbatch.
"""

import gzip
import io
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from aiokafka.record.util import calc_crc32c

from jitr.sandbox.broker.wire.codes import Code, RefusalError

HEADER_BYTES = 61
_HEADER = struct.Struct(">qiibIhiqqqhii")
_AT_LENGTH, _AT_CRC, _AT_ATTRIBUTES = 8, 17, 21
_CODEC_MASK, _LOG_APPEND_TIME, _TRANSACTIONAL, _CONTROL = 0x07, 0x08, 0x10, 0x20
_PLAIN, _GZIP = 0, 1
# A few kilobytes of gzip can unfold into gigabytes; beyond this a batch is left as it is.
_MAX_UNFOLDED_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class BatchHeader:
    """The fixed first 61 bytes of a batch, as far as the broker uses them."""

    base_offset: int
    size: int
    last_offset: int
    attributes: int
    max_timestamp_ms: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    count: int

    @property
    def codec(self) -> int:
        return self.attributes & _CODEC_MASK

    @property
    def last_sequence(self) -> int:
        # sequences wrap at 2**31 - 1, as the protocol says
        return (self.base_sequence + self.last_offset - self.base_offset) & 0x7FFFFFFF


def read_header(data: bytes | memoryview, at: int = 0) -> BatchHeader:
    """Header of the batch that starts at byte `at`; the caller makes sure that 61 bytes are there."""
    (base, length, _, _, _, attributes, last_delta, _, max_ts, pid, epoch, sequence, count) = (
        _HEADER.unpack_from(data, at)
    )
    return BatchHeader(base, length + 12, base + last_delta, attributes, max_ts, pid, epoch, sequence, count)


def check_batch(data: bytes, max_bytes: int) -> BatchHeader:
    """Header of a batch that a producer sent, if the batch may be stored.

    Parameters
    ----------
    data : bytes
        The records field of one partition in a produce request: exactly one batch.
    max_bytes : int
        The topic's `max.message.bytes`.

    Raises
    ------
    RefusalError
        CORRUPT_MESSAGE (length, format version or CRC do not fit), MESSAGE_TOO_LARGE, INVALID_RECORD (not
        exactly one batch; counts do not fit; a control batch), TRANSACTIONAL_ID_AUTHORIZATION_FAILED.
    """
    if len(data) < HEADER_BYTES:
        raise RefusalError(Code.CORRUPT_MESSAGE, f"{len(data)} bytes are no record batch")
    if data[16] != 2:
        raise RefusalError(
            Code.CORRUPT_MESSAGE, f"record format {data[16]} given, this broker takes format 2 only"
        )
    header = read_header(data)
    if header.size < HEADER_BYTES or header.size > len(data):
        raise RefusalError(Code.CORRUPT_MESSAGE, f"the batch says {header.size} bytes, {len(data)} were sent")
    if header.size < len(data):
        raise RefusalError(Code.INVALID_RECORD, "a produce request carries exactly one batch per partition")
    if header.size > max_bytes:
        raise RefusalError(
            Code.MESSAGE_TOO_LARGE, f"a batch of {header.size} bytes, max.message.bytes={max_bytes}"
        )
    if not crc_fits(data):
        raise RefusalError(Code.CORRUPT_MESSAGE, "the CRC of the batch does not fit its bytes")
    if header.count < 1 or header.last_offset - header.base_offset != header.count - 1:
        raise RefusalError(Code.INVALID_RECORD, f"a batch of {header.count} records has another last offset")
    if header.attributes & _TRANSACTIONAL:
        raise RefusalError(Code.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, "this broker has no transactions")
    if header.attributes & (_CONTROL | _LOG_APPEND_TIME):
        raise RefusalError(Code.INVALID_RECORD, "a producer may not send control batches or append times")
    return header


def crc_fits(data: bytes | memoryview) -> bool:
    """Whether the CRC-32C in a whole batch is that of its bytes."""
    stated: int = struct.unpack_from(">I", data, _AT_CRC)[0]
    return bool(calc_crc32c(bytes(data[_AT_ATTRIBUTES:])) == stated)


def with_base_offset(data: bytes, offset: int) -> bytes:
    """The batch at its place in the log; the CRC does not cover the base offset."""
    return offset.to_bytes(8, "big", signed=True) + data[8:]


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """One record of a batch: its place, and its bytes in the unfolded records."""

    offset: int
    key: bytes | None
    has_value: bool
    timestamp_delta_ms: int
    raw: bytes


def records_of(batch: bytes) -> list[StoredRecord] | None:
    """Records of a batch, or None where its codec cannot be read here (all but plain and gzip).

    Raises
    ------
    RefusalError
        CORRUPT_MESSAGE, if the bytes inside are not the records that the header states.
    """
    header = read_header(batch)
    body = batch[HEADER_BYTES:]
    if header.codec == _GZIP:
        unfolded = _gunzip(body)
        if unfolded is None:
            return None
        body = unfolded
    elif header.codec != _PLAIN:
        return None
    try:
        found = list(_walk(body, header))
    except IndexError as error:
        raise RefusalError(Code.CORRUPT_MESSAGE, "a record runs past the end of its batch") from error
    return found


def _gunzip(body: bytes) -> bytes | None:
    try:
        unfolded = gzip.GzipFile(fileobj=io.BytesIO(body)).read(_MAX_UNFOLDED_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise RefusalError(Code.CORRUPT_MESSAGE, f"the batch is not gzip: {error}") from error
    return unfolded if len(unfolded) <= _MAX_UNFOLDED_BYTES else None


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), at
        shift += 7
        if shift > 63:
            raise RefusalError(Code.CORRUPT_MESSAGE, "a number in a record has more than ten bytes")


def _walk(body: bytes, header: BatchHeader) -> Iterator[StoredRecord]:
    at = 0
    for _ in range(header.count):
        start = at
        length, at = _varint(body, at)
        end = at + length
        if length < 0 or end > len(body):
            raise RefusalError(Code.CORRUPT_MESSAGE, "a record runs past the end of its batch")
        timestamp_delta, at = _varint(body, at + 1)
        offset_delta, at = _varint(body, at)
        if not 0 <= offset_delta <= header.last_offset - header.base_offset:
            raise RefusalError(Code.CORRUPT_MESSAGE, f"a record at {offset_delta} lies outside its batch")
        key_bytes, at = _varint(body, at)
        if key_bytes > end - at:
            raise RefusalError(Code.CORRUPT_MESSAGE, "a key runs past the end of its record")
        key = None if key_bytes < 0 else body[at : at + key_bytes]
        at += max(key_bytes, 0)
        value_bytes, at = _varint(body, at)
        yield StoredRecord(
            header.base_offset + offset_delta, key, value_bytes >= 0, timestamp_delta, body[start:end]
        )
        at = end


def filtered(batch: bytes, records: list[StoredRecord], keep: Callable[[StoredRecord], bool]) -> bytes | None:
    """The batch with only the records to keep: same offsets, times and producer; None if none is left."""
    kept = [record for record in records if keep(record)]
    if len(kept) == len(records):
        return batch
    if not kept:
        return None
    body = b"".join(record.raw for record in kept)
    header = bytearray(batch[:HEADER_BYTES])
    if read_header(batch).codec == _GZIP:
        body = gzip.compress(body, mtime=0)
    struct.pack_into(">i", header, _AT_LENGTH, HEADER_BYTES - 12 + len(body))
    struct.pack_into(">i", header, HEADER_BYTES - 4, len(kept))
    crc = calc_crc32c(bytes(header[_AT_ATTRIBUTES:]) + body)
    struct.pack_into(">I", header, _AT_CRC, crc)
    return bytes(header) + body
