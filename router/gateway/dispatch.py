"""Where a request goes: to chat completions, through to the LLM, to a page of our own, or nowhere."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final
from urllib.parse import unquote

from aiohttp import HttpVersion11, web

from jitr.router.callers.border import Border, shared
from jitr.router.gateway import chat
from jitr.router.gateway.chat import Chat
from jitr.router.gateway.passing import Passing
from jitr.router.http.connections import Connection
from jitr.router.http.paths import PREFIX, below_v1
from jitr.router.http.refusals import REQUEST_ID, SERVER, refusal, request_id
from jitr.router.http.upstream import Upstream
from jitr.router.metrics import GatewayMetrics

Page = Callable[[web.BaseRequest], Awaitable[web.Response]]


class Dispatch:
    """Answers any request.

    Parameters
    ----------
    chat : Chat
    passing : Passing
        For every other path below ``/v1``.
    upstream : Upstream
        Knows a request that has been here before.
    metrics : GatewayMetrics
    border : Border
        Says who is let in.
    pages : mapping of path to callable
        Pages of our own.
    """

    def __init__(
        self,
        chat: Chat,
        passing: Passing,
        upstream: Upstream,
        metrics: GatewayMetrics,
        border: Border,
        pages: Mapping[str, Page],
    ) -> None:
        self._chat: Final = chat
        self._passing: Final = passing
        self._upstream: Final = upstream
        self._metrics: Final = metrics
        self._border: Final = border
        self._pages: Final = pages

    async def handle(self, http: web.BaseRequest) -> web.StreamResponse:
        """Answer any request."""
        answer = self._border.meet(http)
        if answer is not None:
            answer.headers.setdefault(REQUEST_ID, request_id(http))
            return answer
        out = await self._handle(http)
        if "Origin" in http.headers and not out.prepared:
            out.headers.update(shared(http))
        return out

    async def _handle(self, http: web.BaseRequest) -> web.StreamResponse:
        path = http.rel_url.raw_path
        connection = http.protocol
        if isinstance(connection, Connection) and connection.refused:
            message = "Too many connections; try again, and keep connections open for more than one request."
            return self._refuse(http, 503, message, "too_many_connections", retry=True)
        if not path.startswith(PREFIX):
            return await self._own(http, path)
        below = below_v1(path)
        if below is None or not http.rel_url.raw_query_string.isprintable():
            message = "The path may lead out of /v1, or has characters that must be percent-encoded."
            return self._refuse(http, 400, message, "bad_path")
        if self._upstream.loops(http.headers):
            message = "The request has been here before: gateway.upstream leads back to this gateway."
            return self._refuse(http, 508, message, "loop")
        if "Upgrade" in http.headers and "websocket" in http.headers["Upgrade"].lower():
            message = "WebSockets do not pass through the gateway; connect to the LLM's own address for them."
            return self._refuse(http, 501, message, "no_websocket")
        if http.method in ("CONNECT", "TRACE"):
            return self._refuse(http, 405, f"{http.method} does not pass through.", "bad_method")
        refused = self._border.admit(http)
        if refused is not None:
            return refused
        if "Expect" in http.headers and not await self._expected(http):
            return self._refuse(http, 417, "Only 100-continue may be expected.", "bad_expectation")
        self._metrics.in_flight += 1
        try:
            if http.method == "POST" and (below == chat.PATH or unquote(below) == chat.PATH):
                return await self._chat.handle(http)
            return await self._passing.handle(http, below)
        finally:
            self._metrics.in_flight -= 1

    async def _own(self, http: web.BaseRequest, path: str) -> web.StreamResponse:
        page = self._pages.get(path)
        if page is None:
            message = f"There is nothing at {path[:200]!a}; the LLM's API is below /v1."
            return self._refuse(http, 404, message, "not_found")
        if http.method not in ("GET", "HEAD"):
            return self._refuse(http, 405, f"{path} is read with GET.", "bad_method")
        answer = await page(http)
        answer.headers[REQUEST_ID] = request_id(http)
        answer.headers["Server"] = SERVER
        return answer

    async def _expected(self, http: web.BaseRequest) -> bool:
        if http.version < HttpVersion11:
            return True  # it may be ignored
        if http.headers["Expect"].lower() != "100-continue":
            return False
        if not http.content.is_eof():
            await http.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            http.writer.output_size = 0  # it is no part of the answer
        return True

    def _refuse(
        self, http: web.BaseRequest, status: int, message: str, code: str, *, retry: bool = False
    ) -> web.Response:
        headers = {"Retry-After": "1"} if retry else None
        id = request_id(http)
        return refusal(http.path, status, message, code, id=id, headers=headers, close=True)
