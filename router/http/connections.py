"""Connections of callers: how many, how long they may take to ask, and who makes room when all are taken."""

from __future__ import annotations

import asyncio
import resource
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web

from jitr.router.http.bodies import SlowBodyError
from jitr.router.http.refusals import JSON, error_body, refusal, request_id
from jitr.schemas.sections import GatewaySettings

SWEEP_S: Final = 0.5
SLOWEST: Final = 500  # bytes of a body a second
# connections beyond the bound that are told so; any more are cut
TOLD: Final = 256
LONGEST_LINE: Final = 64 * 1024
OTHER_FILES: Final = 128

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Connection(web.RequestHandler):
    """One caller's connection; `Connections` watches it."""

    __slots__ = ("address", "reached", "received", "refused", "watch")

    def __init__(self, watch: Connections, **options: Any) -> None:
        super().__init__(watch, **options)
        self.watch: Final = watch
        self.address = ""
        self.reached = ""
        self.received = 0
        self.refused = False

    @property
    def waits(self) -> bool:
        """Whether nothing is asked here at the moment."""
        return self._waiter is not None and not self._waiter.done()

    def data_received(self, data: bytes) -> None:
        """Note whether a request is under way that has not come to its end."""
        super().data_received(data)
        self.received += len(data)
        if self._messages:
            unfinished = not self._messages[-1][1].is_eof()
        elif self._current_request is not None:
            unfinished = not self._current_request.content.is_eof()
        else:
            if data and self.waits:
                self.watch.heads.setdefault(self, self._loop.time())
            return
        self.watch.heads.pop(self, None)
        if not unfinished:
            self.watch.bodies.pop(self, None)
        elif self not in self.watch.bodies:
            self.watch.bodies[self] = (self._loop.time(), self.received)

    def pause_writing(self) -> None:
        """The caller reads more slowly than it is written to."""
        super().pause_writing()
        self.watch.unread[self] = self._loop.time()

    def resume_writing(self) -> None:
        """The caller reads again."""
        super().resume_writing()
        self.watch.unread.pop(self, None)

    def end_head(self) -> None:
        """Give up waiting for a request's head."""
        if not self.waits:
            return
        if self.transport is not None and self.received:
            said = "The request's headers did not come in time."
            body = error_body("", 408, said, "request_timeout")
            head = f"HTTP/1.1 408 Request Timeout\r\nContent-Type: {JSON}\r\nContent-Length: {len(body)}"
            self.transport.write(f"{head}\r\nConnection: close\r\n\r\n".encode() + body)
        self.force_close()

    def end_body(self) -> None:
        """Give up waiting for a request's body; its handler is told."""
        if self._current_request is None:
            self.force_close()
        elif not self._current_request.content.is_eof():
            self._lingering_time = 0.0
            slow = SlowBodyError("the request's body did not come in time")
            self._current_request.content.set_exception(slow)

    def cut(self) -> None:
        """End it, whatever is under way."""
        if self.transport is not None:
            self.transport.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no HTTP, or what failed here, in the dialect of the path."""
        if status >= 500:
            self.log_exception("answering %s %s failed", request.method, request.path, exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("a part of the answer has been sent")
        said = "The gateway failed; its log says more." if status >= 500 else f"This is no HTTP: {message}"
        code = "internal_error" if status >= 500 else "bad_request"
        return refusal(request.path, status, said, code, id=request_id(request), close=True)


class Connections(web.Server):
    """A server that no caller can take from the others.

    A request's head must come within ``header_timeout_s``; its body must keep coming, and the caller must
    keep reading. When as many are connected as may be, of one address or of all, the one that has waited
    longest for the end of its request makes room, then one that asks nothing; where all are being answered,
    the new one is refused with status 503. An answer under way is never cut off for another's sake.

    Parameters
    ----------
    handler : callable
        Answers requests.
    settings : GatewaySettings
        Its bounds and times.
    """

    def __init__(self, handler: Handler, settings: GatewaySettings) -> None:
        super().__init__(handler, handler_cancellation=True)
        self._settings: Final = settings
        self._options: Final[dict[str, Any]] = {
            "loop": asyncio.get_running_loop(),
            "access_log": None,
            "auto_decompress": False,  # bodies pass through as they came
            "keepalive_timeout": settings.keepalive_s,
            "lingering_time": 5.0,
            "max_line_size": LONGEST_LINE,
            "max_field_size": LONGEST_LINE,
        }
        self._most: Final = most_connections(settings.max_connections)
        self._by_address: Final[Counter[str]] = Counter()
        self._sweeper: asyncio.TimerHandle | None = None
        self.heads: Final[dict[Connection, float]] = {}
        self.bodies: Final[dict[Connection, tuple[float, int]]] = {}
        self.unread: Final[dict[Connection, float]] = {}
        self.ended: Final[Counter[str]] = Counter()
        self.patience_s = settings.stop_timeout_s / 4
        self.stopping = False

    @property
    def open(self) -> int:
        """Connections at the moment."""
        return len(self._connections)

    @property
    def most(self) -> int:
        """Connections at once, at most: as set, or fewer where the system allows fewer open files."""
        return self._most

    def __call__(self) -> Connection:
        """Make a connection; the event loop calls it."""
        if self._sweeper is None:
            self._sweep()
        return Connection(self, **self._options)

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Take a connection, and make room for it where there is none."""
        super().connection_made(handler, transport)
        assert isinstance(handler, Connection)
        peer = transport.get_extra_info("peername")
        handler.address = peer[0] if isinstance(peer, tuple) else ""
        ours = transport.get_extra_info("sockname")
        handler.reached = ours[0] if isinstance(ours, tuple) else ""
        self._by_address[handler.address] += 1
        self.heads[handler] = asyncio.get_running_loop().time()
        crowded = self._by_address[handler.address] > self._settings.max_connections_per_address
        if crowded or len(self._connections) > self._most:
            self._make_room(handler, handler.address if crowded else None)

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        """Forget a connection."""
        super().connection_lost(handler, exc)
        assert isinstance(handler, Connection)
        self._by_address[handler.address] -= 1
        if not self._by_address[handler.address]:
            del self._by_address[handler.address]
        self.heads.pop(handler, None)
        self.bodies.pop(handler, None)
        self.unread.pop(handler, None)

    async def shutdown(self, timeout: float | None = None) -> None:
        """End all connections; those that are being answered have twice `patience_s`, at most."""
        self.stopping = True
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        # once for the answers to end, and once for what they do when told to
        await super().shutdown(self.patience_s)

    def _make_room(self, new: Connection, address: str | None) -> None:
        for waiting in (self.heads, self.bodies, self._connections):
            for one in waiting:
                assert isinstance(one, Connection)
                if one is new or (address is not None and one.address != address):
                    continue
                if waiting is self._connections and not one.waits:
                    continue
                self.heads.pop(one, None)
                self.bodies.pop(one, None)
                self.ended["crowded"] += 1
                one.force_close()
                return
        self.ended["refused"] += 1
        new.refused = True
        if len(self._connections) > self._most + TOLD:
            new.cut()

    def _sweep(self) -> None:
        now = asyncio.get_running_loop().time()
        self._sweeper = asyncio.get_running_loop().call_later(SWEEP_S, self._sweep)
        late = now - self._settings.header_timeout_s
        for one, since in list(self.heads.items()):
            if since > late:
                break  # the oldest stand first
            del self.heads[one]
            self.ended["slow_headers"] += 1
            one.end_head()
        window = self._settings.body_timeout_s
        for one, (since, mark) in list(self.bodies.items()):
            if now - since < window:
                continue
            # where we take no more, it is not the caller who is slow
            if one.received - mark >= SLOWEST * window or one._reading_paused:
                self.bodies[one] = (now, one.received)
                continue
            del self.bodies[one]
            self.ended["slow_body"] += 1
            one.end_body()
        for one, since in list(self.unread.items()):
            if now - since >= self._settings.send_timeout_s:
                del self.unread[one]
                self.ended["slow_reader"] += 1
                one.cut()


def most_connections(wanted: int) -> int:
    """How many callers may be connected: each takes an open file, and another for its upstream.

    Examples
    --------
    >>> most_connections(10)
    10
    """
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if files == resource.RLIM_INFINITY:
        return wanted
    return max(1, min(wanted, (files - OTHER_FILES) // 2))


def allow_open_files() -> None:
    """Raise this process's bound on open files as far as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
