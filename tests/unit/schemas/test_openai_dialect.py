"""The OpenAI pair becomes the canonical call."""

import pytest

from jitr.schemas.dialects.base import Origin
from jitr.schemas.dialects.openai import OpenAIPair
from jitr.schemas.errors import RecordError

ORIGIN = Origin(id="e", time=1.0, tenant="acme")


def read(request: dict[str, object], response: dict[str, object] | None = None, **more: object):  # type: ignore[no-untyped-def]
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}], **request}
    return OpenAIPair().read({"request": body, "response": response, **more}, ORIGIN)


def test_multi_part_content_joins_its_texts_and_digests_the_rest() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:abc"}}
    parts = [{"type": "text", "text": "what is"}, image, {"type": "text", "text": "this?"}]
    first = read({"messages": [{"role": "user", "content": parts}]})
    again = read({"messages": [{"role": "user", "content": parts}]})
    lines = first.messages[0].content.split("\n")
    assert lines[0] == "what is"
    assert lines[1].startswith("[image:")
    assert lines[2] == "this?"
    assert first.messages == again.messages


def test_usage_fingerprint_and_cost_are_kept() -> None:
    response = {
        "model": "m-2026",
        "system_fingerprint": "fp",
        "choices": [{"message": {"content": "yes"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 3}},
    }
    call = read({}, response, cost_usd=0.5, latency_s=0.1)
    assert call.response is not None
    assert (call.response.text, call.response.model, call.response.fingerprint) == ("yes", "m-2026", "fp")
    assert (call.usage.input_tokens, call.usage.output_tokens, call.usage.cached_tokens) == (5, 2, 3)
    assert (call.cost_usd, call.latency_s, call.tenant, call.id) == (0.5, 0.1, "acme", "e")


def test_the_caller_names_its_task_in_the_metadata() -> None:
    assert read({"metadata": {"jitr_task": "triage"}}).task == "triage"


def test_tool_call_ids_do_not_make_equal_answers_differ() -> None:
    def answer(id: str) -> dict[str, object]:
        call = {"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}}
        return {"choices": [{"message": {"content": None, "tool_calls": [call]}}]}

    assert read({}, answer("a")).response == read({}, answer("b")).response


def test_unknown_fields_of_the_bodies_are_no_error() -> None:
    assert (
        read({"seed": 3, "service_tier": "flex"}, {"choices": [], "object": "chat.completion"}).response
        is None
    )


@pytest.mark.parametrize(
    ("message", "content"),
    [
        ({"content": ["what is", {"type": "text", "text": "this?"}]}, "what is\nthis?"),
        ({"content": {"type": "text", "text": "x"}}, "x"),
        ({"content": None, "name": 7}, ""),
    ],
)
def test_content_is_read_where_its_meaning_is_plain(message: dict[str, object], content: str) -> None:
    call = read({"messages": [{"role": "user", **message}], "temperature": "0", "n": "1", "metadata": [1]})
    assert (call.messages[0].content, call.temperature, call.n, call.metadata) == (content, 0.0, 1, {})


def test_arguments_that_are_an_object_are_their_text() -> None:
    def asked(arguments: object) -> object:
        function = {"name": "look", "arguments": arguments}
        message = {"role": "assistant", "content": None, "tool_calls": [{"id": "a", "function": function}]}
        return read({"messages": [message]}).messages

    assert asked({"x": 1}) == asked('{"x":1}')


@pytest.mark.parametrize(
    ("request_body", "field"),
    [
        ({"model": None}, "model"),
        ({"messages": "hi"}, "messages"),
        ({"messages": ["hi"]}, "messages[0]"),
        ({"messages": [{"role": "user", "content": "a"}, {"content": "b"}]}, "messages[1].role"),
        ({"messages": [{"role": "user", "content": 7}]}, "messages[0].content"),
        ({"n": 10**30}, "n"),
        ({"n": -1}, "n"),
        ({"n": "all"}, "n"),
    ],
)
def test_what_has_no_plain_meaning_names_its_field(request_body: dict[str, object], field: str) -> None:
    with pytest.raises(RecordError) as caught:
        read(request_body)
    assert caught.value.field == f"$.request.{field}"


def test_an_answer_that_the_model_declined_says_so() -> None:
    call = read({}, {"choices": [{"message": {"content": None, "refusal": "no"}, "finish_reason": "stop"}]})
    assert call.response is not None
    assert (call.response.text, call.response.finish_reason) == ("no", "refusal")
