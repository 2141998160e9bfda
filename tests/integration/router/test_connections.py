"""Callers that are slow, silent or too many cost the others nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

Until = Callable[[Callable[[], Any]], Awaitable[None]]
Peer = tuple[asyncio.StreamReader, asyncio.StreamWriter]
BODY = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hello"}]}).encode()
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: [::1]\r\nContent-Length: %d\r\n\r\n"
WHOLE = HEAD % len(BODY) + BODY
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
HALVES = (b"", WHOLE[:30], WHOLE[:-5])


async def answer_ok(writer: asyncio.StreamWriter, n: int) -> bool:
    writer.write(OK)
    return True


@asynccontextmanager
async def connected(
    port: int, *said: bytes, count: int = 1, local: str = "127.0.0.1"
) -> AsyncIterator[list[Peer]]:
    """Connections that have said something, in turn."""
    peers = []
    try:
        for n in range(count):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(local, 0))
            writer.write(said[n % len(said)] if said else b"")
            peers.append((reader, writer))
        yield peers
    finally:
        for _, writer in peers:
            writer.transport.abort()


async def ask(url: str) -> int:
    async with aiohttp.ClientSession() as session, session.post(f"{url}/chat/completions", data=BODY) as got:
        await got.read()
        return got.status


def ended(before: Any, reason: str) -> int:
    return int(before.gateway.connections.ended[reason])


async def test_1500_half_open_requests_cost_an_honest_caller_nothing(
    wire: Any, front: Any, until: Until
) -> None:
    before = await front((await wire(answer_ok)).url)
    async with connected(before.port, *HALVES, count=1500):
        await until(lambda: before.gateway.connections.open == 1500)
        assert [await ask(before.url) for _ in range(20)] == [200] * 20
        assert not before.gateway.connections.ended  # none had to make room


@pytest.mark.parametrize("half", HALVES, ids=["silent", "headers", "body"])
async def test_where_all_are_taken_those_that_only_wait_make_room(half: bytes, wire: Any, front: Any) -> None:
    before = await front((await wire(answer_ok)).url, max_connections=10)
    async with connected(before.port, half, count=30):
        assert [await ask(before.url) for _ in range(10)] == [200] * 10
        assert before.gateway.connections.open <= 10 and ended(before, "crowded") >= 21
        assert ended(before, "refused") == 0


async def test_idle_connections_make_room_and_answers_under_way_never(
    wire: Any, front: Any, until: Until
) -> None:
    go = asyncio.Event()

    async def answer(writer: asyncio.StreamWriter, n: int) -> bool:
        if n <= 3:
            await go.wait()
        writer.write(OK)
        return True

    before = await front((await wire(answer)).url, max_connections=4)
    async with connected(before.port, WHOLE, count=3) as held:
        await until(lambda: before.gateway.metrics.in_flight == 3)
        async with aiohttp.ClientSession() as kept, kept.post(f"{before.url}/completions", data=b"{}") as got:
            assert got.status == 200 and await got.read()  # its connection is kept, and asks nothing
            assert await ask(before.url) == 200
        go.set()
        for reader, _ in held:
            assert (await reader.readuntil(b"{}")).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("path", ["chat/completions", "messages", "models"])
async def test_where_all_are_being_answered_the_next_is_refused_in_the_paths_dialect(
    path: str, wire: Any, front: Any, until: Until
) -> None:
    go = asyncio.Event()

    async def answer(writer: asyncio.StreamWriter, n: int) -> bool:
        await go.wait()
        writer.write(OK)
        return True

    before = await front((await wire(answer)).url, max_connections=3)
    async with connected(before.port, WHOLE, count=3) as held:
        await until(lambda: before.gateway.metrics.in_flight == 3)
        async with aiohttp.ClientSession() as session, session.post(f"{before.url}/{path}", data=BODY) as got:
            assert (got.status, got.headers["Retry-After"]) == (503, "1") and got.headers["x-request-id"]
            error = (await got.json())["error"]
            assert error.get("type") == "overloaded_error" or error["code"] == "too_many_connections"
        go.set()
        for reader, _ in held:
            assert (await reader.readuntil(b"{}")).startswith(b"HTTP/1.1 200")
    await until(lambda: before.gateway.connections.open == 0)
    assert await ask(before.url) == 200


async def test_one_address_cannot_take_all(wire: Any, front: Any, until: Until) -> None:
    async def answer(writer: asyncio.StreamWriter, n: int) -> bool:
        if n > 4:
            writer.write(OK)
            return True
        await asyncio.Event().wait()
        return False

    before = await front((await wire(answer)).url, max_connections=8, max_connections_per_address=4)
    async with connected(before.port, WHOLE, count=4, local="127.0.0.2"):
        await until(lambda: before.gateway.metrics.in_flight == 4)
        async with connected(before.port, WHOLE, local="127.0.0.2") as [(reader, _)]:
            assert (await reader.readline()).startswith(b"HTTP/1.1 503")
        async with connected(before.port, *HALVES, count=6, local="127.0.0.3"):
            assert [await ask(before.url) for _ in range(5)] == [200] * 5


async def test_far_too_many_connections_are_cut(wire: Any, front: Any, until: Until) -> None:
    async def answer(writer: asyncio.StreamWriter, n: int) -> None:
        await asyncio.Event().wait()

    before = await front((await wire(answer)).url, max_connections=2)
    async with connected(before.port, WHOLE, count=2):
        await until(lambda: before.gateway.metrics.in_flight == 2)
        async with connected(before.port, b"", count=400) as peers:
            await until(
                lambda: sum(reader.at_eof() or reader.exception() is not None for reader, _ in peers) >= 300
            )
            assert before.gateway.connections.open <= 260


@pytest.mark.parametrize("said", [b"", WHOLE[:30], WHOLE[:60]])
async def test_headers_must_come_in_time(said: bytes, wire: Any, front: Any) -> None:
    before = await front((await wire(answer_ok)).url, header_timeout_s=0.5)
    async with connected(before.port, said) as [(reader, _)]:
        got = await asyncio.wait_for(reader.read(), 25)
        assert got.startswith(b"HTTP/1.1 408 ") if said else got == b""
    assert ended(before, "slow_headers") == 1


async def test_headers_that_come_in_time_and_the_next_requests_too_are_answered(
    wire: Any, front: Any
) -> None:
    before = await front((await wire(answer_ok)).url, header_timeout_s=5.0)
    async with connected(before.port, WHOLE[:30]) as [(reader, writer)]:
        await asyncio.sleep(0)
        writer.write(WHOLE[30:])
        for n in range(3):
            assert (await reader.readuntil(b"{}")).startswith(b"HTTP/1.1 200")
            if n < 2:
                writer.write(WHOLE)
    assert not before.gateway.connections.heads and not before.gateway.connections.ended


async def test_headers_of_a_later_request_must_come_in_time_too(wire: Any, front: Any) -> None:
    before = await front((await wire(answer_ok)).url, header_timeout_s=0.5)
    async with connected(before.port, WHOLE) as [(reader, writer)]:
        assert (await reader.readuntil(b"{}")).startswith(b"HTTP/1.1 200")
        writer.write(WHOLE[:40])
        assert (await asyncio.wait_for(reader.read(), 25)).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("path", [b"chat/completions", b"completions"])
async def test_a_body_must_keep_coming(path: bytes, wire: Any, front: Any, until: Until) -> None:
    upstream = await wire(answer_ok)
    before = await front(upstream.url, body_timeout_s=0.5)
    half = (HEAD % len(BODY)).replace(b"chat/completions", path) + BODY[:9]
    async with connected(before.port, half) as [(reader, _)]:
        got = await asyncio.wait_for(reader.read(), 25)
    assert got.startswith(b"HTTP/1.1 408 ") and b"gateway.body_timeout_s" in got
    assert upstream.bodies == [] and ended(before, "slow_body") == 1
    await until(lambda: upstream.open == 0)


async def test_a_body_that_keeps_coming_is_taken_however_long_it_lasts(wire: Any, front: Any) -> None:
    upstream = await wire(answer_ok)
    before = await front(upstream.url, body_timeout_s=0.4)
    pad = b" " * 5000
    async with connected(before.port, HEAD % (len(BODY) + 10 * len(pad))) as [(reader, writer)]:
        for _ in range(10):
            writer.write(pad)
            await asyncio.sleep(0.1)
        writer.write(BODY)
        assert (await reader.readuntil(b"{}")).startswith(b"HTTP/1.1 200")
    assert upstream.bodies == [10 * pad + BODY]


async def test_a_caller_that_does_not_read_is_let_go_with_its_upstream_call(
    wire: Any, front: Any, until: Until
) -> None:
    async def answer(writer: asyncio.StreamWriter, n: int) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        while True:
            writer.write(b": " + b"x" * 65_536 + b"\n\n")
            await writer.drain()

    upstream = await wire(answer)
    before = await front(upstream.url, send_timeout_s=0.5)
    async with connected(before.port, WHOLE) as [(reader, writer)]:
        await reader.readline()
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await until(lambda: ended(before, "slow_reader") == 1)
        await until(lambda: upstream.open == 0)
        await until(lambda: before.kept.calls)
    assert before.kept.calls[0].error == "the caller went away before the answer ended"


async def test_a_connection_that_asks_nothing_is_closed(wire: Any, front: Any) -> None:
    before = await front((await wire(answer_ok)).url, keepalive_s=0.3)
    async with connected(before.port, WHOLE) as [(reader, _)]:
        assert (await asyncio.wait_for(reader.read(), 25)).endswith(b"{}")


async def test_a_stop_ends_whatever_hangs_and_every_call_is_told(wire: Any, front: Any, until: Until) -> None:
    async def answer(writer: asyncio.StreamWriter, n: int) -> None:
        if n == 2:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: {}\n\n")
        await asyncio.Event().wait()

    upstream = await wire(answer)
    before = await front(upstream.url)
    async with connected(before.port, WHOLE, WHOLE, *HALVES, count=10):
        await until(lambda: len(upstream.heads) == 4)
        await asyncio.wait_for(before.gateway.stop(deadline_s=0.4), 60)
    assert {call.error for call in before.kept.calls} == {"the gateway stopped before the answer ended"}
    assert len(before.kept.calls) == 4
