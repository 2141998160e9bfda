"""The LLM behind the gateway: what is passed to it, and what of its answers is passed on."""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, Protocol

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from jitr.router.http.addresses import basic_credentials, proxy_for, without_credentials
from jitr.router.http.http_client import HTTPClient
from jitr.schemas.sections import GatewaySettings
from jitr.schemas.urls import safe_text

# RFC 9110, 7.6.1: they concern one connection; and what either end computes for its own
_HOP: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "content-length",
    }
)
_NOT_SENT: Final = _HOP | {"host", "expect"}
VIA: Final = "x-jitr-via"
MOST_HOPS: Final = 8
LONGEST_LINE: Final = 64 * 1024
_END_S: Final = 1.0
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
FAILURES: Final = (aiohttp.ClientError, OSError, TimeoutError)


class Content(Protocol):
    """The body of an answer: the part of aiohttp's `StreamReader` that is used here."""

    def at_eof(self) -> bool: ...
    def exception(self) -> BaseException | type[BaseException] | None: ...
    def read_nowait(self) -> bytes: ...
    async def readany(self) -> bytes: ...
    async def read(self) -> bytes: ...


class UpstreamAnswer(Protocol):
    """An answer of the LLM, by either client. `Upstream.let_go` must follow."""

    @property
    def status(self) -> int: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def content_type(self) -> str: ...
    @property
    def content(self) -> Content: ...
    def release(self) -> object: ...
    def close(self) -> None: ...


class _DroppedError(aiohttp.ClientError):
    """The connection ended before an answer; `unused` where it was a kept one that yielded nothing."""

    def __init__(self, error: Exception, *, unused: bool) -> None:
        super().__init__(str(error) or type(error).__name__)
        self.unused: Final = unused


class _Answer(aiohttp.ClientResponse):
    """Says of a connection that ends early whether it was a kept one.

    Not as one of the errors upon which aiohttp asks again by itself, on new connections too.
    """

    async def start(self, connection: Any) -> aiohttp.ClientResponse:
        protocol = connection.protocol
        kept = getattr(protocol, "answered_before", False)
        try:
            answer = await super().start(connection)
        except aiohttp.ServerTimeoutError:
            raise
        except aiohttp.ClientConnectionError as error:
            begun = isinstance(error, aiohttp.ServerDisconnectedError) and not isinstance(error.message, str)
            raise _DroppedError(error, unused=kept and not begun) from error
        protocol.answered_before = True
        return answer


