"""The gateway between the stock `openai` client and an LLM's HTTP server."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import openai
import pytest

from jitr.schemas.coins import coin
from jitr.schemas.routes import Route

Make = Callable[..., Route]
PROMPT = "Is this review positive or negative? Review:"
Apply = Callable[[Route], Awaitable[None]]
Until = Callable[[Callable[[], Any]], Awaitable[None]]
PIECES = [
    b'data: {"id":"c1","model":"big-llm-2026","choices":[{"index":0,"delta":{"role":"assis',
    b'tant","content":""}}]}\n\ndata: {"id":"c1","choices":[{"index":0,"delta":{"content":"Posi"}}]}\n\n',
    b'data: {"id":"c1","choices":[{"index":0,"delta":{"content":"tive \xc3\xa9."}}]}\r\n\r\n',
    b'data: {"id":"c1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n: a comment\n\n',
    b'data: {"id":"c1","choices":[],"usage":{"prompt_tokens":20,"completion_tokens":2}}\n\ndata: [DONE]\n\n',
]


@pytest.fixture
async def client(world: Any) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(api_key="sk-secret", base_url=world.gateway.base_url, max_retries=0) as it:
        yield it


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def root(world: Any) -> str:
    return str(world.gateway.base_url.removesuffix("/v1"))


# --- from the teacher


async def test_a_call_without_a_route_passes_through_unchanged(
    world: Any, http: aiohttp.ClientSession, until: Until
) -> None:
    raw = json.dumps(world.request(unknown_field={"a": 1}), indent=2).encode()
    async with http.post(
        f"{world.gateway.base_url}/chat/completions",
        data=raw,
        headers={"Authorization": "Bearer sk-secret", "x-own": "1", "x-jitr-debug": "1"},
    ) as answer:
        assert await answer.read() == world.teacher.body()
        assert answer.headers["x-jitr-route"] == "teacher"
        assert answer.headers["x-jitr-task"] == "t1"
        assert answer.headers["x-jitr-reason"] == "parameter"
        assert float(answer.headers["x-jitr-overhead-ms"]) >= 0
        assert answer.headers["x-ratelimit-remaining-requests"] == "41"
        assert answer.headers["x-request-id"] == "req-1"
    headers, sent = world.teacher.asked[0]
    assert sent == raw
    assert headers["Authorization"] == "Bearer sk-secret" and headers["x-own"] == "1"
    assert [name for name in headers if name.lower().startswith("x-jitr")] == ["x-jitr-via"]
    await until(lambda: world.kept.calls)
    [call] = world.kept.calls
    assert call.response.text == "Positive." and call.response.fingerprint == "fp_1"
    assert call.usage.input_tokens == 20 and call.latency_s > 0
    assert call.decision.target == "teacher" and call.decision.reason == "parameter"
    assert call.decision.task == "t1" and call.decision.id == answer.headers["x-jitr-decision-id"]
    assert "sk-secret" not in msgspec.json.encode(call).decode()


async def test_the_stock_client_is_served_plain_and_streamed(world: Any, client: openai.AsyncOpenAI) -> None:
    plain = await client.chat.completions.create(**world.request())
    assert plain.choices[0].message.content == "Positive." and plain.usage is not None
    world.teacher.pieces = PIECES
    chunks = [c async for c in await client.chat.completions.create(**world.request(stream=True))]
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "Positive é."
    assert [m.id async for m in client.models.list()] == ["big-llm"]


async def test_a_stream_is_passed_through_byte_for_byte_and_put_together_for_the_event(
    world: Any, http: aiohttp.ClientSession, until: Until
) -> None:
    world.teacher.pieces = PIECES
    async with http.post(
        f"{world.gateway.base_url}/chat/completions", json=world.request(stream=True)
    ) as answer:
        assert await answer.read() == b"".join(PIECES)
        assert answer.headers["Content-Type"] == "text/event-stream"
        assert answer.headers["x-jitr-route"] == "teacher"
    await until(lambda: world.kept.calls)
    [call] = world.kept.calls
    assert call.response.text == "Positive é." and call.response.model == "big-llm-2026"
    assert call.usage.output_tokens == 2 and call.error is None


async def test_a_stream_that_breaks_off_breaks_off_for_the_caller_and_is_no_label(
    world: Any, http: aiohttp.ClientSession, until: Until
) -> None:
    world.teacher.pieces, world.teacher.break_off = PIECES[:2], True
    with pytest.raises(aiohttp.ClientError):
        async with http.post(
            f"{world.gateway.base_url}/chat/completions", json=world.request(stream=True)
        ) as answer:
            await answer.read()
    await until(lambda: world.kept.calls)
    [call] = world.kept.calls
    assert call.response is None and "broke off" in call.error


async def test_a_caller_that_goes_away_is_noticed_and_leaves_an_event(world: Any, until: Until) -> None:
    world.teacher.pieces = [b": wait\n\n" * 10_000] * 200
    reader, writer = await asyncio.open_connection("127.0.0.1", world.gateway.port)
    body = json.dumps(world.request(stream=True)).encode()
    writer.write(
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
        + body
    )
    await reader.readexactly(100)
    writer.transport.abort()
    await until(lambda: world.kept.calls)
    assert world.kept.calls[0].response is None and world.kept.calls[0].error
    await until(lambda: b"jitr_in_flight_requests 0.0" in _metrics(world))


async def test_an_error_of_the_upstream_passes_through_with_its_headers(
    world: Any, client: openai.AsyncOpenAI, until: Until
) -> None:
    world.teacher.status = 429
    world.teacher.headers["retry-after"] = "7"
    with pytest.raises(openai.RateLimitError) as caught:
        await client.chat.completions.create(**world.request())
    assert caught.value.response.headers["retry-after"] == "7"
    assert caught.value.code == "rate_limit_exceeded"
    await until(lambda: world.kept.calls)
    assert world.kept.calls[0].error == "429: Slow down." and world.kept.calls[0].response is None


async def test_an_upstream_that_is_gone_is_an_error_in_openais_form(
    world: Any, client: openai.AsyncOpenAI
) -> None:
    await world.teacher.stop()
    with pytest.raises(openai.InternalServerError) as caught:
        await client.chat.completions.create(**world.request())
    assert caught.value.status_code == 502 and caught.value.code == "upstream_unavailable"
    assert world.kept.calls[0].error


@pytest.mark.parametrize(
    "raw", [b"{not json", b"[1]", b'{"messages": 3}', b"", b'{"model": "m", "messages": []}']
)
async def test_what_is_no_chat_request_is_for_the_upstream_to_judge(
    raw: bytes, world: Any, http: aiohttp.ClientSession
) -> None:
    world.teacher.status = 400
    async with http.post(f"{world.gateway.base_url}/chat/completions", data=raw) as answer:
        assert answer.status == 400 and await answer.read() == world.teacher.body()
    assert world.teacher.asked[0][1] == raw


@pytest.mark.parametrize(
    "wrong", [None, 0, -1, 1.5, "x", [], {}, [1], {"a": 1}, True, [[]], [None], [{}], 1e300, 10**30], ids=repr
)
async def test_nothing_in_a_request_makes_the_gateway_fail(
    wrong: Any, world: Any, apply: Apply, route: Make, http: aiohttp.ClientSession
) -> None:
    await apply(route("active"))
    fields = ("model", "n", "tools", "tool_choice", "functions", "modalities", "stream", "stream_options")
    fields += ("logprobs", "metadata", "response_format", "temperature", "audio", "messages")
    bodies = [world.request() | {field: wrong} for field in fields]
    for message in (
        wrong,
        {"role": wrong, "content": "x"},
        {"role": "user", "content": wrong},
        {"role": "user", "content": [wrong]},
        {"role": "user", "content": [{"type": "text", "text": wrong}]},
        {"role": "user", "content": "x", "tool_calls": [wrong]},
    ):
        bodies.append(world.request() | {"messages": [message]})
    for body in bodies:
        async with http.post(
            f"{world.gateway.base_url}/chat/completions", json=body, headers={"x-jitr-debug": "1"}
        ) as answer:
            assert answer.status == 200, body
            assert answer.headers["x-jitr-reason"] != "failed", body


async def test_what_a_gateway_behind_ours_says_of_its_decision_is_not_passed_on(
    world: Any, http: aiohttp.ClientSession
) -> None:
    world.teacher.headers = {"x-jitr-task": "theirs", "x-jitr-model-version": "theirs", "x-request-id": "r"}
    body = world.request(model="another")
    async with http.post(f"{world.gateway.base_url}/chat/completions", json=body) as answer:
        assert answer.headers["x-request-id"] == "r"
        assert "theirs" not in answer.headers.values()


async def test_other_paths_pass_through(world: Any, http: aiohttp.ClientSession) -> None:
    async with http.get(f"{world.gateway.base_url}/models?limit=1%2B1") as answer:
        assert (await answer.json())["data"][0]["q"] == "limit=1%2B1"
    payload = bytes(range(256)) * 3000
    async with http.post(f"{world.gateway.base_url}/embeddings", data=payload) as answer:
        assert await answer.read() == payload
    async with http.get(f"{world.gateway.base_url}/nothing") as answer:
        assert answer.status == 404


# --- from the surrogate


async def test_an_accepted_call_is_answered_by_the_surrogate_alone(
    world: Any, client: openai.AsyncOpenAI, apply: Apply, route: Make
) -> None:
    row = route("active")
    await apply(row)
    raw = await client.chat.completions.with_raw_response.create(**world.request("the plot was dull"))
    answer = raw.parse()
    assert answer.choices[0].message.content == "Negative."
    assert answer.choices[0].finish_reason == "stop" and answer.model == "big-llm"
    assert answer.usage is not None and answer.usage.total_tokens == 0
    assert answer.system_fingerprint == "v1" and answer.object == "chat.completion"
    assert raw.headers["x-jitr-route"] == "surrogate" and raw.headers["x-jitr-model-version"] == "v1"
    assert world.teacher.asked == []
    [call] = world.kept.calls
    stamp = call.decision
    assert call.response is None and call.error is None
    assert (stamp.target, stamp.reason, stamp.answer, stamp.label) == (
        "surrogate",
        "accepted",
        "Negative.",
        "negative",
    )
    assert stamp.accepted and not stamp.due and stamp.route_version == str(row.version)
    assert stamp.score >= 0.0 and stamp.coin == coin(stamp.id, "audit")


@pytest.mark.parametrize("usage", [True, False])
async def test_a_surrogates_stream_reads_like_any_other(
    usage: bool, world: Any, client: openai.AsyncOpenAI, apply: Apply, route: Make
) -> None:
    await apply(route("active"))
    options = {"stream_options": {"include_usage": True}} if usage else {}
    stream = await client.chat.completions.create(**world.request(stream=True, **options))
    chunks = [chunk async for chunk in stream]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "Positive."
    assert [c.choices[0].finish_reason for c in chunks if c.choices] == [None, None, "stop"]
    assert (chunks[-1].usage is not None) is usage
    assert {c.system_fingerprint for c in chunks} == {"v1"}


async def test_a_call_that_the_gate_defers_goes_to_the_teacher_with_its_score(
    world: Any, client: openai.AsyncOpenAI, apply: Apply, route: Make, until: Until
) -> None:
    await apply(route("active", threshold=1.1))
    await client.chat.completions.create(**world.request())
    await until(lambda: world.kept.calls)
    stamp = world.kept.calls[0].decision
    assert (stamp.target, stamp.reason, stamp.accepted) == ("teacher", "deferred", False)
    assert (
        stamp.score < 1.1 and stamp.label == "positive" and world.kept.calls[0].response.text == "Positive."
    )


async def test_an_audit_sends_one_event_with_both_answers_and_nobody_waits(
    world: Any, client: openai.AsyncOpenAI, apply: Apply, route: Make, until: Until
) -> None:
    world.teacher.wait = asyncio.Event()
    row = route("active", audit_rate=1.0)
    await apply(row)
    answer = await client.chat.completions.create(**world.request("the plot was dull", stream=False))
    assert answer.choices[0].message.content == "Negative."
    assert world.kept.calls == []  # the teacher has not answered yet, the caller has been
    world.teacher.wait.set()
    await until(lambda: world.kept.calls)
    [call] = world.kept.calls
    assert call.response.text == "Positive." and call.decision.answer == "Negative."
    assert call.decision.due and call.decision.accepted and call.decision.audit_rate == 1.0
    assert call.decision.task == "t1" and call.decision.route_version == str(row.version)
    assert call.usage.input_tokens == 20


async def test_the_audit_of_a_streamed_call_asks_for_no_stream(
    world: Any, client: openai.AsyncOpenAI, apply: Apply, route: Make, until: Until
) -> None:
    await apply(route("active", audit_rate=1.0))
    stream = await client.chat.completions.create(
        **world.request(stream=True, stream_options={"include_usage": True}, seed=4)
    )
    assert [chunk async for chunk in stream]
    await until(lambda: world.kept.calls)
    assert json.loads(world.teacher.asked[0][1]) == world.request(seed=4)
    assert world.kept.calls[0].response.text == "Positive."


async def test_an_audit_that_fails_is_published_as_due_without_a_response(
    world: Any, client: openai.AsyncOpenAI, apply: Apply, route: Make, until: Until
) -> None:
    await apply(route("active", audit_rate=1.0))
    world.teacher.status = 500
    await client.chat.completions.create(**world.request())
    await until(lambda: world.kept.calls)
    [call] = world.kept.calls
    assert call.decision.due and call.response is None and call.error.startswith("500")


async def test_an_audit_under_way_when_the_gateway_stops_is_published_too(
    world: Any, client: openai.AsyncOpenAI, apply: Apply, route: Make
) -> None:
    world.teacher.wait = asyncio.Event()
    await apply(route("active", audit_rate=1.0))
    await client.chat.completions.create(**world.request())
    await world.gateway.stop(deadline_s=0.05)
    [call] = world.kept.calls
    assert call.decision.due and call.response is None and "stop" in call.error


async def test_in_a_hold_the_teacher_answers_and_the_surrogate_is_scored(
    world: Any, client: openai.AsyncOpenAI, apply: Apply, route: Make, until: Until
) -> None:
    await apply(route("hold", audit_rate=0.2))
    answer = await client.chat.completions.create(**world.request("the plot was dull"))
    assert answer.choices[0].message.content == "Positive."
    await until(lambda: world.kept.calls)
    call, stamp = world.kept.calls[0], world.kept.calls[0].decision
    assert call.response.text == "Positive."
    assert (stamp.target, stamp.reason, stamp.held, stamp.accepted) == ("teacher", "hold", True, True)
    assert stamp.answer == "Negative." and stamp.score is not None and not stamp.due


async def test_a_canary_answers_its_share_and_scores_the_rest(
    world: Any, client: openai.AsyncOpenAI, apply: Apply, route: Make, until: Until
) -> None:
    await apply(route("canary", share=0.5))
    await asyncio.gather(*(client.chat.completions.create(**world.request(f"superb {i}")) for i in range(60)))
    await until(lambda: len(world.kept.calls) == 60)
    for call in world.kept.calls:
        stamp = call.decision
        inside = coin(stamp.id, "canary") < 0.5
        assert stamp.target == ("surrogate" if inside else "teacher")
        assert stamp.reason == ("accepted" if inside else "canary")
        assert stamp.accepted and stamp.answer == "Positive."
        assert (call.response is None) is inside
    assert 10 < sum(c.decision.target == "surrogate" for c in world.kept.calls) < 50


@pytest.mark.parametrize("state", ["teacher", "offered", "demoted", "paused"])
async def test_a_route_that_is_not_live_leaves_the_teacher(
    state: str, world: Any, client: openai.AsyncOpenAI, apply: Apply, route: Make, until: Until
) -> None:
    await apply(route(state))
    await client.chat.completions.create(**world.request())
    await until(lambda: world.kept.calls)
    assert world.kept.calls[0].decision.reason == state
    assert world.kept.calls[0].decision.answer is None


@pytest.mark.parametrize(
    ("fields", "headers", "reason"),
    [
        ({"n": 2}, {}, "choices"),
        ({"logprobs": True}, {}, "logprobs"),
        ({"functions": [{"name": "f"}]}, {}, "tools"),
        ({"modalities": ["text", "audio"]}, {}, "media"),
        ({}, {"x-jitr-skip": "1"}, "opt_out"),
        ({}, {"x-jitr-skip": "True"}, "opt_out"),
        ({"messages": [{"role": "user", "content": "x" * 1_000_001}]}, {}, "too_long"),
        ({"messages": [{"role": "user", "content": f"{PROMPT} " + "fine " * 60_000}]}, {}, "too_long"),
        ({"model": "other-llm"}, {}, "no_task"),
        ({}, {"x-jitr-task": "another"}, "no_task"),
    ],
)
async def test_what_a_surrogate_may_not_answer_goes_to_the_teacher(
    fields: dict[str, Any],
    headers: dict[str, str],
    reason: str,
    world: Any,
    apply: Apply,
    route: Make,
    http: aiohttp.ClientSession,
) -> None:
    await apply(route("active"))
    if "functions" in fields:  # a task of its own kind: tools are part of a task's signature
        row = (await world.table.load("default")).tasks["t1"]
        tools = msgspec.json.encode(fields["functions"], order="deterministic").decode()
        from jitr.models.tasks.matching.signature import digest

        signature = msgspec.structs.replace(row.signature, tools=digest(tools))
        await world.table.apply_tasks([msgspec.structs.replace(row, version=2, signature=signature)])
        while world.snapshot._tenants["default"].rows.tasks["t1"].version != 2:
            await asyncio.sleep(0.005)
    async with http.post(
        f"{world.gateway.base_url}/chat/completions",
        json=world.request(**fields),
        headers={**headers, "x-jitr-debug": "1"},
    ) as answer:
        assert answer.headers["x-jitr-reason"] == reason
        assert answer.headers["x-jitr-route"] == "teacher"
    assert len(world.teacher.asked) == 1


async def test_an_api_key_names_its_tenant(world: Any, http: aiohttp.ClientSession, until: Until) -> None:
    tenants = world.gateway.callers._tenants
    tenants[sha256(b"sk-acme").hexdigest()] = "acme"
    try:
        for key in ("sk-acme", "sk-nobody"):
            async with http.post(
                f"{world.gateway.base_url}/chat/completions",
                json=world.request(),
                headers={"Authorization": f"Bearer {key}"},
            ):
                pass
        await until(lambda: len(world.kept.calls) == 2)
        assert [call.tenant for call in world.kept.calls] == ["acme", "default"]
    finally:
        tenants.clear()


async def test_no_call_fails_while_redis_is_flushed_and_the_surrogate_goes_on(
    world: Any, client: openai.AsyncOpenAI, apply: Apply, route: Make, until: Until
) -> None:
    row = route("active")
    await apply(row)
    await world.table._redis.flushall()
    await world.table._redis.publish("jitr:{default}:changes", "")
    await until(lambda: world.snapshot._tenants["default"].before_flush is not None)
    await client.chat.completions.create(**world.request())
    await world.table.apply_tasks(world.snapshot._tenants["default"].rows.tasks.values())
    await world.table.apply_route(row)
    await until(lambda: world.snapshot._tenants["default"].before_flush is None)
    await client.chat.completions.create(**world.request())
    assert [call.decision.target for call in world.kept.calls] == ["surrogate", "surrogate"]


# --- the service


async def test_as_a_process_it_serves_until_it_is_told_to_stop_and_sends_what_it_holds(
    settings: Any, teacher: Any, http: aiohttp.ClientSession, world: Any, until: Until
) -> None:
    code = (
        "from jitr.router.gateway.server import serve\n"
        "from jitr.schemas.settings import Settings\n"
        "serve(Settings.load())"
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        code,
        env={
            **os.environ,
            "JITR_GATEWAY__PORT": str(port),
            "JITR_GATEWAY__UPSTREAM": teacher.url,
            "JITR_STATE__ROOT": settings.state.root,
            "REDIS_URL": settings.redis.url,
            "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9",
        },
    )

    async def alive() -> bool:
        try:
            async with http.get(f"http://127.0.0.1:{port}/health") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    await until(alive)
    async with http.post(f"http://127.0.0.1:{port}/v1/chat/completions", json=world.request()) as answer:
        assert answer.status == 200
    process.terminate()
    assert await asyncio.wait_for(process.wait(), 60) == 0
    spool = [p for p in Path(settings.state.root).rglob("*.spool") if p.stat().st_size]
    assert spool, "without Kafka the call waits on disk"


async def test_it_tells_health_readiness_version_and_metrics(
    world: Any, http: aiohttp.ClientSession, client: openai.AsyncOpenAI, until: Until
) -> None:
    await until(lambda: world.gateway.ready)
    await client.chat.completions.create(**world.request())
    for path, status in {"/health": 200, "/ready": 200, "/version": 200}.items():
        async with http.get(root(world) + path) as answer:
            assert answer.status == status and await answer.json()
    async with http.get(root(world) + "/metrics") as answer:
        text = await answer.text()
    assert 'jitr_requests_total{reason="no_route",route="teacher"} 1.0' in text
    for name in (
        "jitr_request_duration_seconds_bucket",
        "jitr_overhead_seconds_sum",
        "jitr_in_flight_requests 0.0",
        "jitr_published_events_total 0.0",
        'jitr_dropped_events_total{reason="queue_full"} 0.0',
        "jitr_spool_bytes 0.0",
        "jitr_snapshot_age_seconds",
        "jitr_build_info{version=",
    ):
        assert name in text


async def test_without_redis_it_is_not_ready_and_calls_pass_through(
    settings: Any, teacher: Any, http: aiohttp.ClientSession, world: Any
) -> None:
    from jitr.router.gateway.server import Gateway
    from jitr.schemas.settings import RedisSettings

    upstream = msgspec.structs.replace(settings.gateway, upstream=teacher.url)
    lost = msgspec.structs.replace(
        settings, gateway=upstream, redis=RedisSettings(url="redis://127.0.0.1:9/0")
    )
    gateway = Gateway(lost, events=world.kept)
    await gateway.start()
    try:
        async with http.get(f"http://127.0.0.1:{gateway.port}/ready") as answer:
            assert answer.status == 503
        async with http.post(f"{gateway.base_url}/chat/completions", json=world.request()) as answer:
            assert answer.status == 200
        assert world.kept.calls[0].decision.reason == "no_snapshot"
    finally:
        await gateway.stop()


async def test_a_port_that_is_taken_is_an_error_that_says_so(world: Any, settings: Any) -> None:
    from jitr.router.gateway.server import Gateway
    from jitr.schemas.errors import ConfigError

    taken = msgspec.structs.replace(settings.gateway, port=world.gateway.port)
    gateway = Gateway(msgspec.structs.replace(settings, gateway=taken))
    with pytest.raises(ConfigError, match=r"cannot be listened on .*gateway\.port"):
        await gateway.start()


def _metrics(world: Any) -> bytes:
    from prometheus_client import generate_latest

    return generate_latest(world.gateway.metrics.registry)
