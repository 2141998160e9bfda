"""The gateway before an upstream whose answers are odd: what the caller gets, and what the event says."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from jitr.schemas.labels import NoLabel, no_label
from jitr.schemas.routes import Route

Until = Callable[[Callable[[], Any]], Awaitable[None]]
Apply = Callable[[Route], Awaitable[None]]


def chunk(finish: str | None = None, **delta: Any) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return json.dumps({"model": "big-llm-2026", "choices": [choice]})


COUNTED = json.dumps({"choices": None, "usage": {"prompt_tokens": 60, "completion_tokens": 2}})
LINES = ["data: ", "", ": keep-alive", ""]


def stream(*chunks: str, done: bool = True) -> list[bytes]:
    text = "\n".join(LINES) + "\n" + "".join(f"event: message\ndata: {c}\n\n" for c in chunks)
    text += "data: [DONE]\n\n" if done else ""
    raw = text.encode()
    return [raw[at : at + 37] for at in range(0, len(raw), 37)]


async def posted(world: Any, body: Any, **headers: str) -> tuple[int, bytes]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{world.gateway.base_url}/chat/completions", data=raw, headers=headers) as answer,
    ):
        return answer.status, await answer.read()


async def called(world: Any, until: Until) -> Any:
    await until(lambda: world.kept.calls)
    return world.kept.calls.pop()


async def metric(world: Any, name: str) -> float:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{world.gateway.base_url.removesuffix('/v1')}/metrics") as answer,
    ):
        lines = (await answer.text()).splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


async def test_an_odd_stream_is_passed_on_as_it_is_and_read_with_its_usage(world: Any, until: Until) -> None:
    world.teacher.pieces = stream(chunk(content="Pos"), chunk("stop", content="itive."), COUNTED, done=False)
    _, passed = await posted(world, world.request(stream=True))
    assert passed == b"".join(world.teacher.pieces)
    call = await called(world, until)
    assert (call.response.text, call.response.finish_reason, call.status) == ("Positive.", "stop", 200)
    assert (call.usage.input_tokens, call.usage.output_tokens) == (60, 2)
    assert no_label(call) is None
    assert await metric(world, "jitr_unread_answers_total") == 0


@pytest.mark.parametrize(
    ("pieces", "why", "error"),
    [
        (stream(chunk(content="Pos"), chunk("length")), NoLabel.CUT_SHORT, None),
        (stream(chunk(content="Pos"), chunk("content_filter")), NoLabel.FILTERED, None),
        (stream(chunk(reasoning_content="It is positive."), chunk("stop")), NoLabel.EMPTY, None),
        (stream(chunk(content="Pos")), NoLabel.UNFINISHED, None),
        (stream(chunk(content="Pos"), done=False), NoLabel.FAILED, "the stream ended before its answer did"),
        (
            stream(chunk(content="Pos"), '{"error": {"message": "overloaded"}}'),
            NoLabel.FAILED,
            "the stream holds an error: overloaded",
        ),
    ],
)
async def test_a_stream_that_is_no_label_says_why(
    world: Any, until: Until, pieces: list[bytes], why: NoLabel, error: str | None
) -> None:
    world.teacher.pieces = pieces
    await posted(world, world.request(stream=True))
    call = await called(world, until)
    assert (no_label(call), call.error) == (why, error)
    assert await metric(world, "jitr_unread_answers_total") == (error is not None)


@pytest.mark.parametrize("status", [400, 401, 429, 500, 503])
async def test_a_refusal_is_told_with_its_status(world: Any, until: Until, status: int) -> None:
    world.teacher.status = status
    assert (await posted(world, world.request()))[0] == status
    call = await called(world, until)
    assert (call.status, call.error) == (status, f"{status}: Slow down.")
    assert no_label(call) is NoLabel.REFUSED


@pytest.mark.parametrize("status", [400, 429, 503])
async def test_an_audit_that_is_refused_is_told_with_its_status(
    world: Any, apply: Apply, route: Callable[..., Route], until: Until, status: int
) -> None:
    await apply(route("active", audit_rate=1.0))
    world.teacher.status = status
    assert (await posted(world, world.request()))[0] == 200
    call = await called(world, until)
    assert call.decision.due and call.decision.target == "surrogate"
    assert (call.status, no_label(call)) == (status, NoLabel.REFUSED)


ODD_REQUESTS = {
    "arguments as an object": (
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": {"x": 1}}}],
        },
        {},
    ),
    "parts as texts": ({"role": "user", "content": ["the film", "was superb"]}, {}),
    "numbers as texts": ({"role": "user", "content": "hi"}, {"temperature": "0", "n": "1"}),
}


@pytest.mark.parametrize(("message", "fields"), ODD_REQUESTS.values(), ids=ODD_REQUESTS)
async def test_a_request_whose_meaning_is_plain_is_read(
    world: Any, until: Until, message: dict[str, Any], fields: dict[str, Any]
) -> None:
    body = world.request(**fields)
    body["messages"].insert(0, message)
    await posted(world, body)
    call = await called(world, until)
    assert call.error is None and len(call.messages) == 2 and call.response.text == "Positive."
    assert world.teacher.asked[-1][1] == json.dumps(body).encode()


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"{", "it is no JSON object"),
        (b"[]", "it is no JSON object"),
        (b'{"model": "big-llm", "messages": "hi"}', "$.request.messages: Expected `list`, got `str`"),
        (b'{"model": 7, "messages": []}', "$.request.model: Expected `str`, got `int`"),
        (
            b'{"model": "m", "messages": [{"role": "user", "content": 7}]}',
            "$.request.messages[0].content",
        ),
    ],
)
async def test_a_request_that_cannot_be_read_leaves_an_event_with_the_reason(
    world: Any, until: Until, raw: bytes, why: str
) -> None:
    world.teacher.status = 400
    assert (await posted(world, raw, **{"Content-Type": "application/json"}))[0] == 400
    call = await called(world, until)
    assert call.error.startswith("the request is not read: ") and why in call.error
    assert (call.messages, call.decision.reason, call.status) == ((), "unreadable", 400)
