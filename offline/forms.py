"""Forms in which people keep calls and that are not read: what each looks like, and how it is mended."""

from __future__ import annotations

from typing import Any

from jitr.schemas.calls import Call

FINE_TUNING = "an example for fine-tuning: give its last message as `response`, the others as `request`"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_PRETTY = (
    "JSON over several lines, expected one call a line: `jq -c '.[]' FILE` for an array, else `jq -c . FILE`"
)
_OPENINGS = (b"[", b"{", b"[{")


def form_of_file(first: bytes) -> str | None:
    """What is wrong with a file as a whole, by its first line; None where nothing is.

    Examples
    --------
    >>> form_of_file(b"[\\n")
    "JSON over several lines, expected one call a line: `jq -c '.[]' FILE` for an array, else `jq -c . FILE`"
    >>> form_of_file(b'{"a": 1}\\n') is None
    True
    """
    if first.startswith(_UTF_16) or b"\0" in first:
        return "UTF-16, or no text at all; expected UTF-8: `iconv -f UTF-16 -t UTF-8 FILE`"
    if b"".join(first.split()) in _OPENINGS:
        return _PRETTY
    return None


def form_of(value: Any) -> str | None:
    """The form of a line that is no call, with its mend; None where it is none that is known.

    Examples
    --------
    >>> form_of([{"request": {}}])
    "a JSON array, expected one call a line: `jq -c '.[]' FILE`"
    >>> form_of({"messages": [], "response": {"choices": []}})
    'an OpenAI response beside `messages`: give `model` and `messages` as `request`'
    """
    if isinstance(value, list):
        return "a JSON array, expected one call a line: `jq -c '.[]' FILE`"
    if not isinstance(value, dict):
        return None
    request, response = _object(value.get("request")), _object(value.get("response"))
    if "body" in response:
        if "request" in value:
            return "an answer of OpenAI's batches: give its `body` as `response`"
        return "OpenAI's batch output, without requests: join its input by `custom_id`, as `request`"
    if "choices" in response and "messages" in value:
        return "an OpenAI response beside `messages`: give `model` and `messages` as `request`"
    if "input" in value and "output" in value:
        return "`input` and `output`: give them as `request` and `response`, in OpenAI's form"
    if any(key.startswith("gen_ai.") for key in _object(value.get("attributes"))):
        return "an OpenTelemetry span: give its messages as `request` and `response`"
    if response.get("type") == "message" or "stop_reason" in response:
        return "an Anthropic message: only chat completions of OpenAI's form are read"
    if response.get("object") == "response" or "input" in request:
        return "OpenAI's Responses API: only chat completions are read"
    if "prompt" in request:
        return "a completion of a prompt: only chat completions are read"
    if _ends_in_answer(value.get("messages")) and "response" not in value:
        return FINE_TUNING
    return None


def is_fine_tuning(call: Call) -> bool:
    """Whether a call has its answer among its messages, as examples for fine-tuning have."""
    told = call.response is not None or call.error is not None or call.decision is not None
    return not told and bool(call.messages) and call.messages[-1].role == "assistant"


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _ends_in_answer(messages: Any) -> bool:
    last = messages[-1] if isinstance(messages, list) and messages else None
    return isinstance(last, dict) and last.get("role") == "assistant"
