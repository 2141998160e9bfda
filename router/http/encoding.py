"""Content codings (RFC 9110, 8.4.1), undone for our own reading: what passes through stays as it came."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable
from typing import Any, Final

import brotli

if sys.version_info >= (3, 14):
    from compression.zstd import ZstdDecompressor, ZstdError
else:
    from backports.zstd import ZstdDecompressor, ZstdError

_PIECE: Final = 64 * 1024
_GZIP: Final = zlib.MAX_WBITS | 16
# each further member costs a copy of the rest
_MOST_MEMBERS: Final = 16


class EncodingError(Exception):
    """A body that cannot be decoded, or only into more than is read; says why."""


def decoded(body: bytes, coding: str, most: int, *, whole: bool = True) -> bytes:
    """Undo the codings of a body.

    Parameters
    ----------
    body : bytes
    coding : str
        The header ``Content-Encoding``; empty where there is none.
    most : int
        Bytes of the result. No more than these are ever made, however small the body is.
    whole : bool
        Whether a body that ends early is an error; else what can be decoded of it is returned.

    Raises
    ------
    EncodingError
        If a coding is unknown, the body is damaged or cut short, or more would come out.

    Examples
    --------
    >>> import gzip
    >>> decoded(gzip.compress(b"spam"), "gzip", 4)
    b'spam'
    >>> decoded(gzip.compress(bytes(10_000_000)), "gzip", 1_000_000)
    Traceback (most recent call last):
        ...
    jitr.router.http.encoding.EncodingError: more than 1000000 bytes after decoding `gzip`
    """
    # the last one named was the last one applied
    for name in reversed(coding.lower().split(",")):
        undo = _CODINGS.get(name.strip())
        if undo is None:
            raise EncodingError(f"content coding `{name.strip()[:40]}` is not read")
        try:
            body = undo(body, most, whole)
        except (zlib.error, brotli.error, ZstdError, EOFError) as error:
            raise EncodingError(f"the body is no whole `{name.strip()}`: {error}") from error
        if len(body) > most:
            raise EncodingError(f"more than {most} bytes after decoding `{name.strip()}`")
    return body


def _inflate(body: bytes, most: int, whole: bool, wbits: int = _GZIP) -> bytes:
    out = bytearray()
    for _ in range(_MOST_MEMBERS):
        if not body:
            break
        one = zlib.decompressobj(wbits)
        out += one.decompress(body, most + 1 - len(out))
        if len(out) > most:
            return bytes(out)
        if not one.eof:
            if whole:
                raise EOFError("it ends early")
            return bytes(out)
        # gzip allows several members, one after another
        body = one.unused_data.lstrip(b"\0") if wbits == _GZIP else b""
    if body:
        raise EOFError(f"it has more than {_MOST_MEMBERS} members")
    return bytes(out)


def _deflate(body: bytes, most: int, whole: bool) -> bytes:
    # some servers leave out zlib's header
    wbits = zlib.MAX_WBITS if body[:1] and body[0] & 0x0F == 8 else -zlib.MAX_WBITS
    return _inflate(body, most, whole, wbits)


def _brotli(body: bytes, most: int, whole: bool) -> bytes:
    one = brotli.Decompressor()
    out = bytearray(one.process(body, output_buffer_limit=_PIECE))
    while not one.is_finished():
        if len(out) > most:
            return bytes(out)
        piece = one.process(b"", output_buffer_limit=_PIECE)
        if not piece:
            if whole:
                raise EOFError("it ends early")
            return bytes(out)
        out += piece
    return bytes(out)


def _zstd(body: bytes, most: int, whole: bool) -> bytes:
    out = bytearray()
    for _ in range(_MOST_MEMBERS):
        if not body:
            break
        one: Any = ZstdDecompressor()
        out += one.decompress(body, most + 1 - len(out))
        if len(out) > most:
            return bytes(out)
        if not one.eof:
            if whole:
                raise EOFError("it ends early")
            return bytes(out)
        body = one.unused_data
    if body:
        raise EOFError(f"it has more than {_MOST_MEMBERS} frames")
    return bytes(out)


_CODINGS: Final[dict[str, Callable[[bytes, int, bool], bytes]]] = {
    "": lambda body, most, whole: body,
    "identity": lambda body, most, whole: body,
    "gzip": _inflate,
    "x-gzip": _inflate,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}
