from __future__ import annotations

import json
from typing import Any

import pytest

from jitr.router.openai_answers import stream
from jitr.router.requests import read_response
from jitr.router.sse import StreamError, assemble


def events(*chunks: dict[str, Any] | str) -> bytes:
    return b"".join(b"data: %s\n\n" % (c if isinstance(c, str) else json.dumps(c)).encode() for c in chunks)


def delta(finish: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}


def test_a_surrogates_own_stream_reads_back_as_its_answer() -> None:
    body = assemble(stream("d", 1, "m", "v1", "two\n\nlines: ☃", include_usage=True))
    response, usage = read_response(body)
    assert response is not None and response.text == "two\n\nlines: ☃" and response.fingerprint == "v1"
    assert response.finish_reason == "stop" and usage.input_tokens == 0


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
    response, _ = read_response(body)
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
