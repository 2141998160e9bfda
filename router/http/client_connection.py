"""One connection to the upstream: a request, its answer, and then the next."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol, cast

import httptools

from jitr.router.http.client_answer import Answer

# read no more while so much of a body waits for a slow caller
_PAUSE_BYTES: Final = 256 * 1024
_LONGEST_HEAD: Final = 512 * 1024


class BrokenAnswerError(OSError):
    """The upstream's answer ended early, or is no HTTP."""


class StaleError(Exception):
    """A kept connection was closed before anything of the answer came."""


class Pool(Protocol):
    """Who keeps connections; `HTTPClient` does."""

    def keep(self, connection: ClientConnection) -> None:
        """Take back a connection whose answer was read to its end."""

    def forget(self, connection: ClientConnection) -> None:
        """A connection is closed."""


class ClientConnection(asyncio.Protocol):
    """One connection: a request, its answer, and then the next."""

    def __init__(self, pool: Pool, read_s: float) -> None:
        self._pool = pool
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
                        raise StaleError
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
            self._pool.keep(self)
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
        self._pool.forget(self)
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
