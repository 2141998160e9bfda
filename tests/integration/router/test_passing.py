"""The gateway adds nothing and drops nothing: requests arrive as sent, once, or are refused clearly."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import brotli
import msgspec
import openai
import pytest
from aiohttp import web
from backports import zstd
from yarl import URL

from jitr.router.gateway.server import Gateway
from jitr.schemas.errors import ConfigError

Until = Callable[[Callable[[], Any]], Awaitable[None]]
REQUEST = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
ANSWER = json.dumps(
    {"model": "m-1", "choices": [{"index": 0, "message": {"content": "spam"}, "finish_reason": "stop"}]}
).encode()
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
    len(ANSWER),
    ANSWER,
)


async def answer_ok(writer: asyncio.StreamWriter, n: int) -> bool:
    writer.write(OK)
    return True


async def ask(port: int, raw: bytes) -> bytes:
    """Send bytes; return the first answer, head and body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(raw)
    head = await reader.readuntil(b"\r\n\r\n")
    while head.startswith(b"HTTP/1.1 1"):
        head += await reader.readuntil(b"\r\n\r\n")
    _, found, length = head.lower().partition(b"content-length:")
    body = await reader.readexactly(int(length.partition(b"\r")[0])) if found else await reader.read()
    writer.close()
    return head + body


CODED = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstd.compress,
    "gzip, br": lambda body: brotli.compress(gzip.compress(body)),
}


@pytest.mark.parametrize("path", ["chat/completions", "embeddings"])
@pytest.mark.parametrize("coding", [*CODED, "x-unknown"])
async def test_a_coded_request_arrives_byte_for_byte_and_is_read_where_it_can_be(
    coding: str, path: str, wire: Any, front: Any, until: Until
) -> None:
    upstream = await wire(answer_ok)
    before = await front(upstream.url)
    body = CODED.get(coding, lambda body: body)(json.dumps(REQUEST).encode() * 1)
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{before.url}/{path}", data=body, headers={"Content-Encoding": coding}) as got,
    ):
        assert got.status == 200 and await got.read() == ANSWER
    assert upstream.bodies == [body]
    assert b"content-encoding: " + coding.encode() in upstream.heads[0].lower()
    assert b"content-length: %d\r\n" % len(body) in upstream.heads[0].lower()
    if path == "chat/completions" and coding != "x-unknown":
        await until(lambda: before.kept.calls)
        assert before.kept.calls[0].messages[0].content == "hello"
        assert before.kept.calls[0].response.text == "spam"


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
async def test_a_body_that_grows_without_end_is_passed_on_unread(coding: str, wire: Any, front: Any) -> None:
    upstream = await wire(answer_ok)
    before = await front(upstream.url, max_read_mb=0.5)
    small = CODED[coding](json.dumps(REQUEST | {"pad": "x" * (100 * 2**20)}).encode())
    assert len(small) < 200_000
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            f"{before.url}/chat/completions", data=small, headers={"Content-Encoding": coding}
        ) as got,
    ):
        assert got.status == 200
    assert upstream.bodies == [small]


async def test_nothing_is_added_to_a_request_but_the_mark_that_tells_a_loop(wire: Any, front: Any) -> None:
    upstream = await wire(answer_ok)
    before = await front(upstream.url)
    body = json.dumps(REQUEST).encode()
    lines = b"X-Title: two\r\nAuthorization: Bearer k\r\nCookie: a=b\r\nCookie: c=d\r\n"
    length = b"Content-Length: %d\r\n" % len(body)
    for path in (b"chat/completions", b"completions"):
        await ask(
            before.port,
            b"POST /v1/%b HTTP/1.1\r\nHost: [::1]\r\n%b%b\r\n%b" % (path, length, lines, body),
        )
    for head in upstream.heads:
        names = sorted(line.partition(b":")[0].lower() for line in head.split(b"\r\n")[1:] if line)
        assert names == [
            b"authorization", b"content-length", b"cookie", b"cookie", b"host", b"x-jitr-via", b"x-title",
        ]  # fmt: skip
    assert upstream.bodies == [body, body]


