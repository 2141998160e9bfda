"""The least that a gateway in Python can be: an aiohttp server that forwards by an aiohttp client.

    python -m request_path.bare PORT UPSTREAM

It reads no JSON, publishes nothing and passes headers and bytes on: the baseline of what jitr adds.
"""

from __future__ import annotations

import sys

import aiohttp
from aiohttp import web

_OWN = frozenset({"host", "content-length", "transfer-encoding", "connection", "accept-encoding"})


def main(port: int, upstream: str) -> None:
    """Serve until killed; the first line says where."""
    session: list[aiohttp.ClientSession] = []

    async def forward(request: web.Request) -> web.StreamResponse:
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _OWN}
        url = upstream + request.rel_url.raw_path.removeprefix("/v1")
        async with session[0].post(url, data=await request.read(), headers=headers) as answer:
            passed = {k: v for k, v in answer.headers.items() if k.lower() not in _OWN}
            if answer.content_type != "text/event-stream":
                return web.Response(status=answer.status, body=await answer.read(), headers=passed)
            out = web.StreamResponse(status=answer.status, headers=passed)
            await out.prepare(request)
            async for part in answer.content.iter_any():
                await out.write(part)
            await out.write_eof()
            return out

    async def opened(app: web.Application) -> None:
        session.append(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))

    async def closed(app: web.Application) -> None:
        await session[0].close()

    app = web.Application(client_max_size=2**26)
    app.on_startup.append(opened)
    app.on_cleanup.append(closed)
    app.router.add_post("/v1/{path:.*}", forward)
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None, backlog=2048)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
