"""An LLM that answers, refuses, breaks off, drips or talks nonsense, as each request says.

    python -m faults.upstream PORT

A simulation. A request carries ``#way#number`` in its text; the answer depends on these two alone, so that
whoever asked knows what an answer that came straight from here would have been.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

WAYS = {
    "plain": 30,
    "stream": 20,
    "drip": 3,
    "slow": 3,
    "large": 2,
    "reset": 2,
    "break": 2,
    "cut": 2,
    "garbage": 2,
    "empty": 1,
    "not_found": 1,
    "refused": 2,
    "limited": 3,
    "error": 3,
    "down": 2,
}
STREAMS = ("stream", "drip", "break")
_MARK = re.compile(rb"#([a-z_]+)#(\d+)")
_ERRORS = {"not_found": 404, "refused": 401, "limited": 429, "error": 500, "down": 503}


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent: a status and the pieces of a body; ``whole`` is False where it breaks off after them."""

    status: int
    pieces: Sequence[bytes]
    kind: str = "application/json"
    whole: bool = True
    pause_s: float = 0.0

    @property
    def body(self) -> bytes:
        """All pieces together."""
        return b"".join(self.pieces)


def answer(way: str, number: int) -> Answer:
    """What a request gets."""
    if way in _ERRORS:
        error = {"message": f"refused {number}", "type": way, "param": None, "code": way}
        return Answer(_ERRORS[way], [json.dumps({"error": error}).encode()])
    if way == "garbage":
        return Answer(200, [b"\xff\x00 no json %d \xfe" % number], "text/html")
    if way == "empty":
        return Answer(200, [])
    if way == "reset":
        return Answer(0, [], whole=False)
    if way in STREAMS:
        pieces = [f"data: {json.dumps(chunk)}\n\n".encode() for chunk in _chunks(number)] + [
            b"data: [DONE]\n\n"
        ]
        if way == "break":
            return Answer(200, pieces[:2], "text/event-stream", whole=False)
        if way == "drip":
            whole = b"".join(pieces)
            pieces = [whole[at : at + 40] for at in range(0, len(whole), 40)]
        return Answer(200, pieces, "text/event-stream", pause_s=0.02 if way == "drip" else 0.0)
    body = json.dumps(_completion(number, "x" * 300_000 if way == "large" else f"Answer {number}.")).encode()
    if way == "cut":
        return Answer(200, [body[:100]], whole=False)
    return Answer(200, [body], pause_s=0.5 if way == "slow" else 0.0)


def _completion(number: int, text: str) -> dict[str, object]:
    message = {"role": "assistant", "content": text}
    usage = {"prompt_tokens": 20, "completion_tokens": 3, "total_tokens": 23}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    head = {"id": f"chatcmpl-{number}", "object": "chat.completion", "created": 1, "model": "big-llm"}
    return {**head, "choices": [choice], "usage": usage}


def _chunks(number: int) -> list[dict[str, object]]:
    head = {"id": f"chatcmpl-{number}", "object": "chat.completion.chunk", "created": 1, "model": "big-llm"}
    deltas = [
        ({"role": "assistant", "content": ""}, None),
        ({"content": f"Answer {number}."}, None),
        ({}, "stop"),
    ]
    return [{**head, "choices": [{"index": 0, "delta": d, "finish_reason": f}]} for d, f in deltas]


async def serve(http: web.Request) -> web.StreamResponse:
    """Answer one request."""
    mark = _MARK.search(await http.read())
    if mark is None:
        return web.json_response({"error": {"message": "no mark"}}, status=400)
    said = answer(mark[1].decode(), int(mark[2]))
    assert http.transport is not None
    if said.status == 0:
        http.transport.abort()
        return web.Response()
    if said.whole and not said.pause_s and said.kind != "text/event-stream":
        return web.Response(status=said.status, body=said.body, content_type=said.kind)
    out = web.StreamResponse(status=said.status, headers={"Content-Type": said.kind})
    if not said.whole and said.kind == "application/json":
        out.content_length = 100_000
    await out.prepare(http)
    for piece in said.pieces:
        await out.write(piece)
        await asyncio.sleep(said.pause_s)
    if not said.whole:
        http.transport.abort()
        return out
    await out.write_eof()
    return out


def main() -> None:
    """Serve until killed."""
    app = web.Application(client_max_size=64 * 2**20)
    app.router.add_route("*", "/{path:.*}", serve)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)


if __name__ == "__main__":
    main()
