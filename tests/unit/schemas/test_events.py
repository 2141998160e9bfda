"""CloudEvents in three modes, and what is wrong with one is said."""

import json

import pytest

from jitr.schemas.calls import Call, Message
from jitr.schemas.dialects import read_call
from jitr.schemas.errors import RecordError
from jitr.schemas.events import (
    BATCH,
    MOST_EVENTS,
    STRUCTURED,
    Event,
    Malformed,
    decode_events,
    encode_batch,
)

CALL = Call(id="c1", model="m", messages=(Message(role="user", content="hi"),), time=5.0)
WHERE = {"fallback_id": "topic/0/7", "fallback_time": 9.0}


def one(value: bytes, headers: dict[str, bytes]) -> Event:
    (event,) = decode_events(value, headers, **WHERE)
    assert isinstance(event, Event)
    return event


def test_a_batch_comes_back_as_it_was() -> None:
    value, headers = encode_batch([("e1", 5.0, CALL), ("e2", 6.0, CALL)], source="/t")
    events = decode_events(value, headers, **WHERE)
    assert [(e.id, e.type, e.time) for e in events] == [
        ("e1", CALL.event_type, 5.0),
        ("e2", CALL.event_type, 6.0),
    ]
    assert read_call(events[0]) == CALL


def test_structured_and_binary_mode_are_read() -> None:
    data = json.loads(encode_batch([("e1", 5.0, CALL)], source="/t")[0])[0]
    structured = one(json.dumps(data).encode(), {"content-type": f"{STRUCTURED}; charset=utf-8".encode()})
    binary = one(
        json.dumps(data["data"]).encode(),
        {
            "ce_specversion": b"1.0",
            "ce_id": b"e1",
            "ce_type": CALL.event_type.encode(),
            "ce_source": b"/t",
            "ce_time": b"1970-01-01T00:00:05Z",
        },
    )
    assert read_call(structured) == read_call(binary) == CALL
    assert structured.time == binary.time == 5.0


def test_bare_json_is_heard_with_its_place_as_id() -> None:
    event = one(b'{"model": "m", "messages": [{"role": "user", "content": "hi"}]}', {})
    call = read_call(event)
    assert (call.id, call.time) == ("topic/0/7", 9.0)


def test_one_bad_event_of_a_batch_leaves_the_others_unharmed() -> None:
    value, headers = encode_batch([("e1", 5.0, CALL)], source="/t")
    events = json.loads(value)
    bad = [
        {"specversion": "0.3", "id": "x", "source": "/", "type": "t"},
        {"id": 7},
        5,
        {**events[0], "time": "noon"},
    ]
    read = decode_events(json.dumps([*bad, *events]).encode(), headers, **WHERE)
    assert [type(e) for e in read] == [Malformed] * 4 + [Event]
    fields = [e.error.field for e in read[:4] if isinstance(e, Malformed)]
    assert fields == ["$.specversion", "$.id", "", "$.time"]


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"model": "m"}, ""),
        ({"model": 3, "messages": []}, "$.model"),
        ({"model": "m", "messages": [{"role": "user"}]}, "$.messages[0].content"),
        ({"request": {"messages": []}}, "$.request.model"),
        ({"request": {"model": "m", "messages": []}}, "$.request.messages"),
        (
            {"request": {"model": "m", "messages": [{"role": "u"}]}, "response": {"choices": 1}},
            "$.response.choices",
        ),
    ],
)
def test_a_malformed_call_names_its_field(data: dict[str, object], field: str) -> None:
    with pytest.raises(RecordError) as caught:
        read_call(Event(id="e", type="", source="", time=0.0, data=json.dumps(data).encode()))
    assert caught.value.field == field


def test_an_unknown_event_type_names_the_known_ones() -> None:
    with pytest.raises(RecordError, match=r"unknown event type 'x'.*dev\.jitr\.llm\.call\.v1"):
        read_call(Event(id="e", type="x", source="", time=0.0, data=b"{}"))


def test_a_value_that_is_no_batch_at_all_is_refused_as_a_whole() -> None:
    with pytest.raises(RecordError):
        decode_events(b"\xff\x00", {"content-type": BATCH.encode()}, **WHERE)


def test_deep_nesting_does_not_overflow_the_stack() -> None:
    with pytest.raises(RecordError):
        read_call(Event(id="e", type="", source="", time=0.0, data=b"[" * 100_000))


def test_a_record_of_more_events_than_are_read_is_refused_as_a_whole() -> None:
    batch = {"content-type": BATCH.encode()}
    assert len(decode_events(b"[" + b"1," * (MOST_EVENTS - 1) + b"1]", batch, **WHERE)) == MOST_EVENTS
    for headers in (batch, {}):
        with pytest.raises(RecordError, match="array` of length <= 10000"):
            decode_events(b"[" + b"1," * MOST_EVENTS + b"1]", headers, **WHERE)
