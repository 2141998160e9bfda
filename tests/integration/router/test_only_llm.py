"""Requests that only the LLM answers reach it, whatever the route says: over HTTP, with a real surrogate."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import msgspec
import pytest

from jitr.schemas.routes import Route

Make = Callable[..., Route]
Apply = Callable[[Route], Awaitable[None]]
Until = Callable[[Callable[[], Any]], Awaitable[None]]
SCHEMA = {"type": "json_schema", "json_schema": {"name": "mood", "schema": {"type": "object"}}}


async def ask(world: Any, headers: dict[str, str] | None = None, **fields: Any) -> tuple[str, str]:
    """Who answered, and why."""
    url = f"{world.gateway.base_url}/chat/completions"
    sent = {"x-jitr-debug": "1", **(headers or {})}
    async with (
        aiohttp.ClientSession() as http,
        http.post(url, json=world.request(**fields), headers=sent) as answer,
    ):
        assert answer.status == 200
        await answer.read()
        return answer.headers["x-jitr-route"], answer.headers["x-jitr-reason"]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"temperature": 2, "top_p": 1, "seed": 7, "user": "u", "metadata": {"a": "b"}, "store": False},
        {"max_tokens": 16, "stop": ["\n"], "n": 1, "logprobs": False, "service_tier": "auto"},
        {"response_format": {"type": "text"}},
    ],
)
async def test_what_a_surrogate_can_answer_never_reaches_the_llm(
    world: Any, route: Make, apply: Apply, fields: dict[str, Any]
) -> None:
    await apply(route())
    assert await ask(world, **fields) == ("surrogate", "accepted")
    assert world.teacher.asked == []


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"n": 2}, "choices"),
        ({"max_tokens": 0}, "invalid"),
        ({"temperature": "0"}, "invalid"),
        ({"stream_options": {"include_usage": True}}, "invalid"),
        ({"max_tokens": 1}, "max_tokens"),
        ({"stop": "ive"}, "stop"),
        ({"logit_bias": {"1": 100}}, "logit_bias"),
        ({"web_search_options": {}}, "search"),
        ({"prediction": {"type": "content", "content": "Positive."}}, "prediction"),
        ({"store": True}, "store"),
        ({"service_tier": "priority"}, "service_tier"),
        ({"of_a_vendor": 1}, "parameter"),
        # another form of answer is another task
        ({"response_format": SCHEMA}, "no_task"),
        ({"guided_choice": ["Positive.", "Negative."]}, "no_task"),
    ],
)
async def test_what_only_the_llm_answers_reaches_it(
    world: Any, route: Make, apply: Apply, until: Until, fields: dict[str, Any], reason: str
) -> None:
    await apply(route())
    assert await ask(world, **fields) == ("teacher", reason)
    assert len(world.teacher.asked) == 1
    await until(lambda: world.kept.calls)
    [call] = world.kept.calls
    assert call.decision.reason == reason and not call.decision.accepted


@pytest.mark.parametrize("where", ["header", "metadata"])
async def test_a_name_does_not_stand_for_a_format_that_was_not_learned(
    world: Any, route: Make, apply: Apply, until: Until, task: Any, where: str
) -> None:
    await world.table.apply_tasks([msgspec.structs.replace(task, caller_name="mood", version=2)])
    await until(lambda: getattr(world.snapshot.view("default"), "matcher", None))
    named: dict[str, Any] = {"headers": {"x-jitr-task": "mood"}} if where == "header" else {}
    if where == "metadata":
        named = {"metadata": {"jitr_task": "mood"}}
    await apply(route())
    await until(lambda: _is_named(world))
    assert await ask(world, **named) == ("surrogate", "accepted")
    assert await ask(world, **named, response_format={"type": "text"}) == ("surrogate", "accepted")
    assert world.teacher.asked == []
    for fields in ({"response_format": SCHEMA}, {"tools": [{"type": "function"}]}, {"model": "small-llm"}):
        assert (await ask(world, **named, **fields))[0] == "teacher"
    assert len(world.teacher.asked) == 3


def _is_named(world: Any) -> bool:
    return any(task.caller_name for task, _ in world.snapshot.view("default").matcher._named.values())
