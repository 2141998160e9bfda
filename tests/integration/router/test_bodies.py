"""Bodies of requests: read within bounds, and passed through untouched beyond them."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from jitr.router.http.bodies import MOST_LENIENT, MOST_PACKED, MOST_VALUES

Until = Callable[[Callable[[], Any]], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
MB = 2**20
LARGE = 8 * MB


async def answer_ok(writer: asyncio.StreamWriter, n: int) -> bool:
    writer.write(OK)
    return True


def request(text: str = "hello", **fields: Any) -> bytes:
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": text}], **fields}).encode()


def padded(size: int) -> bytes:
    """A request of so many bytes."""
    body = request()
    return body + b" " * (size - len(body))


async def pieces(body: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(body), 100_000):
        yield body[at : at + 100_000]


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("over", [0, 1], ids=["at the bound", "above it"])
async def test_a_body_is_read_up_to_the_bound_and_passes_untouched_beyond_it(
    over: int, chunked: bool, wire: Any, front: Any, until: Until
) -> None:
    upstream = await wire(answer_ok)
    before = await front(upstream.url, max_read_mb=1.0)
    body = padded(MB + over)
    data: Any = pieces(body) if chunked else body
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{before.url}/chat/completions", data=data, headers={"x-jitr-debug": "1"}) as got,
    ):
        assert got.status == 200 and await got.read() == b"{}"
        assert (got.headers["x-jitr-reason"] == "too_long") is bool(over)
    assert upstream.bodies == [body]
    await until(lambda: before.kept.calls)
    [call] = before.kept.calls
    assert before.counted("too_long") == over and (call.decision.reason == "too_long") is bool(over)
    assert bool(call.messages) is not bool(over)
    head = upstream.heads[0].lower()
    # the length is known where the caller gave it, and where all was read
    assert (b"content-length: %d" % len(body) in head) is not (chunked and bool(over))


async def test_a_large_image_is_read_and_arrives_untouched(wire: Any, front: Any, until: Until) -> None:
    upstream = await wire(answer_ok)
    before = await front(upstream.url)
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * (20 * MB)}}
    content: Any = [{"type": "text", "text": "What is this?"}, image]
    body = request(content)
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{before.url}/chat/completions", data=body) as got,
    ):
        assert got.status == 200
    assert [sha256(one).digest() for one in upstream.bodies] == [sha256(body).digest()]
    await until(lambda: before.kept.calls)
    assert "What is this?" in before.kept.calls[0].messages[0].content
    assert len(before.kept.calls[0].messages[0].content) < 1000


COUNTLESS = {
    "lists": b'{"a":[' + b"[]," * (8 * MB) + b"1]}",
    "deep": b'{"a":' + b"[" * (8 * MB),
    "numbers": b'{"a":[' + b"1," * (8 * MB) + b"1]}",
}


@pytest.mark.parametrize("kind", COUNTLESS)
async def test_a_text_of_countless_values_is_not_decoded(kind: str, wire: Any, front: Any) -> None:
    body = COUNTLESS[kind]
    upstream = await wire(answer_ok)
    before = await front(upstream.url)
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{before.url}/chat/completions", data=body) as got,
    ):
        assert got.status == 200
    assert upstream.bodies == [body] and before.counted("too_long") == 1


@pytest.mark.parametrize("over", [0, 1], ids=["at the bound", "above it"])
async def test_so_many_values_are_decoded_and_no_more(over: int, wire: Any, front: Any, until: Until) -> None:
    before = await front((await wire(answer_ok)).url)
    marks = MOST_VALUES - request(pad=[]).count(b",") - 4  # four brackets are opened
    body = request(pad=[]).replace(b"[]", b"[1" + b",1" * (marks + over) + b"]")
    assert sum(body.count(mark) for mark in (b",", b"[", b"{")) == MOST_VALUES + over
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{before.url}/chat/completions", data=body) as got,
    ):
        assert got.status == 200
    await until(lambda: before.kept.calls)
    [call] = before.kept.calls
    assert before.counted("too_long") == over and (call.decision.reason == "too_long") is bool(over)
    assert bool(call.messages) is not bool(over)


async def reason(before: Any, until: Until, body: bytes, **headers: str) -> str:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{before.url}/chat/completions", data=body, headers=headers) as got,
    ):
        assert got.status == 200
    await until(lambda: before.kept.calls)
    call = before.kept.calls.pop()
    assert bool(call.messages) is ("not read" not in (call.error or ""))
    return call.decision.reason if call.messages else "not read"


@pytest.mark.parametrize(("size", "said"), [(MOST_LENIENT, "unreadable"), (MOST_LENIENT + 1, "not read")])
async def test_what_is_no_strict_json_is_read_up_to_a_bound(
    size: int, said: str, wire: Any, front: Any, until: Until
) -> None:
    upstream = await wire(answer_ok)
    body = request("\ud800")
    body += b" " * (size - len(body))
    assert await reason(await front(upstream.url), until, body) == said
    assert upstream.bodies == [body]


@pytest.mark.parametrize(("over", "read"), [(0.8, True), (1.4, False)])
async def test_what_is_packed_in_a_trap_is_not_unpacked(
    over: float, read: bool, wire: Any, front: Any, until: Until
) -> None:
    upstream = await wire(answer_ok)
    # noise that packs badly, and blanks that pack well
    noise = "".join(sha256(bytes([n])).hexdigest() for n in range(100))
    plain = request(noise)
    size = int(over * (MOST_PACKED * len(gzip.compress(plain)) + 64 * 1024))
    body = gzip.compress(plain + b" " * (size - len(plain)))
    found = size / (MOST_PACKED * len(body) + 64 * 1024)
    assert (found > 1) is (over > 1)
    said = await reason(await front(upstream.url), until, body, **{"Content-Encoding": "gzip"})
    assert (said != "not read") is read
    assert upstream.bodies == [body]


async def test_bodies_in_memory_are_bounded_together(wire: Any, front: Any, until: Until) -> None:
    go = asyncio.Event()

    async def answer(writer: asyncio.StreamWriter, n: int) -> bool:
        await go.wait()
        writer.write(OK)
        return True

    upstream = await wire(answer)
    before = await front(upstream.url, read_memory_mb=4.0)
    body, small = padded(MB), request()

    async def send(session: aiohttp.ClientSession, body: bytes) -> int:
        async with session.post(f"{before.url}/chat/completions", data=body) as got:
            return got.status

    async with aiohttp.ClientSession() as session:
        sending = []
        for n in range(1, 7):  # one after another, none answered yet
            sending.append(asyncio.create_task(send(session, body)))
            await until(lambda n=n: len(upstream.bodies) == n)
        sending.append(asyncio.create_task(send(session, small)))  # what is small is read all the same
        go.set()
        assert await asyncio.gather(*sending) == [200] * 7
    assert upstream.bodies == [body] * 6 + [small]
    await until(lambda: len(before.kept.calls) == 7)
    assert before.counted("too_long") == 4 and sum(bool(call.messages) for call in before.kept.calls) == 3
    assert before.gateway._chat._bodies.held == 0


@pytest.mark.parametrize("path", ["chat/completions", "files"])
async def test_an_answer_that_comes_before_the_body_has_ended_passes(
    path: str, front: Any, until: Until
) -> None:
    begun = asyncio.Event()

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 500000\r\n\r\n" + b"x" * 250_000)
        begun.set()
        await reader.readuntil(b"\r\n0\r\n\r\n")
        writer.write(b"x" * 250_000)

    async def slowly() -> AsyncIterator[bytes]:
        yield padded(2 * MB)
        await begun.wait()
        yield b" " * MB
        yield b" "

    server = await asyncio.start_server(refuse, "127.0.0.1", 0, limit=8 * MB)
    before = await front(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", max_read_mb=1.0)
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{before.url}/{path}", data=slowly()) as got,
    ):
        assert got.status == 413 and len(await got.read()) == 500_000
    server.close()


async def test_fifty_large_bodies_at_once_take_little_memory(front: Any) -> None:
    """Fifty times 8 MB, and no more than a fraction of it in memory."""
    taken: list[int] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        size = 0
        while size < LARGE:
            size += len(await reader.read(65_536))
        taken.append(size)
        writer.write(OK)
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    before = await front(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", max_read_mb=4.0)
    block = b" " * 65_536

    async def spaces() -> AsyncIterator[bytes]:
        for _ in range(LARGE // len(block)):
            yield block

    async def send(session: aiohttp.ClientSession) -> int:
        headers = {"Content-Length": str(LARGE)}
        async with session.post(f"{before.url}/chat/completions", data=spaces(), headers=headers) as got:
            return got.status

    peak_before = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        assert await asyncio.gather(*(send(session) for _ in range(50))) == [200] * 50
    server.close()
    assert taken == [LARGE] * 50 and before.counted("too_long") == 50
    assert memory("VmHWM") - peak_before < 120 * MB


def memory(name: str) -> int:
    """Bytes, as the system counts them."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))