async def test_a_chunked_request_arrives_whole(wire: Any, front: Any) -> None:
    upstream = await wire(answer_ok)
    before = await front(upstream.url)
    body = json.dumps(REQUEST).encode()
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (body[:9], body[9:])) + b"0\r\n"
    for path in (b"chat/completions", b"completions"):
        head = b"POST /v1/%b HTTP/1.1\r\nHost: [::1]\r\nTransfer-Encoding: chunked\r\n\r\n" % path
        assert (await ask(before.port, head + chunks + b"X-Trailer: 1\r\n\r\n")).endswith(ANSWER)
    assert upstream.bodies == [body, body]


@pytest.mark.parametrize("path", [b"chat/completions", b"completions"])
async def test_headers_that_connection_names_go_nowhere(path: bytes, wire: Any, front: Any) -> None:
    async def answer(writer: asyncio.StreamWriter, n: int) -> bool:
        named = b"Connection: keep-alive, X-Theirs\r\nX-Theirs: 1\r\nX-Kept: 2\r\nKeep-Alive: timeout=9\r\n"
        writer.write(OK.replace(b"Content-Type", named + b"Content-Type"))
        return True

    upstream = await wire(answer)
    before = await front(upstream.url)
    body = json.dumps(REQUEST).encode()
    head = b"POST /v1/%b HTTP/1.1\r\nHost: [::1]\r\nContent-Length: %d\r\nConnection: X-Mine, keep-alive\r\n"
    got = await ask(before.port, head % (path, len(body)) + b"X-Mine: 1\r\nx-stays: 2\r\n\r\n" + body)
    assert b"x-mine" not in upstream.heads[0].lower() and b"x-stays: 2" in upstream.heads[0].lower()
    assert b"x-theirs" not in got.lower() and b"x-kept: 2" in got.lower() and b"keep-alive" not in got.lower()


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE", "PUT", "PATCH"])
async def test_every_method_passes_with_its_answers_length(method: str, wire: Any, front: Any) -> None:
    async def answer(writer: asyncio.StreamWriter, n: int) -> bool:
        writer.write(OK[: -len(ANSWER)] if method == "HEAD" else OK)
        return True

    upstream = await wire(answer)
    before = await front(upstream.url)
    async with aiohttp.ClientSession() as session:
        for _ in range(2):
            async with session.request(method, URL(f"{before.url}/files/f-1?a=%2F", encoded=True)) as got:
                assert (got.status, got.headers["Content-Length"]) == (200, str(len(ANSWER)))
                assert await got.read() == (b"" if method == "HEAD" else ANSWER)
    assert upstream.heads[0].startswith(f"{method} /v1/files/f-1?a=%2F HTTP/1.1\r\n".encode())


async def test_expect_100_continue_is_answered_and_another_expectation_refused(wire: Any, front: Any) -> None:
    upstream = await wire(answer_ok)
    before = await front(upstream.url)
    body = json.dumps(REQUEST).encode()
    for path in (b"chat/completions", b"completions"):
        reader, writer = await asyncio.open_connection("127.0.0.1", before.port)
        head = b"POST /v1/%b HTTP/1.1\r\nHost: [::1]\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n"
        writer.write(head % (path, len(body)))
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(body)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")
        writer.close()
    assert upstream.bodies == [body, body] and b"expect" not in upstream.heads[0].lower()
    odd = b"POST /v1/completions HTTP/1.1\r\nHost: [::1]\r\nContent-Length: 2\r\nExpect: magic\r\n\r\n{}"
    assert (await ask(before.port, odd)).startswith(b"HTTP/1.1 417 ")


