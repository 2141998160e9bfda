"""What a surrogate says, in the form in which OpenAI's clients read it; and what an LLM's error says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from jitr.schemas.dialects.openai_answer import error_said
from jitr.schemas.errors import RecordError
from jitr.schemas.lenient import loads

_encode: Final = msgspec.json.Encoder().encode
# the surrogate reads no tokens that anybody bills; clients expect the field nevertheless
USAGE: Final = {
    "prompt_tokens": 0,
    "completion_tokens": 0,
    "total_tokens": 0,
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
}


def completion(id: str, created: int, model: str, version: str, text: str) -> bytes:
    """A chat completion.

    Parameters
    ----------
    id : str
        The decision's id.
    created : int
        Seconds since the epoch.
    model : str
        As the caller asked for it.
    version : str
        The surrogate's version, given as ``system_fingerprint``.
    text : str
        The answer.

    Examples
    --------
    >>> body = msgspec.json.decode(completion("d1", 0, "gpt-4.1", "v1", "spam"))
    >>> body["choices"][0]["message"]["content"], body["usage"]["total_tokens"], body["system_fingerprint"]
    ('spam', 0, 'v1')
    """
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None, "annotations": []}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    head = _head(id, created, model, version, "chat.completion")
    return _encode({**head, "choices": [choice], "usage": USAGE})


def stream(id: str, created: int, model: str, version: str, text: str, *, include_usage: bool) -> bytes:
    """The same as server-sent events: role, content, finish, usage if asked for, and the end.

    Examples
    --------
    >>> events = stream("d1", 0, "m", "v1", "spam", include_usage=True).split(b"\\n\\n")
    >>> len(events), events[-2]
    (6, b'data: [DONE]')
    """
    head = _head(id, created, model, version, "chat.completion.chunk")
    if include_usage:
        head["usage"] = None

    def chunk(delta: Mapping[str, Any], finish: str | None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {**head, "choices": [choice]}

    chunks = [
        chunk({"role": "assistant", "content": "", "refusal": None}, None),
        chunk({"content": text}, None),
        chunk({}, "stop"),
    ]
    if include_usage:
        chunks.append({**head, "choices": [], "usage": USAGE})
    return b"".join(b"data: " + _encode(c) + b"\n\n" for c in chunks) + b"data: [DONE]\n\n"


def wants_usage(request: Mapping[str, Any]) -> bool:
    """Whether a streamed answer has to end with its usage."""
    options = request.get("stream_options")
    return isinstance(options, Mapping) and bool(options.get("include_usage"))


def unstreamed(request: Mapping[str, Any]) -> bytes:
    """The same request without streaming, for an audit that nobody watches."""
    return _encode({k: v for k, v in request.items() if k not in ("stream", "stream_options")})


def error_message(status: int, body: bytes) -> str:
    """An upstream's error in one line, for the call's event.

    Examples
    --------
    >>> error_message(429, b'{"error": {"message": "Slow down."}}')
    '429: Slow down.'
    >>> error_message(502, b"<html>"), error_message(500, b"{}"), error_message(503, b"")
    ('502: the body is no JSON', '500: the body tells no error', '503: the body is empty')
    """
    if not body.strip():
        return f"{status}: the body is empty"
    try:
        said = error_said(loads(body))
    except RecordError:
        return f"{status}: the body is no JSON"
    return f"{status}: {said or 'the body tells no error'}"


def _head(id: str, created: int, model: str, version: str, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{id}",
        "object": kind,
        "created": created,
        "model": model,
        "service_tier": "default",
        "system_fingerprint": version,
    }
