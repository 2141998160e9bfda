"""A lean HTTP/1.1 client for one server: the request path's way to the upstream.

aiohttp's client takes most of a forwarder's processor time, this one little: `benchmarks/gateway.py` has a
bare forwarder by aiohttp beside the gateway. httptools, the parser that uvicorn uses, reads the answers.
A request is sent twice at most: again only where a kept connection was closed before a byte of the answer
came. Bodies are passed as they come, compressed or not. Proxies, redirects and other methods are aiohttp's
business.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Mapping
from typing import Final, cast

import httptools
from multidict import CIMultiDict
from yarl import URL

# read no more while so much of a body waits for a slow caller
_PAUSE_BYTES: Final = 256 * 1024
_LONGEST_HEAD: Final = 512 * 1024


class BrokenAnswerError(OSError):
    """The upstream's answer ended early, or is no HTTP."""


class _StaleError(Exception):
    """A kept connection was closed before anything of the answer came."""


class Content:
    """The body of an answer, in pieces as they come; the part of aiohttp's reader that is used here."""

    __slots__ = ("_connection",)

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection

    def at_eof(self) -> bool:
        """Whether all of it was taken."""
        return self._connection.whole and not self._connection.parts

    def exception(self) -> BaseException | None:
        """Why it does not come to its end, if so."""
        return None if self._connection.whole else self._connection.error

    def read_nowait(self) -> bytes:
        """What has come and was not taken yet."""
        return self._connection.take()

    async def readany(self) -> bytes:
        """The next piece; empty at the end.

        Raises
        ------
        OSError, TimeoutError
            If it does not come to its end.
        """
        return await self._connection.piece()

    async def read(self) -> bytes:
        """All that is still to come; see `readany` for what it raises."""
        first = await self._connection.piece()
        if self.at_eof():
            return first
        pieces = [first]
        while piece := await self._connection.piece():
            pieces.append(piece)
        return b"".join(pieces)


