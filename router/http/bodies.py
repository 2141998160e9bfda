"""Bodies of requests that are read: within bounds of size, memory, work and time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from aiohttp import web

from jitr.router.http.encoding import EncodingError, decoded
from jitr.router.reasons import Reason
from jitr.schemas.errors import RecordError
from jitr.schemas.lenient import loads
from jitr.schemas.sections import GatewaySettings

# what is decoded on the event loop; zlib and its kin leave the interpreter to others meanwhile
_MOST_AT_ONCE: Final = 4096
# values of JSON in one request; real ones are large by their texts and images
MOST_VALUES: Final = 20_000
# JSON as texts for a model is packed to a tenth, at the best to a hundredth: what would become more is a trap
MOST_PACKED: Final = 100
# what is no strict JSON is read again by Python, at a hundredth of the speed and on the event loop
MOST_LENIENT: Final = 256 * 1024
_FEW: Final = 64 * 1024
_NO_MARKS: Final = bytes(set(range(256)) - set(b",[{"))
_LARGE: Final = "it is larger than what is read (`gateway.max_read_mb`, `gateway.read_memory_mb`)"
_NO_JSON: Final = f"it is no strict JSON, and longer than {MOST_LENIENT:,} bytes"
_MANY: Final = f"it holds more than {MOST_VALUES:,} values"


class SlowBodyError(Exception):
    """The caller sends its body too slowly, or has stopped to."""


NOT_WHOLE: Final = (SlowBodyError, web.RequestPayloadError, ConnectionError)


@dataclass(slots=True)
class Body:
    """One request's body.

    Attributes
    ----------
    raw : bytes
        As it came, to be passed on; the beginning only where it is not `whole`.
    request : dict or None
        The JSON object that it holds, where it was read and is one.
    reason : Reason or None
        Why there is no request, or none that a surrogate may answer: it is no strict JSON.
    why : str
        The same in words, for its event.
    whole : bool
        False where it was too large to be read: the rest is still on its way.
    weight : int
        Bytes held in memory, about.
    """

    raw: bytes
    request: dict[str, Any] | None
    reason: Reason | None = None
    why: str = "it is no JSON object"
    whole: bool = True
    weight: int = 0


class Bodies:
    """Reads bodies, up to a bound each and a bound on all that are held at once.

    What is larger is not read: it passes through, piece by piece.

    Parameters
    ----------
    settings : GatewaySettings
        ``max_read_mb`` and ``read_memory_mb``.

    Attributes
    ----------
    held : int
        Bytes of all that are held; who works on a body adds its weight meanwhile.
    """

    def __init__(self, settings: GatewaySettings) -> None:
        self._most: Final = int(settings.max_read_mb * 2**20)
        self._most_held: Final = int(settings.read_memory_mb * 2**20)
        self.held = 0

    async def read(self, http: web.BaseRequest) -> Body:
        """Read a body and the JSON object in it.

        Raises
        ------
        SlowBodyError, RequestPayloadError, ConnectionError
            Together `NOT_WHOLE`: it comes too slowly, is not what its headers say, or ends early.
        """
        content = http.content
        if content.is_eof():
            # it came with its headers, or there is none
            raw = content.read_nowait()
            if len(raw) > self._most:
                return Body(raw, None, Reason.TOO_LONG, _LARGE, whole=False)
        else:
            if (http.content_length or 0) > self._most:
                return Body(b"", None, Reason.TOO_LONG, _LARGE, whole=False)
            pieces = bytearray()
            try:
                while piece := await content.readany():
                    pieces += piece
                    self.held += len(piece)
                    if len(pieces) > self._most or (self.held > self._most_held and len(pieces) > _FEW):
                        return Body(bytes(pieces), None, Reason.TOO_LONG, _LARGE, whole=False)
            finally:
                self.held -= len(pieces)
            raw = bytes(pieces)
        coding = http.headers.get("Content-Encoding", "")
        if not coding:
            return _body(raw, raw, 2 * len(raw))
        most = min(self._most, _FEW + MOST_PACKED * len(raw))
        try:
            if len(raw) <= _MOST_AT_ONCE:
                text = decoded(raw, coding, most)
            else:
                text = await asyncio.to_thread(decoded, raw, coding, most)
        except EncodingError as wrong:
            return Body(raw, None, Reason.UNREADABLE, str(wrong), weight=len(raw))
        return _body(raw, text, len(raw) + 2 * len(text))


async def rest(body: Body, http: web.BaseRequest) -> AsyncIterator[bytes]:
    """A body that is not whole, from its beginning on, for the upstream."""
    if body.raw:
        yield body.raw
    async for piece in http.content.iter_any():
        yield piece


def json_object(raw: bytes) -> dict[str, Any] | None:
    """The object that a text of JSON holds; None where it is something else.

    Examples
    --------
    >>> json_object(b'{"n": 1}'), json_object(b"[1]"), json_object(b"{")
    ({'n': 1}, None, None)
    """
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _body(raw: bytes, text: bytes, weight: int) -> Body:
    if _holds_too_much(text):
        return Body(raw, None, Reason.TOO_LONG, _MANY, weight=weight)
    request = json_object(text)
    if request is not None:
        return Body(raw, request, weight=weight)
    if len(text) > MOST_LENIENT:
        return Body(raw, None, Reason.UNREADABLE, _NO_JSON, weight=weight)
    # half a surrogate pair, bytes that are no UTF-8: the upstream judges it, and what is read is published
    try:
        lenient = loads(text.decode("utf-8", "replace"))
    except RecordError:
        lenient = None
    return Body(raw, lenient if isinstance(lenient, dict) else None, Reason.UNREADABLE, weight=weight)


def _holds_too_much(raw: bytes) -> bool:
    # a value takes up to a hundred times its text: these marks bound how many there are
    return len(raw) > MOST_VALUES and len(raw.translate(None, _NO_MARKS)) > MOST_VALUES
