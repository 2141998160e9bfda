"""While calls cannot be published no surrogate answers; loops that die are seen; odd texts are published."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from jitr.router.snapshot import FOLLOWER, Snapshot
from jitr.schemas.routes import Route

Apply = Callable[[Route], Awaitable[None]]
Until = Callable[[Callable[[], Any]], Awaitable[None]]


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def asked(world: Any, http: aiohttp.ClientSession) -> tuple[str, str]:
    url, debug = f"{world.gateway.base_url}/chat/completions", {"x-jitr-debug": "1"}
    async with http.post(url, json=world.request(), headers=debug) as answer:
        assert answer.status == 200
        return answer.headers["x-jitr-route"], answer.headers["x-jitr-reason"]


async def page(world: Any, http: aiohttp.ClientSession, name: str) -> str:
    async with http.get(f"{world.gateway.base_url.removesuffix('/v1')}/{name}") as answer:
        return await answer.text()


async def test_surrogates_answer_only_while_calls_find_a_place(
    world: Any, apply: Apply, route: Callable[..., Route], http: aiohttp.ClientSession
) -> None:
    await apply(route("active"))
    assert await asked(world, http) == ("surrogate", "accepted")
    world.kept.keeping = False
    assert await asked(world, http) == ("teacher", "unpublished")
    assert "jitr_publishing 0.0" in await page(world, http, "metrics")
    world.kept.keeping = True
    assert await asked(world, http) == ("surrogate", "accepted")
    assert "jitr_publishing 1.0" in await page(world, http, "metrics")


async def test_a_follower_that_dies_is_begun_again_and_seen(
    world: Any, http: aiohttp.ClientSession, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    refresh, broken = Snapshot._refresh, True

    async def bad(self: Snapshot) -> None:
        if broken:
            raise ValueError("a bug")
        await refresh(self)

    monkeypatch.setattr(Snapshot, "_refresh", bad)
    await until(lambda: world.snapshot.loops.states[FOLLOWER].restarts > 1)
    loops = json.loads(await page(world, http, "ready"))["loops"]
    assert loops[FOLLOWER]["restarts"] > 1
    broken = False
    age_s = world.snapshot.age_s
    await until(lambda: world.snapshot.age_s < age_s)
    assert json.loads(await page(world, http, "ready"))["loops"][FOLLOWER]["state"] == "running"
    metrics = await page(world, http, "metrics")
    assert 'jitr_loop_up{loop="snapshot"} 1.0' in metrics
    assert 'jitr_loop_restarts_total{loop="snapshot"} 0.0' not in metrics


async def raw(world: Any, head: bytes, body: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", world.gateway.port)
    writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + head)
    writer.write(b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (b"x-jitr-task: \xff\r\n", b'{"model": "big-llm", "messages": [{"role": "user", "content": "hi"}]}'),
        (b"", b'{"model": "big-llm", "messages": [{"role": "user", "content": "hi \\ud800"}]}'),
        (b"", b'{"model": "big-llm", "messages": [{"role": "user", "content": "hi \xff"}]}'),
        (b"", b'{"model": "big-llm", "messages": [{"role": "user", "content": "hi", "name": "\\udc00"}]}'),
    ],
)
async def test_what_cannot_be_written_as_it_is_goes_to_the_teacher_and_is_published(
    head: bytes, body: bytes, world: Any, until: Until
) -> None:
    answer = await raw(world, head, body)
    assert b" 200 " in answer.split(b"\r\n")[0] and b"x-jitr-route: teacher" in answer
    assert world.teacher.asked[-1][1] == body
    await until(lambda: world.kept.calls)
    [call] = world.kept.calls
    assert call.response.text == "Positive."
    assert call.messages[0].content.startswith("hi")


async def test_a_request_that_is_none_leaves_an_event_that_says_why(world: Any, until: Until) -> None:
    await raw(world, b"", b"{")
    await raw(world, b"", b'{"model": "big-llm"}')
    await until(lambda: len(world.kept.calls) == 2)
    first, second = world.kept.calls
    assert first.error == "the request is not read: it is no JSON object"
    assert second.error == "the request is not read: $.request.messages: is required but missing"
    assert (first.model, second.model, first.status) == ("", "big-llm", 200)
    assert {call.decision.reason for call in world.kept.calls} == {"unreadable"} and not world.kept.dropped
