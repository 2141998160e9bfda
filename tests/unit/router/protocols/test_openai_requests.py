"""No request, however odd, makes deciding raise."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jitr.models.tasks.matching.matcher import Matcher
from jitr.router.protocols.openai_requests import needs_teacher
from jitr.router.reasons import Reason
from jitr.router.router import Router
from jitr.router.snapshot import View
from jitr.schemas.calls import Call, Message
from jitr.schemas.settings import Settings

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
messages = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "system", "tool"]) | anything, "content": anything}
    ),
    max_size=3,
)
requests = st.fixed_dictionaries(
    {"model": st.just("m") | anything, "messages": messages | anything},
    optional=dict.fromkeys(("n", "tools", "tool_choice", "logprobs", "metadata", "modalities"), anything),
)


class Snapshot:
    def view(self, tenant: str) -> View:
        return View(Matcher([]))


class Sink:
    keeping = True

    def publish(self, call: Call, *, redacted: bool = False) -> bool:
        return True


@given(requests)
def test_any_request_is_decided(request: dict[str, Any]) -> None:
    router = Router(Settings(), Snapshot(), Sink())  # type: ignore[arg-type]
    decision = router.lookup(request)
    assert decision.target == "teacher"
    assert decision.reason in (Reason.UNREADABLE, Reason.NO_TASK)
    router.report(decision, request)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, None),
        ({"n": None, "logprobs": False, "tools": [], "stream": True}, None),
        ({"n": 3}, Reason.CHOICES),
        ({"top_logprobs": 2}, Reason.LOGPROBS),
        ({"tools": [{}]}, Reason.TOOLS),
        ({"tools": [{}], "tool_choice": "none"}, None),
        ({"functions": [{}], "function_call": "none"}, None),
        ({"audio": {"voice": "x"}}, Reason.MEDIA),
        ({"modalities": ["text"]}, None),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]}]}, None),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, Reason.MEDIA),
    ],
)
def test_what_only_the_teacher_can_answer(fields: dict[str, Any], reason: Reason | None) -> None:
    assert needs_teacher({"model": "m", **fields}) is reason


def test_a_canonical_call_says_the_same() -> None:
    def call(**fields: Any) -> Call:
        return Call(id="1", model="m", messages=(Message(role="user", content="a"),), time=0.0, **fields)

    assert needs_teacher(call()) is None
    assert needs_teacher(call(n=2)) is Reason.CHOICES
    assert needs_teacher(call(logprobs=True)) is Reason.LOGPROBS
    assert needs_teacher(call(tools="[]")) is Reason.TOOLS


def test_a_reason_that_nobody_knows_still_leaves_a_call_to_the_teacher() -> None:
    call = Call(id="1", model="m", time=0.0, messages=(), only_teacher={"x": "a reason of its own"})
    assert needs_teacher(call) is Reason.PARAMETER
