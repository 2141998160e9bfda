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
from typing import Final

from yarl import URL

from jitr.router.http.client_answer import Answer
from jitr.router.http.client_connection import ClientConnection, StaleError


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
        self._idle: Final[deque[ClientConnection]] = deque()
        self._open: Final[set[ClientConnection]] = set()
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
            except StaleError:
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

    def _kept(self) -> ClientConnection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
        return None

    def _drop_idle(self) -> None:
        while self._idle:
            self._idle.pop().abort()

    async def _connect(self) -> ClientConnection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_s):
                _, connection = await loop.create_connection(
                    lambda: ClientConnection(self, self._read_s), self._host, self._port, ssl=self._tls
                )
        except TimeoutError as error:
            raise TimeoutError(
                f"{self._host}:{self._port} does not accept in {self._connect_s:g} s"
            ) from error
        self._open.add(connection)
        return connection

    def keep(self, connection: ClientConnection) -> None:
        """Take back a connection whose answer was read to its end."""
        self._idle.append(connection)
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(self._idle_s, self._sweep)

    def forget(self, connection: ClientConnection) -> None:
        """A connection is closed."""
        self._open.discard(connection)

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        before = loop.time() - self._idle_s
        while self._idle and (self._idle[0].kept_at <= before or not self._idle[0].usable):
            self._idle.popleft().abort()
        self._sweeper = loop.call_later(self._idle_s, self._sweep) if self._idle else None
