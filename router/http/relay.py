"""Passing an upstream's body on to the caller, byte for byte, as it comes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import Final

from aiohttp import web
from multidict import CIMultiDict

from jitr.router.http.connections import Connection
from jitr.router.http.encoding import EncodingError, decoded
from jitr.router.http.refusals import SERVER
from jitr.router.http.upstream import FAILURES, UpstreamAnswer, passed_reason, said

GONE: Final = "the caller went away before the answer ended"
STOPPED: Final = "the gateway stopped before the answer ended"
SSE: Final = "text/event-stream"
_DONE: Final = (b"data: [DONE]", b"data:[DONE]")
_TAIL: Final = 512
# an answer of known length up to this is passed on in one piece
_ONE_PIECE: Final = 64 * 1024
LARGEST_DECODED: Final = 32 * 2**20


class Relay:
    """One body on its way, and what is known of it, also while it is under way.

    Parameters
    ----------
    keep : int
        Bytes to keep a copy of.

    Attributes
    ----------
    kept : bytearray
        A copy of the beginning.
    complete : bool
        Whether the body is whole: the upstream's end was seen, or the event that says so.
    waited_s : float
        Time spent waiting for the upstream.
    error : str or None
        Why the body is not whole.
    """

    def __init__(self, keep: int = 0) -> None:
        self._keep: Final = keep
        self.kept: Final = bytearray()
        self.waited_s = 0.0
        self.error: str | None = None
        self.complete = False
        self._ended = False
        self._coding = ""
        self._cut = False

    async def read(self, answer: UpstreamAnswer) -> None:
        """Take in a body that nobody waits for."""
        self._coding = answer.headers.get("Content-Encoding", "")
        while piece := await answer.content.readany():
            self._take(piece)
        self._ended = self.complete = True

    def body(self) -> bytes:
        """The body, decoded.

        Raises
        ------
        EncodingError
            If it cannot be, or was longer than is kept.
        """
        if self._cut:
            raise EncodingError(f"more than {self._keep} bytes")
        return decoded(bytes(self.kept), self._coding, LARGEST_DECODED, whole=self._ended)

    async def run(
        self, http: web.BaseRequest, answer: UpstreamAnswer, headers: CIMultiDict[str]
    ) -> web.StreamResponse:
        """Pass a body on; return what the handler is to return.

        Where the upstream breaks off, so does the caller's connection: an orderly end would say that this
        was all. Where the caller goes away, what has come so far is kept, and the upstream is let go.

        Parameters
        ----------
        http : BaseRequest
            The caller's.
        answer : UpstreamAnswer
            The upstream's, unread.
        headers : mapping
            For the caller.

        Raises
        ------
        aiohttp.ClientError, OSError, TimeoutError
            If the upstream breaks off before anything was passed on.
        asyncio.CancelledError
            If the caller goes away, or the gateway stops.
        """
        content = answer.content
        length = answer.headers.get("Content-Length")
        headers.setdefault("Server", SERVER)
        self._coding = answer.headers.get("Content-Encoding", "")
        if http.method == "HEAD":
            if length is not None:
                headers["Content-Length"] = length
            self._ended = self.complete = True
            return web.StreamResponse(status=answer.status, reason=passed_reason(answer), headers=headers)
        try:
            small = length is not None and length.isdecimal() and int(length) <= _ONE_PIECE
            piece = await self._timed(content.read() if small else content.readany())
            if content.at_eof():
                self._take(piece)
                self._ended = self.complete = True
                return web.Response(
                    status=answer.status, reason=passed_reason(answer), headers=headers, body=piece or None
                )
            if length is not None:
                headers["Content-Length"] = length
            return await self._stream(http, answer, headers, piece)
        except asyncio.CancelledError:
            self._left(http, answer)
            raise

    async def _stream(
        self,
        http: web.BaseRequest,
        answer: UpstreamAnswer,
        headers: CIMultiDict[str],
        piece: bytes,
    ) -> web.StreamResponse:
        out = web.StreamResponse(status=answer.status, reason=passed_reason(answer), headers=headers)
        content = answer.content
        self._take(piece)
        try:
            await out.prepare(http)
            while piece:
                await out.write(piece)
                try:
                    piece = await self._timed(content.readany())
                except FAILURES as failure:
                    self.error = f"the upstream broke off: {said(failure)}"
                    if http.transport:
                        http.transport.abort()
                    return out
                self._take(piece)
            self._ended = self.complete = True
            await out.write_eof()
        except ConnectionError:
            self._left(http, answer)
        return out

    async def _timed(self, reading: Awaitable[bytes]) -> bytes:
        asked = time.perf_counter()
        try:
            return await reading
        finally:
            self.waited_s += time.perf_counter() - asked

    def _take(self, piece: bytes) -> None:
        room = self._keep - len(self.kept)
        if len(piece) > room:
            self._cut = True
            piece = piece[:room]
        self.kept.extend(piece)

    def _left(self, http: web.BaseRequest, answer: UpstreamAnswer) -> None:
        if answer.content.exception() is None:
            self._take(answer.content.read_nowait())  # what had come, but was not yet read
        self._ended = self._ended or answer.content.at_eof()
        self.complete = self._ended or self._says_done()
        if not self.complete:
            self.error = why_left(http)

    def _says_done(self) -> bool:
        try:
            return any(line.rstrip() in _DONE for line in self.body()[-_TAIL:].splitlines())
        except EncodingError:
            return False


def why_left(http: web.BaseRequest) -> str:
    """Why a handler was cancelled, in words: the gateway stops, or else the caller is gone."""
    connection = http.protocol
    return STOPPED if isinstance(connection, Connection) and connection.watch.stopping else GONE