PATHS = [
    "/v1/../admin", "/v1/a/../../admin", "/v1/%2e%2e/admin", "/v1/.%2E/admin", "/v1/..%2fadmin",
    "/v1/a%2f..%2f..%2fadmin", "/v1/..%5cadmin", "/v1/..\\admin", "/v1/%252e%252e/admin", "/v1/..;/admin",
    "/v1/./models", "/v1/a%00b", "/v1/a%0d%0ab", "/v1/caf\u00e9",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
async def test_a_path_that_may_lead_out_of_v1_is_refused(path: str, wire: Any, front: Any) -> None:
    upstream = await wire(answer_ok)
    before = await front(upstream.url)
    got = await ask(before.port, f"GET {path} HTTP/1.1\r\nHost: [::1]\r\n\r\n".encode())
    assert b" 400 " in got[:13] and b'"error"' in got
    got = await ask(before.port, f"GET http://evil.example{path} HTTP/1.1\r\nHost: [::1]\r\n\r\n".encode())
    assert b" 400 " in got[:13]
    assert upstream.heads == []


@pytest.mark.parametrize(
    "path",
    ["models/org%2Fname", "/x", "models/gpt-4.1", "files/a..b", "x/%C3%A9?q=a%20b&r=%2e%2e", "x?a=/../"],
)
async def test_other_paths_below_v1_pass_as_they_are_written(path: str, wire: Any, front: Any) -> None:
    upstream = await wire(answer_ok)
    before = await front(upstream.url)
    for root in ("", "http://evil.example"):
        got = await ask(before.port, f"GET {root}/v1/{path} HTTP/1.1\r\nHost: [::1]\r\n\r\n".encode())
        assert got.startswith(b"HTTP/1.1 200 ")
    assert {head.split(b"\r\n")[0] for head in upstream.heads} == {f"GET /v1/{path} HTTP/1.1".encode()}


async def test_a_post_is_sent_again_only_where_a_kept_connection_yielded_nothing(
    wire: Any, front: Any, until: Until
) -> None:
    async def answer(writer: asyncio.StreamWriter, n: int) -> bool:
        if n == 2:  # the first on a connection that was kept: it closes
            return False
        writer.write(OK)
        return True

    upstream = await wire(answer)
    before = await front(upstream.url)
    async with openai.AsyncOpenAI(api_key="k", base_url=before.url, max_retries=0) as client:
        for _ in range(2):
            await client.chat.completions.create(**REQUEST)  # type: ignore[call-overload]
    assert len(upstream.heads) == 3 and upstream.connections == 2
    assert [call.response.text for call in before.kept.calls] == ["spam", "spam"]


@pytest.mark.parametrize("method", ["POST", "GET", "PUT"])
@pytest.mark.parametrize("kept", [True, False], ids=["kept", "new"])
@pytest.mark.parametrize(
    "begun", [b"HTTP/1.1 200 OK\r\nConte", OK[:-4], b""], ids=["head", "body", "nothing"]
)
async def test_a_request_that_may_have_been_served_is_not_sent_again(
    begun: bytes, kept: bool, method: str, wire: Any, front: Any
) -> None:
    failing = 2 if kept else 1

    async def answer(writer: asyncio.StreamWriter, n: int) -> bool:
        writer.write(OK if n < failing else begun)
        await writer.drain()
        return n < failing

    upstream = await wire(answer)
    before = await front(upstream.url)
    body = json.dumps(REQUEST).encode()
    path = "chat/completions" if method == "POST" else "files"
    async with aiohttp.ClientSession() as session:
        for n in range(1, failing + 1):
            async with session.request(method, f"{before.url}/{path}", data=body) as got:
                assert got.status == (200 if n < failing else 502)
    again = kept and begun == b"" and method == "POST"
    assert len(upstream.heads) == failing + (1 if again else 0)


async def test_a_websocket_is_refused_with_the_mend(wire: Any, front: Any) -> None:
    upstream = await wire(answer_ok)
    before = await front(upstream.url)
    lines = (
        b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n"
    )
    got = await ask(before.port, b"GET /v1/realtime?model=m HTTP/1.1\r\nHost: [::1]\r\n" + lines + b"\r\n")
    assert got.startswith(b"HTTP/1.1 501 ") and b"connect to the LLM's own address" in got
    assert upstream.heads == []


async def test_an_offer_of_another_protocol_is_passed_over(wire: Any, front: Any) -> None:
    upstream = await wire(answer_ok)
    before = await front(upstream.url)
    body = json.dumps(REQUEST).encode()
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n"
    for path in (b"chat/completions", b"completions"):
        head = b"POST /v1/%b HTTP/1.1\r\nHost: [::1]\r\nContent-Length: %d\r\n" % (path, len(body))
        assert (await ask(before.port, head + offer + b"\r\n" + body)).endswith(ANSWER)
    assert upstream.bodies == [body, body]
    assert not [head for head in upstream.heads if b"h2c" in head or b"settings" in head.lower()]


async def test_a_gateway_whose_upstream_is_itself_does_not_start(settings: Any) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for host in ("127.0.0.1", "localhost"):
        own = msgspec.structs.replace(settings.gateway, port=port, upstream=f"http://{host}:{port}/v1")
        gateway = Gateway(msgspec.structs.replace(settings, gateway=own))
        with pytest.raises(ConfigError, match="leads back to the gateway itself"):
            await gateway.start()


async def test_a_request_that_comes_round_is_told_at_its_second_time(front: Any) -> None:
    """By way of a proxy that the gateway's own address does not show."""
    target = ""

    async def forward(http: web.BaseRequest) -> web.Response:
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                http.method, target + http.path, data=await http.read(), headers=http.headers
            ) as got,
        ):
            return web.Response(status=got.status, body=await got.read(), headers={"x-hops": "1"})

    proxy = web.ServerRunner(web.Server(forward))
    await proxy.setup()
    await web.TCPSite(proxy, "127.0.0.1", 0).start()
    try:
        before = await front(f"http://127.0.0.1:{proxy.addresses[0][1]}/v1")
        target = before.url.removesuffix("/v1")
        async with aiohttp.ClientSession() as session:
            for path in ("chat/completions", "responses"):
                async with session.post(f"{before.url}/{path}", json=REQUEST) as got:
                    assert got.status == 508 and json.loads(await got.read())["error"]["code"] == "loop"
    finally:
        await proxy.cleanup()


