"""Reading a chat completion request: what it says for the task, and what no surrogate may answer."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from jitr.router.protocols.openai_answers import error_message
from jitr.router.protocols.sse import StreamError, assemble
from jitr.router.reasons import Reason
from jitr.schemas.calls import Call
from jitr.schemas.dialects.base import Origin
from jitr.schemas.dialects.openai import OpenAIPair
from jitr.schemas.dialects.openai_answer import OpenAIAnswer, read_answer, read_usage
from jitr.schemas.errors import RecordError
from jitr.schemas.lenient import loads
from jitr.schemas.only_teacher import only_teacher, why

_PAIR: Final = OpenAIPair()


def read_request(request: Mapping[str, Any], *, id: str, time: float, tenant: str, task: str | None) -> Call:
    """Read an OpenAI request body as a call that has no response yet.

    Raises
    ------
    RecordError
        Naming the field that is wrong.
    """
    whole = request if isinstance(request, dict) else dict(request)
    return _PAIR.read_request(whole, task or None, Origin(id=id, time=time, tenant=tenant))


def read_response(response: Mapping[str, Any]) -> OpenAIAnswer:
    """Read an OpenAI response body; what cannot be read leaves its reason and the rest.

    Examples
    --------
    >>> answer = read_response({"choices": [{"message": {"content": "spam"}}], "model": "m-1"})
    >>> answer.response.text, answer.response.model, answer.usage.input_tokens
    ('spam', 'm-1', 0)
    >>> read_response({"usage": {"prompt_tokens": 5}}).error
    "the teacher's response cannot be read: $.response.choices: is required but missing"
    """
    try:
        return read_answer(response)
    except RecordError as wrong:
        why = f"the teacher's response cannot be read: {wrong}"
        return OpenAIAnswer(None, read_usage(response.get("usage")), why)


def read_upstream(status: int, body: bytes, *, stream: bool) -> tuple[dict[str, Any] | None, str | None]:
    """An upstream's body, where it is an answer, or why it is none.

    Parameters
    ----------
    status : int
        Its HTTP status.
    body : bytes
        All of it.
    stream : bool
        Whether it is a stream of events.

    Examples
    --------
    >>> read_upstream(200, b'{"choices": []}', stream=False), read_upstream(200, b"", stream=True)
    (({'choices': []}, None), (None, 'the stream holds no answer'))
    """
    if not (stream and 200 <= status < 300):
        return read_body(status, body)
    try:
        return assemble(body), None
    except StreamError as wrong:
        return None, str(wrong)


def read_body(status: int, body: bytes) -> tuple[dict[str, Any] | None, str | None]:
    """An upstream's body, where it is an answer, or why it is none.

    Examples
    --------
    >>> read_body(200, b'{"choices": []}'), read_body(201, b"<html>")
    (({'choices': []}, None), (None, '201: the body is no JSON'))
    >>> read_body(429, b'{"error": {"message": "Slow down."}}')
    (None, '429: Slow down.')
    """
    if 200 <= status < 300:
        try:
            value = loads(body)
        except RecordError:
            value = None
        if isinstance(value, dict):
            return value, None
    return None, error_message(status, body)


def needs_teacher(request: Mapping[str, Any] | Call, harmless: Collection[str] = ()) -> Reason | None:
    """Why only the teacher can answer this request, if so; the rule is `jitr.schemas.only_teacher`.

    Examples
    --------
    >>> needs_teacher({"n": 2}).value, needs_teacher({"n": 1, "stream": True}) is None
    ('choices', True)
    >>> needs_teacher({"tools": [{}], "tool_choice": "none"}) is None
    True
    """
    named = request if isinstance(request, Call) else only_teacher(request)
    found = why(named, harmless)
    if found is None:
        return None
    try:
        return Reason(found[0])
    except ValueError:  # a canonical call may bring reasons of its own
        return Reason.PARAMETER
