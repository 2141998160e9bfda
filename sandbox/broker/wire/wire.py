"""Reading requests and writing responses: the primitive types of the Kafka protocol, not flexible.

Every read is checked against the end of the request, so hostile bytes can raise `MalformedError` and nothing
else, and no count in a request can make the broker reserve more than the request's own length.
"""

import struct
from collections.abc import Callable, Iterable
from typing import TypeVar

from jitr.schemas.errors import JitrError

T = TypeVar("T")

_I16 = struct.Struct(">h")
_I32 = struct.Struct(">i")
_I64 = struct.Struct(">q")


class MalformedError(JitrError):
    """Bytes that are no request of the protocol; the connection they came on is closed."""


class WireReader:
    """Takes primitive values off the front of a request.

    Parameters
    ----------
    data : bytes
        One request, without its length prefix.

    Examples
    --------
    >>> r = WireReader(b"\\x00\\x02hi\\x00\\x00\\x00\\x07")
    >>> r.string(), r.int32()
    ('hi', 7)
    >>> r.int8()
    Traceback (most recent call last):
    jitr.sandbox.broker.wire.wire.MalformedError: the request ends at byte 8, a field needs byte 9
    """

    __slots__ = ("at", "data")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def _step(self, size: int) -> int:
        start = self.at
        if size < 0 or start + size > len(self.data):
            raise MalformedError(
                f"the request ends at byte {len(self.data)}, a field needs byte {start + size}"
            )
        self.at = start + size
        return start

    def int8(self) -> int:
        at = self._step(1)
        value = self.data[at]
        return value - 256 if value > 127 else value

    def boolean(self) -> bool:
        return self.int8() != 0

    def int16(self) -> int:
        value: int = _I16.unpack_from(self.data, self._step(2))[0]
        return value

    def int32(self) -> int:
        value: int = _I32.unpack_from(self.data, self._step(4))[0]
        return value

    def int64(self) -> int:
        value: int = _I64.unpack_from(self.data, self._step(8))[0]
        return value

    def nullable_string(self) -> str | None:
        size = self.int16()
        if size == -1:
            return None
        at = self._step(size)
        try:
            return self.data[at : at + size].decode()
        except UnicodeDecodeError as error:
            raise MalformedError(f"a string at byte {at} is not UTF-8") from error

    def string(self) -> str:
        value = self.nullable_string()
        if value is None:
            raise MalformedError(f"a string before byte {self.at} is null")
        return value

    def nullable_bytes(self) -> bytes | None:
        size = self.int32()
        if size == -1:
            return None
        at = self._step(size)
        return self.data[at : at + size]

    def bytes_(self) -> bytes:
        value = self.nullable_bytes()
        if value is None:
            raise MalformedError(f"bytes before byte {self.at} are null")
        return value

    def nullable_array(self, item: Callable[[], T]) -> list[T] | None:
        count = self.int32()
        if count == -1:
            return None
        if count < 0 or count > len(self.data) - self.at:  # an item takes at least one byte
            raise MalformedError(f"an array of {count} items in {len(self.data) - self.at} bytes")
        return [item() for _ in range(count)]

    def array(self, item: Callable[[], T]) -> list[T]:
        return self.nullable_array(item) or []


class Writer:
    """Appends primitive values to a response; every method returns the writer.

    Examples
    --------
    >>> bytes(Writer().int16(3).string("hi").data)
    b'\\x00\\x03\\x00\\x02hi'
    """

    __slots__ = ("data",)

    def __init__(self) -> None:
        self.data = bytearray()

    def int8(self, value: int) -> "Writer":
        self.data += value.to_bytes(1, "big", signed=True)
        return self

    def boolean(self, value: bool) -> "Writer":
        self.data.append(1 if value else 0)
        return self

    def int16(self, value: int) -> "Writer":
        self.data += _I16.pack(value)
        return self

    def int32(self, value: int) -> "Writer":
        self.data += _I32.pack(value)
        return self

    def int64(self, value: int) -> "Writer":
        self.data += _I64.pack(value)
        return self

    def string(self, value: str | None) -> "Writer":
        if value is None:
            return self.int16(-1)
        raw = value.encode()[:32767]
        self.int16(len(raw))
        self.data += raw
        return self

    def bytes_(self, value: bytes | None) -> "Writer":
        if value is None:
            return self.int32(-1)
        self.int32(len(value))
        self.data += value
        return self

    def array(self, items: Iterable[T], write: Callable[["Writer", T], object]) -> "Writer":
        at = len(self.data)
        self.int32(0)
        count = 0
        for item in items:
            write(self, item)
            count += 1
        _I32.pack_into(self.data, at, count)
        return self
