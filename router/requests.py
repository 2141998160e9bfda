"""Reading a chat completion request: what it says for the task, and what no surrogate may answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from jitr.router.reasons import Reason
from jitr.schemas.calls import Call, Response, Usage
from jitr.schemas.dialects.base import Origin
from jitr.schemas.dialects.openai import OpenAIPair

_PAIR: Final = OpenAIPair()
_NO_REQUEST: Final[dict[str, Any]] = {"model": "", "messages": [{"role": "user"}]}


def read_request(request: Mapping[str, Any], *, id: str, time: float, tenant: str, task: str | None) -> Call:
    """Read an OpenAI request body as a call that has no response yet.

    Raises
    ------
    RecordError
        Naming the field that is wrong.
    """
    pair: dict[str, Any] = {"request": request}
    if task:
        pair["task"] = task
    return _PAIR.read(pair, Origin(id=id, time=time, tenant=tenant))


def read_response(response: Mapping[str, Any]) -> tuple[Response | None, Usage]:
    """Read an OpenAI response body.

    Raises
    ------
    RecordError
        Naming the field that is wrong.

    Examples
    --------
    >>> response, usage = read_response({"choices": [{"message": {"content": "spam"}}], "model": "m-1"})
    >>> response.text, response.model, usage.input_tokens
    ('spam', 'm-1', 0)
    """
    call = _PAIR.read({"request": _NO_REQUEST, "response": response}, Origin(id="-", time=0.0, tenant="-"))
    return call.response, call.usage


def needs_teacher(request: Mapping[str, Any] | Call) -> Reason | None:
    """Why only the teacher can answer this request, if so.

    Examples
    --------
    >>> needs_teacher({"n": 2}).value, needs_teacher({"n": 1, "stream": True}) is None
    ('choices', True)
    >>> needs_teacher({"tools": [{}], "tool_choice": "none"}) is None
    True
    """
    if isinstance(request, Call):
        if request.n > 1:
            return Reason.CHOICES
        if request.logprobs:
            return Reason.LOGPROBS
        return Reason.TOOLS if request.tools else None
    if (request.get("n") or 1) > 1:
        return Reason.CHOICES
    if request.get("logprobs") or request.get("top_logprobs"):
        return Reason.LOGPROBS
    if request.get("tools") and request.get("tool_choice") != "none":
        return Reason.TOOLS
    if request.get("functions") and request.get("function_call") != "none":
        return Reason.TOOLS
    if request.get("audio") or (request.get("modalities") or ["text"]) != ["text"]:
        return Reason.MEDIA
    for message in request.get("messages") or ():
        content = message.get("content")
        if isinstance(content, list) and any(part.get("type") not in ("text", "refusal") for part in content):
            return Reason.MEDIA
    return None
