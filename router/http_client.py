"""A lean HTTP/1.1 client for one server: the request path's way to the upstream.

A forwarder by aiohttp's client takes 246 us of processor time a request, the same by this one 88 (one core of
a busy machine). httptools, the parser that uvicorn uses, reads the answers. A request is sent twice at most:
again only where a kept connection was closed before a byte of the answer came. Bodies are passed as they
come, compressed or not. Proxies, redirects and other methods are aiohttp's business.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Iterable
from types import TracebackType
from typing import Final

import httptools
from yarl import URL

# read no more while so much of a body waits for a slow caller
_PAUSE_BYTES: Final = 256 * 1024


class BrokenAnswerError(OSError):
    """The upstream's answer ended early, or is no HTTP."""


class _StaleError(Exception):
    """A kept connection was closed before anything of the answer came."""


class Answer:
    """One answer: its head, and its body in pieces as they come.

    A context: leaving it before the end closes the connection, so that the server stops at once.

    Attributes
    ----------
    status : int
    headers : list of (bytes, bytes)
        As they came, in order.
    """

    __slots__ = ("_connection", "headers", "status")

    def __init__(self, connection: _Connection, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self._connection = connection
        self.status = status
        self.headers = headers

    def header(self, name: bytes) -> bytes | None:
        """The first value of a header, by its lower-case name.

        Examples
        --------
        >>> Answer(None, 200, [(b"Content-Type", b"text/plain")]).header(b"content-type")
        b'text/plain'
        """
        for known, value in self.headers:
            if len(known) == len(name) and known.lower() == name:
                return value
        return None

    async def part(self) -> bytes | None:
        """The next piece of the body; None at its end.

        Raises
        ------
        OSError, TimeoutError
            If the body does not come to its end.
        """
        return await self._connection.part()

    async def read(self) -> bytes:
        """All of the body that is still to come; see `part` for what it raises."""
        first = await self._connection.part()
        if first is None:
            return b""
        second = await self._connection.part()
        if second is None:
            return first
        parts = [first, second]
        while (part := await self._connection.part()) is not None:
            parts.append(part)
        return b"".join(parts)

    def close(self) -> None:
        """Let the connection go; a second time does nothing."""
        self._connection.leave()

    async def __aenter__(self) -> Answer:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


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
        self._host_line: Final = f"Host: {at if default else f'{at}:{self._port}'}\r\n".encode()

    async def post(self, target: bytes, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> Answer:
        """Send one request and wait for the head of its answer.

        Parameters
        ----------
        target : bytes
            Path and query, encoded.
        headers : iterable of (bytes, bytes)
            Without ``Host`` and ``Content-Length``.
        body : bytes

        Raises
        ------
        OSError, TimeoutError
            If the server cannot be reached, says nothing in time, or answers no HTTP.
        """
        head = [b"POST ", target, b" HTTP/1.1\r\n", self._host_line]
        for name, value in headers:
            head += (name, b": ", value, b"\r\n")
        head += (b"Content-Length: %d\r\n\r\n" % len(body), body)
        request = b"".join(head)
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
        self._error: BaseException | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._parts: deque[bytes] = deque()
        self._held = 0
        self._paused = False
        self._has_head = False
        self._whole = False
        self._until_eof = False
        self._keeps = False
        self._status = 0
        self._busy = False
        self._answered = False
        self._heard = False
        self._last = 0.0
        self.kept_at = 0.0

    @property
    def usable(self) -> bool:
        """Whether another request may be sent."""
        return self._transport is not None and not self._transport.is_closing() and not self._busy

    async def ask(self, request: bytes) -> Answer:
        """Send a request; the head of the answer."""
        assert self._transport is not None
        self._headers = []
        self._has_head = self._whole = self._heard = self._until_eof = False
        self._busy = True
        self._transport.write(request)
        self._watch()
        try:
            while not self._has_head:
                if self._error is not None:
                    if self._answered and not self._heard and not isinstance(self._error, TimeoutError):
                        raise _StaleError
                    raise self._error
                await self._wait()
        except BaseException:
            self.abort()
            raise
        return Answer(self, self._status, self._headers)

    async def part(self) -> bytes | None:
        """The next piece of the body, or None."""
        while not self._parts:
            if self._whole:
                self.leave()
                return None
            if self._error is not None:
                raise self._error
            try:
                await self._wait()
            except BaseException:
                self.abort()
                raise
        if len(self._parts) == 1:
            part = self._parts.popleft()
        else:
            part = b"".join(self._parts)
            self._parts.clear()
        self._held = 0
        if self._paused:
            self._paused = False
            self._last = self._loop.time()
            if self._transport is not None and not self._transport.is_closing():
                self._transport.resume_reading()
        return part

    def leave(self) -> None:
        """The answer is done with: keep the connection if it is clean, else close it."""
        if not self._busy:
            return
        self._busy = False
        self._answered = True
        self._unwatch()
        if self._transport is None or self._transport.is_closing():
            return
        if self._whole and self._keeps and not self._parts and self._error is None:
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
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if not self._busy:
            self.abort()  # nobody asked
            return
        self._heard = True
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
            if self._held > _PAUSE_BYTES and not self._paused and not self._whole:
                self._paused = True
                if self._transport is not None and not self._transport.is_closing():
                    self._transport.pause_reading()
            self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._client.forget(self)
        if self._busy and not self._whole:
            if self._until_eof and exc is None:
                self._whole = True
            else:
                said = f": {exc}" if exc else ""
                self._error = self._error or BrokenAnswerError(f"the upstream closed the connection{said}")
        self._unwatch()
        self._wake()

    def _fail(self, error: BaseException) -> None:
        self._error = self._error or error
        if self._transport is not None:
            self._transport.abort()
        self._wake()

    # what the parser calls

    def on_message_begin(self) -> None:
        if self._whole:
            # a second answer to one request
            self._fail(BrokenAnswerError("the upstream answered twice"))

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._has_head:  # else a trailer
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200 or self._whole:
            return
        self._status = status
        self._has_head = True
        self._keeps = self._parser.should_keep_alive()
        names = {name.lower() for name, _ in self._headers}
        framed = b"content-length" in names or b"transfer-encoding" in names or status in (204, 304)
        self._until_eof = not framed

    def on_body(self, body: bytes) -> None:
        if not self._whole:
            self._parts.append(body)
            self._held += len(body)

    def on_message_complete(self) -> None:
        if self._has_head:
            self._whole = True
        else:
            self._headers = []  # 1xx: the answer is still to come

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
        # one timer for a whole answer: it looks how long ago the last bytes came
        self._timer = None
        if self._paused:
            left = self._read_s
        else:
            left = self._last + self._read_s - self._loop.time()
        if left > 0.0:
            self._timer = self._loop.call_later(left, self._late)
        else:
            self._fail(TimeoutError(f"the upstream said nothing for {self._read_s:g} s"))