async def test_two_gateways_in_a_row_are_no_loop(wire: Any, front: Any) -> None:
    upstream = await wire(answer_ok)
    inner = await front(upstream.url)
    outer = await front(inner.url)
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{outer.url}/chat/completions", json=REQUEST) as got,
    ):
        assert got.status == 200
    assert upstream.heads[0].lower().count(b"x-jitr-via: ") == 1


@pytest.mark.parametrize("bypassed", [False, True])
async def test_the_environments_proxy_is_kept_for_the_upstream(
    bypassed: bool, wire: Any, front: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, upstream = await wire(answer_ok), await wire(answer_ok)
    monkeypatch.setenv("HTTP_PROXY", f"http://me:secret@127.0.0.1:{proxy.port}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1" if bypassed else "other.example")
    before = await front(upstream.url)
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{before.url}/chat/completions", json=REQUEST) as got,
    ):
        assert got.status == 200
    assert (len(proxy.heads), len(upstream.heads)) == ((0, 1) if bypassed else (1, 0))
    if not bypassed:
        assert proxy.heads[0].startswith(f"POST {upstream.url}/chat/completions HTTP/1.1\r\n".encode())
        assert b"proxy-authorization: basic bwu6c2vjcmv0" in proxy.heads[0].lower()


@pytest.mark.parametrize(
    ("path", "given", "from_upstream"),
    [
        (p, g, u)
        for p in ("chat/completions", "models")
        for g in ("mine-1", "", "\u00e9" * 3, "x" * 200)
        for u in (True, False)
    ],
)
async def test_every_answer_carries_a_request_id(
    path: str, given: str, from_upstream: bool, wire: Any, front: Any
) -> None:
    async def answer(writer: asyncio.StreamWriter, n: int) -> bool:
        writer.write(
            OK.replace(b"Content-Type", b"X-Request-Id: theirs\r\nContent-Type") if from_upstream else OK
        )
        return True

    before = await front((await wire(answer)).url)
    body = json.dumps(REQUEST).encode()
    head = f"POST /v1/{path} HTTP/1.1\r\nHost: [::1]\r\nContent-Length: {len(body)}\r\n"
    got = (await ask(before.port, f"{head}x-request-id: {given}\r\n\r\n".encode() + body)).lower()
    id = got.partition(b"x-request-id: ")[2].partition(b"\r")[0].decode()
    if from_upstream:
        assert id == "theirs"
    else:
        assert id == given if given == "mine-1" else id.startswith("req_")


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1/messages/count_tokens"]
)
async def test_errors_of_ours_come_in_the_dialect_of_the_path(path: str, front: Any) -> None:
    before = await front("http://127.0.0.1:9/v1")
    root = before.url.removesuffix("/v1")
    async with aiohttp.ClientSession() as session, session.post(root + path, json=REQUEST) as got:
        assert got.status == 502 and got.content_type == "application/json"
        body = await got.json()
        if "messages" in path:
            assert body["type"] == "error" and body["error"]["type"] == "api_error"
            assert body["request_id"] == got.headers["x-request-id"]
        else:
            assert (
                body["error"]["code"] == "upstream_unavailable" and body["error"]["type"] == "upstream_error"
            )
            assert got.headers["x-request-id"].startswith("req_")


