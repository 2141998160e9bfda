"""The upstream's address: without what is secret, by which proxy, and whether it is our own."""

from __future__ import annotations

import asyncio
import socket
import urllib.request

import aiohttp
from yarl import URL


async def leads_to(upstream: str, host: str, port: int) -> bool:
    """Whether a URL is an address that this host listens on.

    Parameters
    ----------
    upstream : str
    host : str
        What is listened on: a name or an address, perhaps one that means all.
    port : int
    """
    url = URL(upstream)
    if url.port != port or not url.host:
        return False
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(5.0):
            theirs = {found[4][0] for found in await loop.getaddrinfo(url.host, port)}
            ours = {found[4][0] for found in await loop.getaddrinfo(host, port)}
            if ours & {"0.0.0.0", "::"}:  # noqa: S104
                ours |= {"127.0.0.1", "::1"}
                ours |= {found[4][0] for found in await loop.getaddrinfo(socket.gethostname(), port)}
    except (OSError, TimeoutError):
        return False  # what cannot be resolved now is told by the marker later
    return bool(theirs & ours)


def without_credentials(url: str) -> str:
    """A URL as it is asked: what is in it for `basic_credentials` goes into a header.

    Examples
    --------
    >>> without_credentials("https://me:secret@llm.example/v1")
    'https://llm.example/v1'
    """
    return str(URL(url).with_user(None))


def basic_credentials(url: URL) -> str | None:
    """The credentials in a URL as a header's value, if there are any."""
    return aiohttp.encode_basic_auth(url.user, url.password or "") if url.user else None


def proxy_for(url: URL) -> tuple[URL | None, dict[str, str] | None]:
    """The proxy that the environment names for a URL, and its headers, as aiohttp takes them."""
    if not url.host or urllib.request.proxy_bypass(f"{url.host}:{url.port}"):
        return None, None
    found = urllib.request.getproxies_environment().get(url.scheme)
    if not found:
        return None, None
    proxy = URL(found if "://" in found else f"http://{found}")
    credentials = basic_credentials(proxy)
    return proxy.with_user(None), {"Authorization": credentials} if credentials else None
