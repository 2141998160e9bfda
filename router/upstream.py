"""The LLM behind the gateway: what is passed to it, and what of its answers is passed on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from jitr.schemas.settings import GatewaySettings

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
_NOT_SENT: Final = _HOP | {"host", "accept-encoding", "expect"}
_NOT_PASSED_ON: Final = _HOP | {"content-encoding"}
FAILURES: Final = (aiohttp.ClientError, OSError, TimeoutError)


class Upstream:
    """One HTTP client to the LLM, with its connections kept open.

    Parameters
    ----------
    settings : GatewaySettings
        ``upstream`` is the base URL, ``/v1`` included.
    """

    def __init__(self, settings: GatewaySettings) -> None:
        self._base: Final = settings.upstream.rstrip("/")
        self._timeout: Final = aiohttp.ClientTimeout(
            total=None,
            sock_connect=min(30.0, settings.upstream_timeout_s),
            sock_read=settings.upstream_timeout_s,
        )
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the client."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30.0),
            timeout=self._timeout,
            cookie_jar=aiohttp.DummyCookieJar(),  # cookies are the callers', not ours
        )

    async def stop(self) -> None:
        """Close it with all its connections."""
        if self._session:
            await self._session.close()
            self._session = None

    async def ask(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: Any
    ) -> aiohttp.ClientResponse:
        """Send a request; the response is a context that lets the connection go.

        Parameters
        ----------
        method : str
        path : str
            Below the base URL, encoded as the caller wrote it.
        query : str
            Encoded, without the question mark.
        headers : mapping
            Of `sent_headers`.
        body : bytes or stream or None

        Raises
        ------
        aiohttp.ClientError, OSError, TimeoutError
            Together `FAILURES`.
        """
        assert self._session is not None, "start() comes first"
        url = URL(f"{self._base}/{path}" + (f"?{query}" if query else ""), encoded=True)
        try:
            return await self._session.request(method, url, headers=headers, data=body, allow_redirects=False)
        except aiohttp.ServerDisconnectedError:
            # the server closed a kept connection just as it was used again
            if not isinstance(body, bytes):
                raise
            return await self._session.request(method, url, headers=headers, data=body, allow_redirects=False)


def sent_headers(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    """The caller's headers as the LLM gets them; ours and those of the connection stay here."""
    kept: CIMultiDict[str] = CIMultiDict()
    for name, value in headers.items():
        low = name.lower()
        if low not in _NOT_SENT and not low.startswith("x-jitr-"):
            kept.add(name, value)
    # compressed answers would have to be unpacked for the event, and packed again
    kept["Accept-Encoding"] = "identity"
    return kept


def passed_headers(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    """The LLM's headers as the caller gets them: request ids, rate limits and retry hints included.

    What a second gateway behind us says of its own decision is not ours to say.
    """
    kept: CIMultiDict[str] = CIMultiDict()
    for name, value in headers.items():
        low = name.lower()
        if low not in _NOT_PASSED_ON and not low.startswith("x-jitr-"):
            kept.add(name, value)
    return kept


def said(failure: BaseException) -> str:
    """A failure in words; some have none of their own."""
    return str(failure) or type(failure).__name__