class Answer:
    """One answer: its head, and its body as it comes. `release` or `close` must follow.

    Attributes
    ----------
    status : int
    reason : str
    headers : CIMultiDict of str
        As they came, in order.
    content : Content
    """

    __slots__ = ("_connection", "content", "headers", "reason", "status")

    def __init__(
        self, connection: _Connection, status: int, reason: str, headers: list[tuple[bytes, bytes]]
    ) -> None:
        self._connection = connection
        self.status = status
        self.reason = reason
        self.headers: CIMultiDict[str] = CIMultiDict(
            [(n.decode("utf-8", "surrogateescape"), v.decode("utf-8", "surrogateescape")) for n, v in headers]
        )
        self.content = Content(connection)

    @property
    def content_type(self) -> str:
        """The media type, in lower case and without parameters; empty where there is none."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    def release(self) -> None:
        """Be done with it. The connection is kept if all was taken, else closed, so that the server stops."""
        self._connection.leave()

    close = release


class HTTPClient:
    """Posts to one server over connections that are kept open.

    Parameters
    ----------
    base : str
        Scheme, host and port are taken from it.
    connect_s, read_s : float
        Seconds until connected, and until the next bytes of an answer.
    idle_s : float
        Seconds after which an unused connection is closed.
    tls : ssl.SSLContext, optional
        For ``https``; by default the system's certificates.
    """

    def __init__(
        self,
        base: str,
        *,
        connect_s: float = 30.0,
        read_s: float = 600.0,
        idle_s: float = 15.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        url = URL(base)
        self._host: Final = url.host or ""
        self._port: Final = url.port or 0
        self._tls: Final = (tls or ssl.create_default_context()) if url.scheme == "https" else None
        self._connect_s: Final = connect_s
        self._read_s: Final = read_s
        self._idle_s: Final = idle_s
        self._idle: Final[deque[_Connection]] = deque()
        self._open: Final[set[_Connection]] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        at = f"[{self._host}]" if ":" in self._host else self._host
        default = url.is_default_port() or url.explicit_port is None
        self._host_line: Final = f"Host: {at if default else f'{at}:{self._port}'}\r\n"

    async def post(self, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send one request and wait for the head of its answer.

        Parameters
        ----------
        target : str
            Path and query, encoded.
        headers : mapping
            Without ``Host`` and ``Content-Length``; they may repeat a name. Their parser has seen to it that
            no line break is in them.
        body : bytes

        Raises
        ------
        OSError, TimeoutError
            If the server cannot be reached, says nothing in time, or answers no HTTP.
        """
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        head = f"POST {target} HTTP/1.1\r\n{self._host_line}{lines}Content-Length: {len(body)}\r\n\r\n"
        request = head.encode("utf-8", "surrogateescape") + body
        while (kept := self._kept()) is not None:
            try:
                return await kept.ask(request)
            except _StaleError:
                # closed by the server just as it was used again: others kept as long may be closed, too
                self._drop_idle()
        fresh = await self._connect()
        return await fresh.ask(request)

    async def close(self) -> None:
        """Close every connection."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        for connection in tuple(self._open):
            connection.abort()
        self._idle.clear()

    def _kept(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
        return None

    def _drop_idle(self) -> None:
        while self._idle:
            self._idle.pop().abort()

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_s):
                _, connection = await loop.create_connection(
                    lambda: _Connection(self, self._read_s), self._host, self._port, ssl=self._tls
                )
        except TimeoutError as error:
            raise TimeoutError(
                f"{self._host}:{self._port} does not accept in {self._connect_s:g} s"
            ) from error
        self._open.add(connection)
        return connection

    def keep(self, connection: _Connection) -> None:
        """Take back a connection whose answer was read to its end."""
        self._idle.append(connection)
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(self._idle_s, self._sweep)

    def forget(self, connection: _Connection) -> None:
        """A connection is closed."""
        self._open.discard(connection)

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        before = loop.time() - self._idle_s
        while self._idle and (self._idle[0].kept_at <= before or not self._idle[0].usable):
            self._idle.popleft().abort()
        self._sweeper = loop.call_later(self._idle_s, self._sweep) if self._idle else None


class _Connection(asyncio.Protocol):
    """One connection: a request, its answer, and then the next."""

    def __init__(self, client: HTTPClient, read_s: float) -> None:
        self._client = client
        self._read_s = read_s
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._status = 0
        self._reason = b""
        self._has_head = False
        self._until_eof = False
        self._keeps = False
        self._busy = False
        self._answered = False
        self._heard = 0
        self._held = 0
        self._paused = False
        self._last = 0.0
        self.error: BaseException | None = None
        self.parts: list[bytes] = []
        self.whole = False
        self.kept_at = 0.0

    @property
    def usable(self) -> bool:
        """Whether another request may be sent."""
        return self._transport is not None and not self._transport.is_closing() and not self._busy

    async def ask(self, request: bytes) -> Answer:
        """Send a request; the head of the answer."""
        if self._transport is None:
            raise self.error or BrokenAnswerError("the upstream closed the connection")
        self._headers = []
        self._reason = b""
        self._has_head = self.whole = self._until_eof = False
        self._heard = 0
        self._busy = True
        self._transport.write(request)
        self._watch()
        try:
            while not self._has_head:
                if self.error is not None:
                    if self._answered and not self._heard and not isinstance(self.error, TimeoutError):
                        raise _StaleError
                    raise self.error
                await self._wait()
        except BaseException:
            self.abort()
            raise
        return Answer(self, self._status, self._reason.decode("latin-1"), self._headers)

    async def piece(self) -> bytes:
        """The next piece of the body; empty at its end."""
        while not self.parts:
            if self.whole:
                return b""
            if self.error is not None:
                raise self.error
            try:
                await self._wait()
            except BaseException:
                self.abort()
                raise
        return self.take()

    def take(self) -> bytes:
        """All that has come of the body."""
        parts = self.parts
        if not parts:
            return b""
        taken = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        self._held = 0
        if self._paused:
            self._paused = False
            self._last = self._loop.time()
            if self._transport is not None and not self._transport.is_closing():
                self._transport.resume_reading()
        return taken

    def leave(self) -> None:
        """The answer is done with: keep the connection if it is clean, else close it."""
        if not self._busy:
            return
        self._busy = False
        self._answered = True
        if self._transport is None or self._transport.is_closing():
            return
        if self.whole and self._keeps and not self.parts and self.error is None:
            self.kept_at = self._loop.time()
            self._client.keep(self)
        else:
            self.abort()

    def abort(self) -> None:
        """Close it at once."""
        self._busy = False
        self._unwatch()
        if self._transport is not None:
            self._transport.abort()

    async def _wait(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # what the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are none by name

    def data_received(self, data: bytes) -> None:
        if not self._busy:
            self.abort()  # nobody asked
            return
        self._heard += len(data)
        self._last = self._loop.time()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail(BrokenAnswerError("the upstream switched protocols unasked"))
        except httptools.HttpParserError as error:
            self._fail(
                BrokenAnswerError(f"the upstream's answer is no HTTP: {error or type(error).__name__}")
            )
        else:
            if not self._has_head and self._heard > _LONGEST_HEAD:
                self._fail(BrokenAnswerError(f"the head of the answer has more than {_LONGEST_HEAD} bytes"))
            elif self._held > _PAUSE_BYTES and not self._paused and not self.whole:
                self._paused = True
                if self._transport is not None and not self._transport.is_closing():
                    self._transport.pause_reading()
            self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._client.forget(self)
        if self._busy and not self.whole:
            if self._until_eof and exc is None:
                self.whole = True
            elif self.error is None:
                said = f": {exc}" if exc else ""
                self.error = BrokenAnswerError(f"the upstream closed the connection{said}")
        self._unwatch()
        self._wake()

    def _fail(self, error: BaseException) -> None:
        self.error = self.error or error
        if self._transport is not None:
            self._transport.abort()
        self._wake()

    # what the parser calls

    def on_message_begin(self) -> None:
        if self.whole:
            self._fail(BrokenAnswerError("the upstream answered twice"))

    def on_status(self, reason: bytes) -> None:
        if not self._has_head:
            self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._has_head:  # else a trailer
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200 or self._has_head:
            return
        self._status = status
        self._has_head = True
        self._keeps = self._parser.should_keep_alive()
        names = {name.lower() for name, _ in self._headers}
        framed = b"content-length" in names or b"transfer-encoding" in names or status in (204, 304)
        self._until_eof = not framed

    def on_body(self, body: bytes) -> None:
        if not self.whole:
            self.parts.append(body)
            self._held += len(body)

    def on_message_complete(self) -> None:
        if self._has_head:
            self.whole = True
        else:  # 1xx: the answer is still to come
            self._headers = []
            self._reason = b""

    # time

    def _watch(self) -> None:
        self._last = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_later(self._read_s, self._late)

    def _unwatch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        # one timer for many answers: it looks how long ago the last bytes came
        self._timer = None
        if not self._busy:
            return
        left = self._read_s
        if not self._paused:
            left += self._last - self._loop.time()
        if left > 0.0:
            self._timer = self._loop.call_later(left, self._late)
        else:
            self._fail(TimeoutError(f"the upstream said nothing for {self._read_s:g} s"))