async def test_what_a_browser_asks_beforehand_is_answered_with_an_id_too(front: Any) -> None:
    before = await front("http://127.0.0.1:9/v1")
    lines = b"Origin: http://[::1]:3000\r\nAccess-Control-Request-Method: POST\r\n"
    got = await ask(
        before.port, b"OPTIONS /v1/models HTTP/1.1\r\nHost: [::1]\r\n" + lines + b"Connection: close\r\n\r\n"
    )
    assert b"x-request-id: " in got.lower()


async def test_what_is_not_there_or_no_http_is_answered_in_json(front: Any) -> None:
    before = await front("http://127.0.0.1:9/v1")
    for raw, status in (
        (b"GET /v1 HTTP/1.1\r\nHost: [::1]\r\n\r\n", b"404"),
        (b"GET /admin HTTP/1.1\r\nHost: [::1]\r\n\r\n", b"404"),
        (b"POST /metrics HTTP/1.1\r\nHost: [::1]\r\nContent-Length: 0\r\n\r\n", b"405"),
        (b"OPTIONS * HTTP/1.1\r\nHost: [::1]\r\n\r\n", b"404"),
        (b"TRACE /v1/x HTTP/1.1\r\nHost: [::1]\r\n\r\n", b"405"),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"400"),
        (b"GET /health HTTP/1.1\r\nHost: [::1]\r\nbroken\r\n\r\n", b"400"),
        (b"GET /health HTTP/1.1\r\nHost: [::1]\r\nbig: " + b"x" * 70_000 + b"\r\n\r\n", b"400"),
        (
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: [::1]\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"400",
        ),
        (
            b"POST /v1/completions HTTP/1.1\r\nHost: [::1]\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"400",
        ),
    ):
        got = await ask(before.port, raw)
        assert got.startswith((b"HTTP/1.1 " + status, b"HTTP/1.0 " + status)), got[:200]
        assert b"x-request-id: req_" in got.lower() and b'{"error":{"message":' in got, got


async def test_headers_as_long_as_servers_take_pass(wire: Any, front: Any) -> None:
    upstream = await wire(answer_ok)
    before = await front(upstream.url)
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            f"{before.url}/chat/completions", json=REQUEST, headers={"Authorization": "B" * 30_000}
        ) as got,
    ):
        assert got.status == 200
    assert b"B" * 30_000 in upstream.heads[0]


@pytest.mark.parametrize("name", [b"\xff", b"\xc3\xa9", b"a b c\x80", b"x" * 129, b"-", b"t1;drop", b"{}"])
async def test_a_task_name_that_is_none_is_left_out_and_the_llm_answers(
    name: bytes, wire: Any, front: Any, until: Until
) -> None:
    upstream = await wire(answer_ok)
    before = await front(upstream.url)
    body = json.dumps(REQUEST).encode()
    head = (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: [::1]\r\nContent-Length: %d\r\nx-jitr-task: %b\r\n\r\n"
    )
    assert (await ask(before.port, head % (len(body), name) + body)).endswith(ANSWER)
    await until(lambda: before.kept.calls)
    [call] = before.kept.calls
    assert call.task is None and call.decision.reason == "task_name" and call.response.text == "spam"


async def test_task_names_are_bounded_in_number(wire: Any, front: Any, until: Until) -> None:
    before = await front((await wire(answer_ok)).url, max_task_names=2)
    async with aiohttp.ClientSession() as session:
        for name in ("", "one", "two", "three", "two"):  # a stranger first: names of theirs are apart
            headers = {"x-jitr-task": name} if name else {}
            async with session.post(f"{before.url}/chat/completions", json=REQUEST, headers=headers) as got:
                assert got.status == 200
    await until(lambda: len(before.kept.calls) == 5)
    assert [call.task for call in before.kept.calls] == [None, "one", "two", None, "two"]
