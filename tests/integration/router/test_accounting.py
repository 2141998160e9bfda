"""Every call that comes in is in Kafka, or waits for it, whatever callers and Kafka do."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import re
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from stage.published import published

from jitr.router.gateway.server import Gateway
from jitr.router.publishing import events as rooms
from jitr.router.publishing import link
from jitr.router.publishing.events import EventStream
from jitr.router.snapshot import Snapshot
from jitr.sandbox.processes import Child, Processes
from jitr.schemas.routes import Route
from jitr.schemas.settings import KafkaSettings, Settings

Until = Callable[[Callable[[], Any]], Awaitable[None]]
PROMPT = "Is this review positive or negative? Review:"
WHOLE = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "big-llm-2026",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Positive."}, "finish_reason": "stop"}
    ],
    "usage": {"prompt_tokens": 20, "completion_tokens": 2, "total_tokens": 22},
}
STREAM = [
    b'data: {"id":"c1","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n',
    b'data: {"id":"c1","model":"m","choices":[{"index":0,"delta":{"content":"Positive."}}]}\n\n',
    b'data: {"id":"c1","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n',
    b"data: [DONE]\n\n",
]


class Llm:
    """An LLM that answers, streams, refuses, breaks off, drips or keeps silent, as the request says."""

    async def start(self) -> str:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self.answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def answer(self, http: web.Request) -> web.StreamResponse:
        way = (await http.json()).get("user")
        if way == "silent":
            await asyncio.sleep(1.0)
        if way == "refuse":
            return web.json_response({"error": {"message": "no", "code": "x"}}, status=429)
        if way == "garbage":
            return web.Response(body=b"\xff\x00<html>", content_type="text/html")
        if way == "break":
            assert http.transport
            http.transport.abort()
        if way not in ("stream", "drip", "break_stream"):
            return web.json_response(WHOLE)
        out = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await out.prepare(http)
        for piece in STREAM:
            if way == "break_stream" and piece == STREAM[2]:
                assert http.transport
                http.transport.abort()
                return out
            for at in range(0, len(piece), 8 if way == "drip" else len(piece)):
                await out.write(piece[at : at + (8 if way == "drip" else len(piece))])
                await asyncio.sleep(0)
        await out.write_eof()
        return out


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Callable[[int], tuple[Child, int]]]:
    processes = Processes(tmp_path / "logs")

    def start(port: int = 0) -> tuple[Child, int]:
        command = [sys.executable, "-m", "jitr.sandbox.broker", "--port", str(port)]
        child = processes.start("broker", [*command, "--data", str(tmp_path / "broker")])
        processes.wait_until(child, lambda: bool(re.search(r":\d+$", child.said(), re.M)))
        found = re.search(r":(\d+)$", child.said(), re.M)
        assert found
        return child, int(found[1])

    yield start
    processes.stop()


@pytest.fixture
async def llm() -> AsyncIterator[str]:
    server = Llm()
    yield await server.start()
    await server.stop()


def body(n: int, way: str) -> bytes:
    request: dict[str, Any] = {"model": "big-llm", "messages": [{"role": "user", "content": f"{PROMPT} {n}"}]}
    request["user"] = way
    if way in ("stream", "drip", "break_stream"):
        request["stream"] = True
    if way == "skip":
        request.pop("messages")
    return json.dumps(request).encode()


async def leaves(port: int, raw: bytes, read: int) -> None:
    """Send a request, read so many bytes of the answer, and reset the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n")
    writer.write(b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(raw) + raw)
    with contextlib.suppress(ConnectionError):
        await writer.drain()
        if read:
            await reader.read(read)
    writer.transport.abort()


async def calls(gateway: Gateway, n: int, ways: list[str], rng: random.Random) -> Counter[str]:
    """Send so many requests of all kinds, up to twenty at once."""
    ended: Counter[str] = Counter()
    places = asyncio.Semaphore(20)
    url = f"{gateway.base_url}/chat/completions"
    async with aiohttp.ClientSession() as http:

        async def one(at: int) -> None:
            way = rng.choice(ways)
            raw = body(at, way)
            async with places:
                if way in ("leaves", "leaves_early"):
                    await leaves(gateway.port, raw, 0 if way == "leaves_early" else 20)
                    ended["left"] += 1
                    return
                limit = aiohttp.ClientTimeout(total=0.02 if way == "silent" else 20)
                try:
                    async with http.post(url, data=raw, timeout=limit) as answer:
                        await answer.read()
                        ended[str(answer.status)] += 1
                except (aiohttp.ClientError, TimeoutError) as error:
                    ended[type(error).__name__] += 1

        await asyncio.gather(*(one(at) for at in range(n)))
    return ended


def requests_seen(gateway: Gateway) -> int:
    total = 0.0
    for metric in gateway.metrics.registry.collect():
        if metric.name == "jitr_requests":
            total += sum(s.value for s in metric.samples if s.name == "jitr_requests_total")
    return int(total)


WAYS = [
    *["whole", "stream", "drip", "refuse", "garbage", "break", "break_stream"],
    *["silent", "leaves", "leaves_early", "skip"],
]


@pytest.mark.parametrize("state", [None, "active"])
async def test_calls_in_are_calls_in_kafka_while_kafka_comes_and_goes(
    state: str | None,
    broker: Any,
    llm: str,
    settings: Settings,
    table: Any,
    task: Any,
    route: Callable[..., Route],
    until: Until,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(link, "SEND_TIMEOUT_S", 1.0)
    for module in (link, rooms):
        monkeypatch.setattr(module, "RETRY_S", 0.05)
    child, port = broker()
    settings = msgspec.structs.replace(
        settings,
        kafka=KafkaSettings(bootstrap=f"127.0.0.1:{port}"),
        gateway=msgspec.structs.replace(settings.gateway, upstream=llm, publish_linger_ms=5),
    )
    await table.apply_tasks([task])
    if state:
        await table.apply_route(route(state, audit_rate=0.5))
    snapshot, events = Snapshot(settings), EventStream(settings)
    gateway = Gateway(settings, snapshot=snapshot, events=events)
    await gateway.start()
    await until(lambda: snapshot.ready)
    if state:
        await until(lambda: getattr(snapshot.view("default").routes["t1"], "surrogate", None))  # type: ignore[union-attr]
    rng = random.Random(0)
    ended = await calls(gateway, 150, WAYS, rng)
    for _ in range(2):
        child.process.kill()
        child.process.wait()
        ended += await calls(gateway, 150, WAYS, rng)
        await until(lambda: events.spool_bytes)
        child, _ = broker(port)
        ended += await calls(gateway, 150, WAYS, rng)
    await until(lambda: not gateway.metrics.in_flight)
    await until(lambda: not gateway._chat._audits)
    await until(lambda: not events.waiting)
    taken, kept = events.taken, events.published
    assert taken == kept
    # a caller who left before its request had come whole made no call
    assert ended.total() - ended["left"] <= taken <= ended.total() == 750
    assert requests_seen(gateway) == taken, (requests_seen(gateway), taken, ended)
    assert not events.dropped and events.loops.states["publish"].restarts == 0
    found = await published(f"127.0.0.1:{port}", kept)
    assert len(found) == kept
    assert all(call.decision is not None and call.decision.id == call.id for call in found)
    assert sum(call.response is not None for call in found) > 50
    assert any(call.decision.reason == "unreadable" for call in found), "what cannot be read leaves an event"
    if state:
        due = [call for call in found if call.decision.due]  # type: ignore[union-attr]
        assert due and len(due) < len(found)
    await gateway.stop(2.0)
