"""Passing an upstream's body on to the caller, byte for byte, as it comes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
from aiohttp import web

from jitr.router.upstream import FAILURES, said


@dataclass(frozen=True, slots=True)
class Relayed:
    """What became of a body.

    Attributes
    ----------
    out : StreamResponse
        To be returned by the handler.
    kept : bytes
        A copy of the beginning, as long as was asked for.
    waited_s : float
        Time spent waiting for the upstream.
    error : str or None
        Why the body is not whole.
    """

    out: web.StreamResponse
    kept: bytes
    waited_s: float
    error: str | None


async def relay(
    http: web.Request, answer: aiohttp.ClientResponse, headers: Mapping[str, str], *, keep: int = 0
) -> Relayed:
    """Pass a body on; neither the caller's nor the upstream's end raises.

    Where the upstream breaks off, so does the caller's connection: an orderly end would say that this
    was all. Where the caller goes away, the upstream is let go when the handler leaves its context.

    Parameters
    ----------
    http : Request
        The caller's.
    answer : ClientResponse
        The upstream's, unread.
    headers : mapping
        For the caller.
    keep : int
        Bytes to keep a copy of.
    """
    out = web.StreamResponse(status=answer.status, headers=headers)
    kept = bytearray()
    waited_s = 0.0
    parts = answer.content.iter_any()
    gone = "the caller went away before the answer ended"
    try:
        await out.prepare(http)
    except ConnectionResetError:
        return Relayed(out, b"", waited_s, gone)
    while True:
        asked = time.perf_counter()
        try:
            part = await anext(parts, None)
        except FAILURES as failure:
            if http.transport:
                http.transport.abort()
            return Relayed(out, bytes(kept), waited_s, f"the upstream broke off: {said(failure)}")
        finally:
            waited_s += time.perf_counter() - asked
        try:
            if part is None:
                await out.write_eof()
                return Relayed(out, bytes(kept), waited_s, None)
            if len(kept) < keep:
                kept += part[: keep - len(kept)]
            await out.write(part)
        except ConnectionResetError:
            return Relayed(out, bytes(kept), waited_s, gone)
