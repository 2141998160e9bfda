from __future__ import annotations

import json
from typing import Any

import pytest

from jitr.router.protocols.openai_answers import stream
from jitr.router.protocols.openai_requests import read_response
from jitr.router.protocols.sse import StreamError, assemble


def events(*chunks: dict[str, Any] | str) -> bytes:
    return b"".join(b"data: %s\n\n" % (c if isinstance(c, str) else json.dumps(c)).encode() for c in chunks)


def delta(finish: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}


def test_a_surrogates_own_stream_reads_back_as_its_answer() -> None:
    body = assemble(stream("d", 1, "m", "v1", "two\n\nlines: ☃", include_usage=True))
    read = read_response(body)
    response = read.response
    assert response is not None and response.text == "two\n\nlines: ☃" and response.fingerprint == "v1"
    assert response.finish_reason == "stop" and read.usage.input_tokens == 0


def test_tool_calls_grow_piece_by_piece() -> None:
    first = {"index": 0, "id": "c1", "function": {"name": "find", "arguments": ""}}
    body = assemble(
        events(
            delta(role="assistant", tool_calls=[first]),
            delta(tool_calls=[{"index": 0, "function": {"arguments": '{"q":'}}]),
            delta(tool_calls=[{"index": 0, "function": {"arguments": "1}"}}]),
            delta("tool_calls"),
            "[DONE]",
        )
    )
    response = read_response(body).response
    assert response is not None and response.tool_calls == '[["find","{\\"q\\":1}"]]'


def test_only_the_first_choice_is_read() -> None:
    other = {"choices": [{"index": 1, "delta": {"content": "b"}, "finish_reason": "stop"}]}
    body = assemble(events(delta(content="a"), other, delta("length"), "[DONE]"))
    assert body["choices"][0]["message"]["content"] == "a"
    assert body["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        events(delta(content="a")),
        events({"error": {"message": "overloaded"}}),
        b"data: {broken\n\n",
        b"data: \xff\n\n",
    ],
)
def test_a_stream_without_a_whole_answer_is_refused(raw: bytes) -> None:
    with pytest.raises(StreamError):
        assemble(raw)


def chunk(finish: str | None = None, index: int = 0, **fields: Any) -> dict[str, Any]:
    return {"model": "m-1", "choices": [{"index": index, "delta": fields, "finish_reason": finish}]}


SAID = [chunk(role="assistant", content=""), chunk(content="ship"), chunk(content="ping"), chunk("stop")]
COUNTED = {"model": "m-1", "choices": [], "usage": {"prompt_tokens": 60, "completion_tokens": 2}}
END = b"data: [DONE]\n\n"
FILTERS = {"content_filter_results": {"hate": {"filtered": False}}}


def said(*more: dict[str, Any]) -> bytes:
    return events(*SAID, *more)


def in_lines(text: bytes, end: bytes) -> bytes:
    return text.replace(b"\n", end)


@pytest.mark.parametrize(
    "raw",
    [
        said(COUNTED) + END,
        said(COUNTED),
        said(COUNTED).rstrip(b"\n"),
        b"\xef\xbb\xbf" + said(COUNTED) + END,
        in_lines(said(COUNTED) + END, b"\r\n"),
        in_lines(said(COUNTED) + END, b"\r"),
        (said(COUNTED) + END).replace(b"data: ", b"data:"),
        b": PROCESSING\n\n" + said(COUNTED).replace(b"\n\n", b"\n\n: keep-alive\n\n") + END,
        said(COUNTED).replace(b"data:", b"event: message\nid: 7\nretry: 100\ndata:") + END,
        b'event: ping\ndata: {"type": "ping"}\n\n' + said(COUNTED) + END,
        b"data:\n\n" + said(COUNTED).replace(b"\n\n", b"\n\ndata: \n\n") + END,
        (said(COUNTED) + END).replace(b", ", b",\ndata: "),
        events({"model": "", "choices": [], "prompt_filter_results": [FILTERS]}) + said(COUNTED) + END,
        said({"choices": [{"index": 0, "delta": None, **FILTERS}], "usage": None}, COUNTED) + END,
        said({**COUNTED, "choices": None}) + END,
        said({"usage": COUNTED["usage"]}) + END,
        said(COUNTED, chunk("stop", content="")) + END,
        events(*[{**c, "model": None, "id": 7, "created": "now"} for c in SAID], COUNTED) + END,
        said({**COUNTED, "usage": {**COUNTED["usage"], "total_tokens": None, "x": []}}) + END,
        said({**COUNTED, "usage": {"prompt_tokens": 60.0, "completion_tokens": "2"}}) + END,
        said(chunk(index=1, content="account"), chunk("stop", index=1), COUNTED) + END,
    ],
    ids=lambda raw: raw[:40],
)
def test_no_odd_framing_and_no_odd_bookkeeping_costs_an_answer_or_its_usage(raw: bytes) -> None:
    answer = read_response(assemble(raw))
    assert answer.error is None and answer.response is not None
    assert (answer.response.text, answer.response.finish_reason) == ("shipping", "stop")
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (60, 2)


