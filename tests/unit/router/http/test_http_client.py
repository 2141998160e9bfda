"""The request path's HTTP client, against servers that speak bytes."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from jitr.router.http.client_answer import Answer
from jitr.router.http.client_connection import BrokenAnswerError
from jitr.router.http.http_client import HTTPClient

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def request(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Head and body of the next request."""
    head = await reader.readuntil(b"\r\n\r\n")
    size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return head, await reader.readexactly(size)


@asynccontextmanager
async def asked(asking: Awaitable[Answer]) -> AsyncIterator[Answer]:
    answer = await asking
    try:
        yield answer
    finally:
        answer.release()


@asynccontextmanager
async def server(serve: Serve, tls: object = None) -> AsyncIterator[str]:
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)  # type: ignore[arg-type]
    port = listening.sockets[0].getsockname()[1]
    yield f"{'https' if tls else 'http'}://localhost:{port}/v1"
    listening.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def always(*answers: bytes) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await request(reader)
            for answer in answers:
                writer.write(answer)
                await writer.drain()

    return serve


async def test_a_request_goes_out_as_it_was_given_and_the_connection_is_used_again() -> None:
    heads: list[bytes] = []
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while True:
            head, body = await request(reader)
            heads.append(head + body)
            writer.write(OK)

    async with server(serve) as url:
        client = HTTPClient(url)
        for _ in range(3):
            async with asked(client.post("/v1/x?a=%20b", {"X-Odd": "\udcff"}, b"{}")) as answer:
                assert (answer.status, await answer.content.read()) == (200, b"ok")
        await client.close()
    host = url.removeprefix("http://").removesuffix("/v1").encode()
    assert (
        heads
        == [
            b"POST /v1/x?a=%20b HTTP/1.1\r\nHost: " + host + b"\r\nX-Odd: \xff\r\nContent-Length: 2\r\n\r\n{}"
        ]
        * 3
    )
    assert connections == 1


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, b"ok"),
        (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK, b"ok"),
        (CHUNKED + b"1\r\no\r\n1\r\nk\r\n0\r\nTrailer: t\r\n\r\n", b"ok"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""),
    ],
)
async def test_an_answer_is_read_in_each_of_its_forms_and_the_next_request_gets_its_own(
    raw: bytes, body: bytes
) -> None:
    async with server(always(raw)) as url:
        client = HTTPClient(url)
        for _ in range(2):
            async with asked(client.post("/", {}, b"")) as answer:
                assert await answer.content.read() == body
                assert "Trailer" not in answer.headers
        await client.close()


