"""An upstream's body: nothing but the answer itself can cost the answer, and what is no answer says why."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jitr.router.protocols.openai_answers import error_message
from jitr.router.protocols.openai_requests import read_body, read_response, read_upstream
from jitr.schemas.calls import Call, checked
from jitr.schemas.dialects.openai_answer import OpenAIAnswer

NAMES = st.sampled_from(["type", "text", "message", "code", "content", "function", "name", "arguments"])
UNREAD = "the teacher's response cannot be read"


def body(choice: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    said = {"index": 0, "message": {"role": "assistant", "content": "shipping"}, "finish_reason": "stop"}
    whole = {"model": "m-1", "choices": [said | (choice or {})]}
    return whole | {"usage": {"prompt_tokens": 60, "completion_tokens": 2}} | more


def logprobs(value: Any) -> dict[str, Any]:
    return {"logprobs": {"content": [{"token": "ship", "logprob": value, "top_logprobs": []}]}}


ODD = {
    "parts": body({"message": {"content": [{"type": "text", "text": "shipping"}]}}),
    "parts with thoughts": body({"message": {"content": [{"type": "thinking", "thinking": []}, "shipping"]}}),
    "counts as floats": body(usage={"prompt_tokens": 60.0, "completion_tokens": 2.0}),
    "counts as text": body(usage={"prompt_tokens": "60", "completion_tokens": "2", "total_tokens": None}),
    "details null": body(usage={"prompt_tokens": 60, "completion_tokens": 2, "prompt_tokens_details": None}),
    "logprob null": body(logprobs(None)),
    "logprob infinite": body(logprobs(float("-inf"))),
    "logprob no number": body(logprobs(float("nan"))),
    "logprobs no object": body({"logprobs": []}),
    "model null": body(model=None, created="now", system_fingerprint=7, id=None),
    "another choice first": body(choices=[body({"index": 1})["choices"][0] | {"message": {"content": "b"}},
                                          body()["choices"][0]]),
    "error null": body(error=None),
}  # fmt: skip


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
@pytest.mark.parametrize("before", [b"", b"\n    \n", b"\xef\xbb\xbf"])
def test_one_odd_field_costs_neither_the_answer_nor_its_usage(odd: dict[str, Any], before: bytes) -> None:
    found, error = read_body(201, before + json.dumps(odd).encode())
    assert found is not None and error is None
    answer = read_response(found)
    assert answer.error is None and answer.response is not None
    assert (answer.response.text, answer.response.finish_reason) == ("shipping", "stop")
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (60, 2)


@pytest.mark.parametrize("count", [None, -1, True, 1e300, float("nan"), 10**40, "many", [], {}])
def test_a_count_of_tokens_that_is_none_is_nothing(count: Any) -> None:
    answer = read_response(body(usage={"prompt_tokens": 60, "completion_tokens": count}))
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (60, 0)


def test_half_a_surrogate_pair_in_an_answer_is_marked_and_can_be_written() -> None:
    found, _ = read_body(200, json.dumps(body({"message": {"content": "ok \ud83d"}})).encode())
    assert found is not None
    response = read_response(found).response
    assert response is not None and response.text == "ok �"


@pytest.mark.parametrize("choices", [None, [], [None]])
def test_a_body_without_choices_says_so_and_keeps_its_usage(choices: Any) -> None:
    answer = read_response(body(choices=choices))
    assert (answer.response, answer.error) == (None, "the response holds no choices")
    assert answer.usage.input_tokens == 60


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ({"error": {"message": "overloaded", "code": 502}}, "overloaded"),
        ({"error": "overloaded"}, "overloaded"),
        ({"usage": {}}, f"{UNREAD}: $.response.choices: is required but missing"),
        (
            {"choices": {}},
            f"{UNREAD}: $.response.choices: Expected `array`, got `dict`",
        ),
    ],
)
def test_an_error_that_comes_as_a_success_is_an_error(raw: dict[str, Any], why: str) -> None:
    assert read_response(raw).error == why


@pytest.mark.parametrize(
    ("status", "raw", "said"),
    [
        (200, b"<html>", "200: the body is no JSON"),
        (200, b"", "200: the body is empty"),
        (200, b"[1]", "200: the body tells no error"),
        (401, b'{"error": {"message": "Bad key.", "code": null}}', "401: Bad key."),
        (404, b'{"detail": "Not Found"}', "404: Not Found"),
        (400, b'{"object": "error", "message": "too  long", "code": 400}', "400: too long"),
        (503, b'[{"error": {"code": 503, "message": "busy"}}]', "503: busy"),
        (500, b'{"error": {}}', "500: the body tells no error"),
    ],
)
def test_an_answer_that_is_none_is_told_in_one_line(status: int, raw: bytes, said: str) -> None:
    assert read_body(status, raw) == (None, said)
    assert error_message(status, raw) == said


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=8)
    | st.sampled_from(["text", "stop", "tool_calls", "\ud83d", ""]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8) | NAMES, inner, max_size=4)
    ),
    max_leaves=12,
)


def _answer(said: str) -> st.SearchStrategy[dict[str, Any]]:
    """Bodies, or chunks, in which each part is right or anything."""
    function = st.fixed_dictionaries({}, optional={"name": anything, "arguments": anything})
    call = st.fixed_dictionaries(
        {}, optional={"id": anything, "index": anything, "function": function | anything}
    )
    message = st.fixed_dictionaries(
        {},
        optional={
            "content": anything,
            "refusal": anything,
            "tool_calls": st.lists(call | anything, max_size=2) | anything,
            "function_call": function | anything,
        },
    )
    logprobs = st.fixed_dictionaries({"content": st.lists(anything, max_size=2) | anything}) | anything
    choice = st.fixed_dictionaries(
        {},
        optional={"index": st.just(0) | anything, said: message | anything, "finish_reason": anything}
        | {"logprobs": logprobs},
    )
    whole = {"choices": st.lists(choice | anything, max_size=2) | anything, "error": st.none() | anything}
    whole |= {"usage": st.fixed_dictionaries({"prompt_tokens": anything}) | anything, "model": anything}
    return st.fixed_dictionaries({}, optional=whole)


def check(read: OpenAIAnswer) -> None:
    """It can be published: every text can be written, and every number is in its bounds."""
    asked = {"model": "m", "messages": (), "time": 1.0, "id": "c", "response": read.response}
    checked(Call(**asked, usage=read.usage, error=read.error))
    assert read.response is not None or read.error is not None


@given(_answer("message") | anything)
def test_no_body_makes_reading_raise(value: Any) -> None:
    body, error = read_upstream(200, json.dumps(value).encode(), stream=False)
    check(read_response(body) if body is not None else OpenAIAnswer(error=error))


@given(st.lists(_answer("delta") | anything, max_size=4), st.booleans())
def test_no_stream_makes_reading_raise(chunks: list[Any], done: bool) -> None:
    raw = b"".join(b"data: " + json.dumps(c).encode() + b"\n\n" for c in chunks)
    body, error = read_upstream(200, raw + b"data: [DONE]\n\n" * done, stream=True)
    check(read_response(body) if body is not None else OpenAIAnswer(error=error))


@given(st.binary(max_size=200), st.integers(200, 599), st.booleans())
def test_no_bytes_make_reading_raise(raw: bytes, status: int, stream: bool) -> None:
    body, error = read_upstream(status, raw, stream=stream)
    check(read_response(body) if body is not None else OpenAIAnswer(error=error))
