"""Answers on their way: bytes as they come, and what has come whole is whole, whatever the caller does."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import brotli
import openai
import pytest

from jitr.router.gateway import chat
from jitr.router.protocols.openai_requests import read_upstream

Until = Callable[[Callable[[], Any]], Awaitable[None]]
CHUNKS = [
    b'data: {"model":"m-1","choices":[{"index":0,"delta":{"role":"assistant","content":"ship"}}]}\n\n',
    b'data: {"model":"m-1","choices":[{"index":0,"delta":{"content":"ping"},"finish_reason":"stop"}]}\n\n',
    b'data: {"model":"m-1","choices":[],"usage":{"prompt_tokens":60,"completion_tokens":2}}\n\n',
    b"data: [DONE]\n\n",
]
STREAM = b"".join(CHUNKS)
REQUEST = {"model": "m", "messages": [{"role": "user", "content": "hello"}], "stream": True}
ANSWER = json.dumps(
    {
        "model": "m-1",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "shipping"}, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 60, "completion_tokens": 2},
    }
).encode()


def head(*lines: bytes) -> bytes:
    return b"\r\n".join((b"HTTP/1.1 200 OK", *lines, b"", b""))


SSE = b"Content-Type: text/event-stream"
CHUNKED = b"Transfer-Encoding: chunked"
JSON = b"Content-Type: application/json"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def send(port: int, body: bytes, *lines: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    first = b"POST /v1/chat/completions HTTP/1.1", b"Host: [::1]", b"Content-Length: %d" % len(body)
    writer.write(b"\r\n".join((*first, *lines, b"", b"")) + body)
    return reader, writer


async def test_a_stream_that_came_whole_is_whole_though_the_caller_left_at_its_last_event(
    wire: Any, front: Any, until: Until
) -> None:
    ended = asyncio.Event()

    async def answer(writer: asyncio.StreamWriter, n: int) -> bool:
        writer.write(head(SSE, CHUNKED) + b"".join(map(chunk, CHUNKS)))
        await ended.wait()  # the upstream's own end comes later
        writer.write(b"0\r\n\r\n")
        return True

    upstream = await wire(answer)
    before = await front(upstream.url)
    for n in range(1, 21):
        reader, writer = await send(before.port, json.dumps(REQUEST).encode())
        await reader.readuntil(b"data: [DONE]\n\n")
        writer.transport.abort()
        await until(lambda n=n: len(before.kept.calls) == n)
    ended.set()
    assert [call.error for call in before.kept.calls] == [None] * 20
    assert {call.response.text for call in before.kept.calls} == {"shipping"}
    assert {call.usage.output_tokens for call in before.kept.calls} == {2}


async def test_the_stock_client_loses_no_stream_and_no_connection_to_the_upstream(
    wire: Any, front: Any, until: Until
) -> None:
    async def answer(writer: asyncio.StreamWriter, n: int) -> bool:
        writer.write(head(SSE, CHUNKED) + b"".join(map(chunk, CHUNKS)))
        await writer.drain()
        await asyncio.sleep(0.01)
        writer.write(b"0\r\n\r\n")
        return True

    upstream = await wire(answer)
    before = await front(upstream.url)
    async with openai.AsyncOpenAI(api_key="k", base_url=before.url, max_retries=0) as client:
        for _ in range(30):
            stream = await client.chat.completions.create(**REQUEST)  # type: ignore[call-overload]
            text = "".join([c.choices[0].delta.content or "" async for c in stream if c.choices])
            assert text == "shipping"
    await until(lambda: len(before.kept.calls) == 30)
    assert [call.error for call in before.kept.calls] == [None] * 30
    assert upstream.connections < 5


@pytest.mark.parametrize(
    "piece", [b'data: {"choices":[{"delta":{"content":"data: [DONE]"}}]}\n\n', CHUNKS[1]]
)
async def test_a_caller_that_leaves_in_the_middle_ends_the_call_at_the_upstream(
    piece: bytes, wire: Any, front: Any, until: Until
) -> None:
    async def answer(writer: asyncio.StreamWriter, n: int) -> None:
        writer.write(head(SSE, CHUNKED) + chunk(CHUNKS[0]) + chunk(piece))
        await asyncio.Event().wait()

    upstream = await wire(answer)
    before = await front(upstream.url)
    reader, writer = await send(before.port, json.dumps(REQUEST).encode())
    await reader.readuntil(piece)
    assert upstream.open == 1
    writer.close()
    await until(lambda: upstream.open == 0)
    [call] = before.kept.calls
    assert call.response is None and call.error == "the caller went away before the answer ended"


@pytest.mark.parametrize("begun", [False, True], ids=["silent", "headers only"])
@pytest.mark.parametrize("path", ["chat/completions", "responses"])
async def test_a_caller_that_leaves_while_the_upstream_is_silent_ends_the_call(
    begun: bool, path: str, wire: Any, front: Any, until: Until
) -> None:
    async def answer(writer: asyncio.StreamWriter, n: int) -> None:
        if begun:
            writer.write(head(JSON, b"Content-Length: 500"))
        await asyncio.Event().wait()

    upstream = await wire(answer)
    before = await front(upstream.url)
    body = json.dumps(REQUEST).encode()
    _, writer = await asyncio.open_connection("127.0.0.1", before.port)
    writer.write(
        b"POST /v1/%b HTTP/1.1\r\nHost: [::1]\r\nContent-Length: %d\r\n\r\n" % (path.encode(), len(body))
    )
    writer.write(body)
    await until(lambda: upstream.heads)
    writer.close()
    await until(lambda: upstream.open == 0)
    if path == "chat/completions":
        await until(lambda: before.kept.calls)
        assert before.kept.calls[0].error == "the caller went away before the answer ended"
    else:
        await until(lambda: before.counted("passed") == 1)


@pytest.mark.parametrize("kind", [b"text/plain", b"application/json", None])
@pytest.mark.parametrize("asked", [True, False])
async def test_bytes_come_as_they_are_sent_whatever_the_content_type_and_events_are_read_as_such(
    kind: bytes | None, asked: bool, wire: Any, front: Any, until: Until
) -> None:
    more = asyncio.Event()

    async def answer(writer: asyncio.StreamWriter, n: int) -> bool:
        writer.write(head(CHUNKED, *([b"Content-Type: " + kind] if kind else [])) + chunk(CHUNKS[0]))
        await more.wait()
        writer.write(b"".join(map(chunk, CHUNKS[1:])) + b"0\r\n\r\n")
        return True

    upstream = await wire(answer)
    before = await front(upstream.url)
    reader, writer = await send(before.port, json.dumps(REQUEST | {"stream": asked}).encode())
    await reader.readuntil(CHUNKS[0])  # the rest has not been sent yet
    more.set()
    await reader.readuntil(b"0\r\n\r\n")
    writer.close()
    await until(lambda: before.kept.calls)
    [call] = before.kept.calls
    assert call.error is None and call.response.text == "shipping" and call.usage.input_tokens == 60


CODED = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "identity": lambda body: body,
}


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("coding", CODED)
async def test_a_coded_answer_passes_as_it_is_and_is_decoded_for_the_event(
    coding: str, streamed: bool, wire: Any, front: Any, until: Until
) -> None:
    body = CODED[coding](STREAM if streamed else ANSWER)
    lines = head(SSE if streamed else JSON, b"Content-Encoding: " + coding.encode(), CHUNKED)

    async def answer(writer: asyncio.StreamWriter, n: int) -> bool:
        writer.write(lines + chunk(body) + b"0\r\n\r\n")
        return True

    upstream = await wire(answer)
    before = await front(upstream.url)
    request = json.dumps(REQUEST | {"stream": streamed}).encode()
    async with (
        aiohttp.ClientSession(auto_decompress=False) as session,
        session.post(
            f"{before.url}/chat/completions", data=request, headers={"Accept-Encoding": "x-own, gzip"}
        ) as got,
    ):
        assert await got.read() == body and got.headers["Content-Encoding"] == coding
    assert b"accept-encoding: x-own, gzip\r\n" in upstream.heads[0].lower()
    await until(lambda: before.kept.calls)
    assert before.kept.calls[0].response.text == "shipping" and before.kept.calls[0].error is None


async def test_a_coded_stream_that_came_whole_is_whole_though_the_caller_left(
    wire: Any, front: Any, until: Until
) -> None:
    pack = zlib.compressobj(wbits=31)
    body = pack.compress(STREAM) + pack.flush(zlib.Z_SYNC_FLUSH)  # gzip's own end is still to come

    async def answer(writer: asyncio.StreamWriter, n: int) -> None:
        writer.write(head(SSE, b"Content-Encoding: gzip", CHUNKED) + chunk(body))
        await asyncio.Event().wait()

    upstream = await wire(answer)
    before = await front(upstream.url)
    reader, writer = await send(before.port, json.dumps(REQUEST).encode())
    await reader.readuntil(body)
    writer.transport.abort()
    await until(lambda: before.kept.calls)
    assert before.kept.calls[0].error is None and before.kept.calls[0].response.text == "shipping"


async def test_an_answer_that_breaks_off_breaks_off_for_the_caller(
    wire: Any, front: Any, until: Until
) -> None:
    async def answer(writer: asyncio.StreamWriter, n: int) -> None:
        writer.write(head(JSON, b"Content-Length: 300000") + ANSWER)
        await writer.drain()

    upstream = await wire(answer)
    before = await front(upstream.url)
    reader, _ = await send(before.port, json.dumps(REQUEST | {"stream": False}).encode())
    got = await reader.read()
    assert got.endswith(ANSWER) and b"content-length: 300000" in got.lower()
    await until(lambda: before.kept.calls)
    assert before.kept.calls[0].response is None and "broke off" in before.kept.calls[0].error


@pytest.mark.parametrize("status", [201, 202, 299])
async def test_any_status_of_success_is_an_answer(status: int, wire: Any, front: Any, until: Until) -> None:
    async def answer(writer: asyncio.StreamWriter, n: int) -> bool:
        informed = b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
        length = b"Content-Length: %d" % len(ANSWER)
        writer.write(informed + head(JSON, length).replace(b"200 OK", b"%d Fine" % status) + ANSWER)
        return True

    upstream = await wire(answer)
    before = await front(upstream.url)
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{before.url}/chat/completions", json=REQUEST | {"stream": False}) as got,
    ):
        assert (got.status, got.reason) == (status, "Fine") and await got.read() == ANSWER
    await until(lambda: before.kept.calls)
    assert before.kept.calls[0].response.text == "shipping"


async def test_an_answer_of_any_size_takes_little_memory_and_is_not_lost_silently(
    wire: Any, front: Any, until: Until
) -> None:
    size = 40 * 2**20

    async def answer(writer: asyncio.StreamWriter, n: int) -> bool:
        writer.write(head(JSON, b"Content-Length: %d" % size))
        for _ in range(size // 2**20):
            writer.write(b" " * 2**20)
            await writer.drain()
        return True

    upstream = await wire(answer)
    before = await front(upstream.url)
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{before.url}/chat/completions", json=REQUEST | {"stream": False}) as got,
    ):
        assert sum([len(piece) async for piece in got.content.iter_any()]) == size
    await until(lambda: before.kept.calls)
    assert "more than 8388608 bytes" in before.kept.calls[0].error


@pytest.mark.parametrize(("chunks", "beside"), [(10, False), (5000, True)])
async def test_a_long_answer_is_read_beside_the_event_loop(
    chunks: int, beside: bool, world: Any, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []

    def read(*given: Any, **named: Any) -> Any:
        threads.append(threading.current_thread())
        return read_upstream(*given, **named)

    monkeypatch.setattr(chat, "read_upstream", read)
    piece = {"choices": [{"index": 0, "delta": {"content": "a "}, "finish_reason": None}]}
    event = b"data: " + json.dumps(piece).encode() + b"\n\n"
    world.teacher.pieces = [event * chunks, b"data: [DONE]\n\n"]
    async with aiohttp.ClientSession() as session:
        url = f"{world.gateway.base_url}/chat/completions"
        async with session.post(url, json=world.request(stream=True)) as answer:
            assert await answer.read() == b"".join(world.teacher.pieces)
    await until(lambda: world.kept.calls)
    assert world.kept.calls[0].response.text == "a " * chunks
    assert [thread is not threading.current_thread() for thread in threads] == [beside]


@pytest.mark.parametrize("path", ["chat/completions", "embeddings"])
@pytest.mark.parametrize("length", [True, False])
async def test_control_characters_in_the_head_of_an_answer_become_blanks(
    length: bool, path: str, wire: Any, front: Any, until: Until
) -> None:
    async def answer(writer: asyncio.StreamWriter, n: int) -> None:
        framed = b"Content-Length: %d" % len(ANSWER) if length else b"Connection: close"
        # in values the client of chat completions takes none
        odd = b"X-Odd: a" if path == "chat/completions" else b"X-Odd: a\x01b\x7f"
        lines = [b"HTTP/1.1 200 O\x01K", odd, b"X-Plain: a\tb", framed, b"", ANSWER]
        writer.write(b"\r\n".join(lines))

    before = await front((await wire(answer)).url)
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{before.url}/{path}", json={**REQUEST, "stream": False}) as got,
    ):
        assert got.status == 200 and await got.read() == ANSWER
        assert got.reason == "O K" and got.headers["X-Plain"] == "a\tb"
        assert got.headers["X-Odd"] == ("a" if path == "chat/completions" else "a b")
    if path == "chat/completions":
        await until(lambda: before.kept.calls)
        assert before.kept.calls[0].response.text == "shipping"
