"""The OpenAI pair becomes the canonical call."""

from jitr.schemas.dialects.base import Origin
from jitr.schemas.dialects.openai import OpenAIPair

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
