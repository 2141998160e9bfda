"""An LLM that answers at once: fixed bytes by the shortest way, so that what is measured is in front of it.

    python -m request_path.upstream PORT

A simulation: ``POST`` of any path gets a chat completion of two words, as server-sent events where the body
says ``"stream":true``; anything else gets ``{}``.
"""

from __future__ import annotations

import asyncio
import json
import sys

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\n%s\r\n\r\n"
_ID = {"id": "chatcmpl-1", "created": 1, "model": "gpt-4.1-simulated", "system_fingerprint": "simulation"}


def _plain() -> bytes:
    message = {"role": "assistant", "content": "customer service", "refusal": None}
    usage = {"prompt_tokens": 90, "completion_tokens": 2, "total_tokens": 92}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    body = json.dumps({**_ID, "object": "chat.completion", "choices": [choice], "usage": usage}).encode()
    return _HEAD % (b"application/json", b"Content-Length: %d" % len(body)) + body


def _stream() -> bytes:
    deltas = [({"role": "assistant", "content": ""}, None), ({"content": "customer"}, None)]
    deltas += [({"content": " service"}, None), ({}, "stop")]
    parts = []
    for delta, finish in deltas:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        chunk = {**_ID, "object": "chat.completion.chunk", "choices": [choice]}
        parts.append(f"data: {json.dumps(chunk)}\n\n".encode())
    parts.append(b"data: [DONE]\n\n")
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    return _HEAD % (b"text/event-stream", b"Transfer-Encoding: chunked") + chunks + b"0\r\n\r\n"


PLAIN, STREAM, EMPTY = _plain(), _stream(), _HEAD % (b"application/json", b"Content-Length: 2") + b"{}"


class Upstream(asyncio.Protocol):
    """One connection; requests with a content length or in chunks, one after another."""

    def __init__(self) -> None:
        self._held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is whole."""
        self._held += data
        while (end := self._held.find(b"\r\n\r\n")) >= 0:
            head, rest = self._held[:end].lower(), self._held[end + 4 :]
            if (at := head.find(b"content-length:")) >= 0:
                size = int(head[at + 15 :].partition(b"\r\n")[0])
                if len(rest) < size:
                    return
                body, self._held = rest[:size], rest[size:]
            elif b"transfer-encoding: chunked" in head:
                if (last := rest.find(b"0\r\n\r\n")) < 0:
                    return
                body, self._held = rest[:last], rest[last + 5 :]
            else:
                body, self._held = b"", rest
            if not head.startswith(b"post"):
                self._transport.write(EMPTY)
            else:
                streamed = b'"stream":true' in body or b'"stream": true' in body
                self._transport.write(STREAM if streamed else PLAIN)


async def main(port: int) -> None:
    """Serve until killed; the first line says where."""
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port, backlog=2048)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
