"""Bytes that should be JSON and are not: mended where that is safe, else said what they are."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec

from jitr.schemas.errors import RecordError
from jitr.schemas.lenient import loads
from jitr.schemas.record import record_error

_BEGINNINGS = (
    (b"\xff\xfe", "UTF-16; convert it to UTF-8"),
    (b"\xfe\xff", "UTF-16; convert it to UTF-8"),
    (b"\x1f\x8b", "gzip; send it uncompressed and set the producer's compression.type"),
    (b"\x28\xb5\x2f\xfd", "zstd; send it uncompressed and set the producer's compression.type"),
    (b"\x04\x22\x4d\x18", "lz4; send it uncompressed and set the producer's compression.type"),
    (b"\xff\x06\x00\x00sNaPpY", "snappy; send it uncompressed and set the producer's compression.type"),
    (b"Obj\x01", "an Avro file; send JSON"),
    (b"\xac\xed\x00\x05", "a serialized Java object; send JSON"),
)


def json_value(data: bytes, *, stage: str = "dialect") -> Any:
    """Decode data as JSON of any form.

    It is read leniently (`jitr.schemas.lenient`), and JSON that was encoded twice is decoded twice.

    Raises
    ------
    RecordError
        If it is no JSON; the reason says what it is, where that can be told.

    Examples
    --------
    >>> json_value(b'"cut \\\\ud83d"')
    'cut \\ufffd'
    >>> json_value('{"a": 1}'.encode("utf-16"))
    Traceback (most recent call last):
        ...
    jitr.schemas.errors.RecordError: expected JSON in UTF-8, got UTF-16; convert it to UTF-8
    """
    try:
        value = loads(data)
    except RecordError as error:
        raise no_json(data, error, stage) from error
    if isinstance(value, str) and value[:1] in ("{", "["):
        with contextlib.suppress(RecordError):
            return loads(value)
    return value


def no_json(data: bytes, error: Exception, stage: str) -> RecordError:
    """Say why data is no JSON."""
    found = "" if isinstance(error, msgspec.ValidationError) else _what(data)
    return (
        RecordError(f"expected JSON in UTF-8, got {found}", stage=stage)
        if found
        else record_error(error, stage)
    )


def _what(data: bytes) -> str:
    if not data.strip():
        return "nothing"
    for beginning, name in _BEGINNINGS:
        if data.startswith(beginning):
            return name
    if data[1:2] == b"\x00" and data[0] in b'{["':
        return "UTF-16; convert it to UTF-8"
    if data[0] == 0 and len(data) > 5:
        schema = int.from_bytes(data[1:5])
        return (
            f"the Confluent wire format (magic byte 0, schema id {schema}); produce JSON without a schema"
            " registry's serializer"
        )
    try:
        data.decode()
    except UnicodeDecodeError:
        return "bytes that are no UTF-8; convert them"
    return ""