def test_only_line_feeds_and_carriage_returns_end_a_line() -> None:
    text = "ship\u2028ping\u0085\x0b\x0c\x1c."
    raw = b"data: " + json.dumps(chunk("stop", content=text), ensure_ascii=False).encode() + b"\n\n"
    assert assemble(raw)["choices"][0]["message"]["content"] == text


def test_a_character_that_two_chunks_share_is_put_together_and_half_a_one_is_marked() -> None:
    halves = events(chunk(content="ok \ud83d"), chunk("stop", content="\ude00"))
    assert assemble(halves)["choices"][0]["message"]["content"] == "ok 😀"
    assert assemble(events(chunk("stop", content="ok \ud83d")))["choices"][0]["message"]["content"] == "ok �"


@pytest.mark.parametrize(
    "pieces",
    [
        [[{"index": 0, "id": "a", "function": {"name": "look", "arguments": '{"x":1}'}}],
         [{"index": 0, "id": "b", "function": {"name": "find", "arguments": '{"y":2}'}}]],
        [[{"id": "a", "function": {"name": "look", "arguments": '{"x":1}'}},
          {"id": "b", "function": {"name": "find", "arguments": '{"y":2}'}}]],
        [[{"id": "a", "function": {"name": "look", "arguments": '{"x":'}}],
         [{"function": {"arguments": "1}"}}],
         [{"id": "b", "function": {"name": "find", "arguments": '{"y":2}'}}]],
        [[{"index": 1, "id": "b", "function": {"name": "find", "arguments": '{"y":2}'}},
          {"index": 0, "id": "a", "function": {"name": "look", "arguments": {"x": 1}}}]],
    ],
    ids=["one index", "no index", "no index, in pieces", "out of order, an object"],
)  # fmt: skip
def test_two_tool_calls_stay_two(pieces: list[list[dict[str, Any]]]) -> None:
    raw = events(*[chunk(tool_calls=calls) for calls in pieces], chunk("tool_calls")) + END
    response = read_response(assemble(raw)).response
    assert response is not None
    assert response.tool_calls == '[["look","{\\"x\\":1}"],["find","{\\"y\\":2}"]]'


def test_a_function_call_of_old_grows_and_is_no_text() -> None:
    raw = events(
        chunk(content=None, function_call={"name": "look", "arguments": ""}),
        chunk(function_call={"arguments": '{"x":1}'}),
        chunk("function_call"),
    )
    response = read_response(assemble(raw)).response
    assert response is not None
    assert (response.text, response.tool_calls) == ("", '[["look","{\\"x\\":1}"]]')


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (events(*SAID[:2], {"error": {"message": "overloaded", "code": 502}}) + END, "overloaded"),
        (events(*SAID[:2]) + b'event: error\ndata: {"message": "gone"}\n\n', "gone"),
        (events(*SAID[:2]), "ended before"),
        (events(*SAID[:2]) + b"data: {broken\n\n" + END, "cannot be read"),
        (b"<html>busy</html>", "no answer"),
    ],
)
def test_a_stream_that_holds_no_answer_says_why(raw: bytes, why: str) -> None:
    with pytest.raises(StreamError, match=why):
        assemble(raw)


def test_a_stream_that_ends_in_order_but_names_no_reason_keeps_its_text_and_usage() -> None:
    answer = read_response(assemble(events(*SAID[:3], COUNTED) + END))
    assert answer.response is not None
    assert (answer.response.text, answer.response.finish_reason) == ("shipping", "")
    assert answer.usage.input_tokens == 60