class Upstream:
    """The way to the LLM, with connections kept open.

    Requests whose body is at hand go by `HTTPClient`, all others, and those by a proxy, by aiohttp's client.
    ``HTTPS_PROXY``, ``HTTP_PROXY`` and ``NO_PROXY`` are kept, as they stand at the start.

    Parameters
    ----------
    settings : GatewaySettings
        ``upstream`` is the base URL, ``/v1`` included.
    """

    def __init__(self, settings: GatewaySettings) -> None:
        self._base: Final = without_credentials(settings.upstream).rstrip("/")
        self._credentials: Final = basic_credentials(URL(settings.upstream))
        self._timeout_s: Final = settings.upstream_timeout_s
        self._timeout: Final = aiohttp.ClientTimeout(
            total=None,
            sock_connect=min(30.0, settings.upstream_timeout_s),
            sock_read=settings.upstream_timeout_s,
        )
        self._proxy, self._proxy_headers = proxy_for(URL(self._base))
        self._path: Final = URL(self._base).raw_path.rstrip("/")
        self._client: HTTPClient | None = None
        self._session: aiohttp.ClientSession | None = None
        self._ending: Final[set[asyncio.Task[None]]] = set()
        self._urls: Final[dict[str, URL]] = {}
        self.name: Final = secrets.token_hex(8)

    async def start(self) -> None:
        """Open the clients."""
        if self._proxy is None:
            connect_s, read_s = min(30.0, self._timeout_s), self._timeout_s
            self._client = HTTPClient(self._base, connect_s=connect_s, read_s=read_s)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30.0),
            timeout=self._timeout,
            cookie_jar=aiohttp.DummyCookieJar(),  # cookies are the callers', not ours
            auto_decompress=False,  # answers pass as they come
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
            response_class=_Answer,
            proxy=self._proxy,
            max_line_size=LONGEST_LINE,
            max_field_size=LONGEST_LINE,
        )

    async def stop(self) -> None:
        """Close them with all their connections."""
        if self._client:
            await self._client.close()
            self._client = None
        if self._session:
            for task in self._ending:
                task.cancel()
            await asyncio.gather(*self._ending, return_exceptions=True)
            await self._session.close()
            self._session = None

    def loops(self, headers: Mapping[str, str]) -> bool:
        """Whether a request has been here before, or at more gateways than anybody puts in a row."""
        via = headers.get(VIA)
        return via is not None and (self.name in via or via.count(",") >= MOST_HOPS - 1)

    async def ask(
        self,
        method: str,
        path: str,
        query: str,
        headers: CIMultiDict[str],
        body: bytes | AsyncIterator[bytes] | None,
    ) -> UpstreamAnswer:
        """Send a request, once.

        A second time only where a connection that was kept open ends just as it is used again, before a
        byte of an answer, and the body is at hand.

        Parameters
        ----------
        method : str
        path : str
            Below the base URL, encoded as the caller wrote it.
        query : str
            Encoded, without the question mark.
        headers : mapping
            Of `sent_headers`.
        body : bytes or iterator of bytes or None
            An iterator's pieces each have ``upstream_timeout_s`` to be taken.

        Raises
        ------
        aiohttp.ClientError, OSError, TimeoutError
            Together `FAILURES`.
        """
        if self._client is not None and method == "POST" and isinstance(body, bytes):
            target = f"{self._path}/{path}?{query}" if query else f"{self._path}/{path}"
            return await self._client.post(target, headers, body)
        url = self._url(path, query)
        async with asyncio.timeout(self._timeout_s) as limit:
            if body is not None and not isinstance(body, bytes):
                return await self._send(method, url, headers, _watched(body, limit, self._timeout_s))
            try:
                return await self._send(method, url, headers, body)
            except _DroppedError as dropped:
                if not dropped.unused:
                    raise
            return await self._send(method, url, headers, body)

    async def _send(
        self, method: str, url: URL, headers: CIMultiDict[str], body: bytes | AsyncIterator[bytes] | None
    ) -> aiohttp.ClientResponse:
        assert self._session is not None, "start() comes first"
        return await self._session.request(
            method,
            url,
            headers=headers,
            data=body,
            allow_redirects=False,
            proxy_headers=self._proxy_headers,
        )

    def let_go(self, answer: UpstreamAnswer, *, complete: bool) -> None:
        """Be done with an answer.

        Parameters
        ----------
        answer : UpstreamAnswer
        complete : bool
            Whether all of it has come but for the end of its body. That is waited for a moment, so that
            the connection can be used again; otherwise it is closed, which ends the call.
        """
        if answer.content.at_eof():
            answer.release()
        elif complete and self._session is not None:
            task = asyncio.create_task(_read_end(answer))
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
        else:
            answer.close()

    def _url(self, path: str, query: str) -> URL:
        if query:
            return URL(f"{self._base}/{path}?{query}", encoded=True)
        url = self._urls.get(path)
        if url is None:
            url = URL(f"{self._base}/{path}", encoded=True)
            if len(self._urls) < 100:
                self._urls[path] = url
        return url

    def sent_headers(self, headers: Mapping[str, str]) -> CIMultiDict[str]:
        """The caller's headers as the LLM gets them; ours and those of the connection stay here.

        But for one of ours, which tells a loop.
        """
        kept = _end_to_end(headers, _NOT_SENT)
        via = headers.get(VIA)
        if self._credentials is not None and "Authorization" not in kept:
            kept["Authorization"] = self._credentials
        kept[VIA] = f"{via}, {self.name}" if via else self.name
        return kept


async def _read_end(answer: UpstreamAnswer) -> None:
    try:
        async with asyncio.timeout(_END_S):
            while await answer.content.readany():
                pass
    except FAILURES:
        pass
    finally:
        answer.close()


async def _watched(
    body: AsyncIterator[bytes], limit: asyncio.Timeout, timeout_s: float
) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    async for piece in body:
        with contextlib.suppress(RuntimeError):  # the answer has begun before the body ended
            limit.reschedule(loop.time() + timeout_s)
        yield piece


def passed_headers(headers: Mapping[str, str]) -> CIMultiDict[str]:
    """The LLM's headers as the caller gets them: request ids, rate limits and retry hints included.

    What a second gateway behind us says of its own decision is not ours to say. Control characters, which no
    header may hold and no answer can be sent with, become blanks.
    """
    kept = _end_to_end(headers, _HOP)
    if _CONTROL.search("".join(kept.values())):
        return CIMultiDict([(name, _CONTROL.sub(" ", value)) for name, value in kept.items()])
    return kept


def passed_reason(answer: UpstreamAnswer) -> str:
    """The words beside the LLM's status, as the caller gets them."""
    return _CONTROL.sub(" ", answer.reason or "")


def _end_to_end(headers: Mapping[str, str], not_these: frozenset[str]) -> CIMultiDict[str]:
    if "Connection" in headers:
        named = ",".join([value for name, value in headers.items() if name.lower() == "connection"])
        not_these = not_these.union([name.strip() for name in named.lower().split(",")])
    kept = [
        (name, value)
        for name, value in headers.items()
        if (low := name.lower()) not in not_these and not low.startswith("x-jitr-")
    ]
    return CIMultiDict(kept)


def said(failure: BaseException) -> str:
    """A failure in words; some have none of their own."""
    return safe_text(str(failure)) or type(failure).__name__
