"""What is published can be read: whatever a call holds, it is a readable event or an error."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jitr.router.publishing.packing import encoded, weight
from jitr.schemas.calls import Call, DecisionStamp, Message, Response
from jitr.schemas.dialects import read_call
from jitr.schemas.events import BATCH, Event, decode_events

texts = st.text(st.characters(exclude_categories=[]), max_size=20)
calls = st.builds(
    Call,
    id=texts.filter(bool),
    model=texts,
    messages=st.lists(
        st.builds(Message, role=texts, content=texts, name=st.none() | texts, tool_calls=st.none() | texts),
        max_size=3,
    ).map(tuple),
    time=st.floats(),
    tenant=texts.filter(bool),
    response=st.none()
    | st.builds(Response, text=texts, model=texts, opening=st.dictionaries(texts, st.just(0.5))),
    task=st.none() | texts.filter(bool),
    tools=st.none() | texts,
    metadata=st.dictionaries(texts, texts, max_size=2),
    error=st.none() | texts,
    decision=st.none()
    | st.builds(
        DecisionStamp, id=texts.filter(bool), task=st.none() | texts.filter(bool), answer=st.none() | texts
    ),
)


def read(event: bytes) -> Call:
    found = decode_events(
        b"[" + event + b"]", [("content-type", BATCH.encode())], fallback_id="", fallback_time=0.0
    )
    assert len(found) == 1 and isinstance(found[0], Event), found
    return read_call(found[0])


@given(calls)
def test_any_text_and_any_time_can_be_published(call: Call) -> None:
    found = read(encoded(call, "/test"))
    assert [len(m.content) for m in found.messages] <= [len(m.content) for m in call.messages]
    assert 0 < found.time < 253_402_300_800


def test_a_lone_surrogate_costs_its_character_only() -> None:
    message = Message(role="user", content="caf\ud800 \ud83d\ude00 ü")
    call = Call(id="c", model="m", messages=(message,), time=1.0, task="\udcff", metadata={"\udc80k": "v"})
    found = read(encoded(call, "/test"))
    assert found.messages[0].content == "caf\ufffd 😀 ü"
    assert found.task == "\ufffd" and found.metadata == {"\ufffdk": "v"}


@pytest.mark.parametrize(
    ("given", "published"), [(1_795_935_600.5, 1_795_935_600.5), (1_795_935_600_500.0, 1_795_935_600.5)]
)
def test_a_time_in_milliseconds_is_read_as_such(given: float, published: float) -> None:
    assert read(encoded(Call(id="c", model="m", messages=(), time=given), "/test")).time == published


@pytest.mark.parametrize("given", [1e300, -1.0, math.nan, math.inf, 0.0])
def test_a_time_that_is_none_becomes_the_time_of_publishing(given: float) -> None:
    before = time.time()
    found = read(encoded(Call(id="c", model="m", messages=(), time=given), "/test"))
    assert before - 1 <= found.time <= time.time() + 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": ""},
        {"id": 7},
        {"model": None},
        {"messages": ("hi",)},
        {"n": "x"},
        {"usage": {"input_tokens": "x"}},
    ],
)
def test_what_no_reader_would_take_is_an_error_here(wrong: dict[str, Any]) -> None:
    with pytest.raises(Exception, match=r".+"):
        encoded(Call(**{"id": "c", "model": "m", "messages": (), "time": 1.0, **wrong}), "/test")


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": (Message(role="user", content="", tool_calls="x" * 6_000_000),)},
        {"tools": "x" * 6_000_000},
        {"response_format": "x" * 6_000_000},
        {"metadata": {"k": "x" * 6_000_000}},
        {"response": Response(text="", tool_calls="x" * 6_000_000)},
        {"error": "x" * 6_000_000},
    ],
)
def test_the_weight_counts_every_text(fields: dict[str, Any]) -> None:
    call = Call(**{"id": "c", "model": "m", "messages": (), "time": 1.0, **fields})
    assert weight(call) > 6_000_000
