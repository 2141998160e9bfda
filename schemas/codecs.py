"""The codecs of Kafka's batches, by their number, within bounds of memory.

A batch of a few kilobytes may unpack to gigabytes; it is refused.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from dataclasses import dataclass

import cramjam
from aiokafka.errors import CorruptRecordException

# Kafka's batches are a megabyte, and JSON is rarely packed to less than a twentieth
MOST_UNPACKED = 128 * 1024 * 1024
_XERIAL = b"\x82SNAPPY\x00"


@dataclass(frozen=True, slots=True)
class Codec:
    """A name, and what unpacks a batch.

    Examples
    --------
    >>> CODECS[1].decode(gzip.compress(b"hi"))
    b'hi'
    """

    name: str
    decode: Callable[[bytes], bytes]


def _gzip(data: bytes) -> bytes:
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
        return _bounded(file.read(MOST_UNPACKED + 1))


def _snappy(data: bytes) -> bytes:
    rest, blocks = memoryview(data), []
    if bytes(rest[:8]) == _XERIAL:
        rest = rest[16:]
        while rest:
            size = int.from_bytes(rest[:4])
            blocks.append(rest[4 : 4 + size])
            rest = rest[4 + size :]
    else:
        blocks = [rest]
    if sum(cramjam.snappy.decompress_raw_len(block) for block in blocks) > MOST_UNPACKED:
        raise _too_large()
    return b"".join(bytes(cramjam.snappy.decompress_raw(block)) for block in blocks)


def _lz4(data: bytes) -> bytes:
    return _grown(cramjam.lz4.decompress_into, data)


def _zstd(data: bytes) -> bytes:
    return _grown(cramjam.zstd.decompress_into, data)


def _grown(decompress_into: Callable[[bytes, bytearray], int], data: bytes) -> bytes:
    """Unpack into a buffer that grows until it is large enough, within bounds."""
    size = max(2**16, 16 * len(data))
    while True:
        out = bytearray(min(size, MOST_UNPACKED))
        try:
            return bytes(memoryview(out)[: decompress_into(data, out)])
        except cramjam.DecompressionError as error:
            if "whole buffer" not in str(error):
                raise
            if size >= MOST_UNPACKED:
                raise _too_large() from error
            size *= 8


def _bounded(data: bytes) -> bytes:
    if len(data) > MOST_UNPACKED:
        raise _too_large()
    return data


def _too_large() -> CorruptRecordException:
    return CorruptRecordException(f"it unpacks to more than {MOST_UNPACKED >> 20} MB")


CODECS = {
    1: Codec("gzip", _gzip),
    2: Codec("snappy", _snappy),
    3: Codec("lz4", _lz4),
    4: Codec("zstd", _zstd),
}