async def test_a_body_without_a_length_ends_with_its_connection() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nall of")
        await writer.drain()
        writer.write(b" it")

    async with server(serve) as url:
        client = HTTPClient(url)
        for _ in range(2):
            async with asked(client.post("/", {}, b"")) as answer:
                assert await answer.content.read() == b"all of it"
        await client.close()


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"garbage\r\n\r\n",
        b"",
    ],
)
async def test_an_answer_that_breaks_off_or_is_no_http_is_an_error(raw: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(raw)

    async with server(serve) as url:
        client = HTTPClient(url)
        with pytest.raises(BrokenAnswerError):
            async with asked(client.post("/", {}, b"")) as answer:
                await answer.content.read()
        await client.close()


async def test_a_request_is_sent_again_only_where_a_kept_connection_said_nothing() -> None:
    numbers: list[int] = []
    close_at = {2}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await request(reader)
            numbers.append(len(numbers) + 1)
            if numbers[-1] in close_at:
                return
            writer.write(OK)

    async with server(serve) as url:
        client = HTTPClient(url)
        for _ in range(2):
            async with asked(client.post("/", {}, b"")) as answer:
                assert await answer.content.read() == b"ok"
        assert numbers == [
            1,
            2,
            3,
        ]  # the second came on a kept connection that was closed, and again on a fresh one
        # a fresh connection that says nothing is no reason to ask again
        await client.close()
        close_at.add(4)
        with pytest.raises(BrokenAnswerError):
            await client.post("/", {}, b"")
        assert numbers == [1, 2, 3, 4]
        await client.close()


async def test_a_request_is_not_sent_again_once_a_byte_of_the_answer_came() -> None:
    requests = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        while True:
            await request(reader)
            requests += 1
            if requests == 2:
                writer.write(b"HTTP/1.1 2")
                return
            writer.write(OK)

    async with server(serve) as url:
        client = HTTPClient(url)
        async with asked(client.post("/", {}, b"")) as answer:
            await answer.content.read()
        with pytest.raises(BrokenAnswerError):
            await client.post("/", {}, b"")
        assert requests == 2
        await client.close()


async def test_a_second_answer_to_one_request_is_nobodys() -> None:
    async with server(always(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")) as url:
        client = HTTPClient(url)
        for _ in range(2):
            async with asked(client.post("/", {}, b"")) as answer:
                assert await answer.content.read() == b"ok"
        await client.close()


@pytest.mark.parametrize("when", ["before the head", "in the body"])
async def test_who_leaves_ends_the_upstreams_connection(when: str) -> None:
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        if when == "in the body":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome")
        with suppress(ConnectionError):
            assert await reader.read() == b""
        ended.set()

    async with server(serve) as url:
        client = HTTPClient(url)
        if when == "in the body":
            async with asked(client.post("/", {}, b"")) as answer:
                assert await answer.content.readany() == b"some"
        else:
            asking = asyncio.create_task(client.post("/", {}, b""))
            await asyncio.sleep(0)
            while not client._open:
                await asyncio.sleep(0.001)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
        async with asyncio.timeout(60):
            await ended.wait()
        await client.close()


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome"])
async def test_a_silent_upstream_is_late(answer: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(answer)
        await reader.read()

    async with server(serve) as url:
        client = HTTPClient(url, read_s=0.05)
        with pytest.raises(TimeoutError, match=r"said nothing for 0\.05 s"):
            async with asked(client.post("/", {}, b"")) as got:
                await got.content.read()
        await client.close()


async def test_a_slow_reader_holds_the_upstream_back() -> None:
    sent = 0
    size = 64 * 2**20

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        piece = b"x" * 2**20
        while sent < size:
            writer.write(piece)
            await writer.drain()
            sent += len(piece)
        await reader.read()

    async with server(serve) as url:
        client = HTTPClient(url, read_s=20)
        async with asked(client.post("/", {}, b"")) as answer:
            first = await answer.content.readany()
            assert first is not None
            for _ in range(50):
                await asyncio.sleep(0.001)
            assert sent < size / 2  # kernel buffers and ours are full
            assert len(first) + len(await answer.content.read()) == size
        await client.close()


async def test_https_is_checked_against_the_names_in_the_certificate(tmp_path: Path) -> None:
    import ssl

    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]
    subprocess.run(
        [*command, "-keyout", key, "-out", cert, "-days", "2", *subject], check=True, capture_output=True
    )
    theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    theirs.load_cert_chain(cert, key)
    async with server(always(OK), theirs) as url:
        known = HTTPClient(url, tls=ssl.create_default_context(cafile=str(cert)))
        async with asked(known.post("/", {}, b"")) as answer:
            assert await answer.content.read() == b"ok"
        await known.close()
        unknown = HTTPClient(url)
        with pytest.raises(ssl.SSLCertVerificationError):
            await unknown.post("/", {}, b"")
        await unknown.close()


async def test_connections_that_nobody_uses_are_closed() -> None:
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(OK)
        try:
            await reader.read()
        finally:
            ended.set()

    async with server(serve) as url:
        client = HTTPClient(url, idle_s=0.02)
        async with asked(client.post("/", {}, b"")) as answer:
            await answer.content.read()
        async with asyncio.timeout(60):
            await ended.wait()
        await client.close()


async def test_nobody_listens() -> None:
    client = HTTPClient("http://127.0.0.1:9/v1")
    with pytest.raises(OSError):
        await client.post("/", {}, b"")
    await client.close()
