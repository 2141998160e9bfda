"""The OpenAI dialect: a chat-completions request body beside its response body."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jitr.schemas.calls import Call, DecisionStamp, Message
from jitr.schemas.checks import LONGEST_STOP
from jitr.schemas.dialects.base import Origin
from jitr.schemas.dialects.openai_answer import OpenAIAnswer, error_said, read_answer, text_of, tool_calls_of
from jitr.schemas.errors import RecordError
from jitr.schemas.only_teacher import only_teacher
from jitr.schemas.parameters import CONSTRAINTS
from jitr.schemas.record import Record, convert, encode

_MOST_CHOICES = 1000
_NOT_ANSWERED = OpenAIAnswer()


class _Pair(Record, frozen=True, kw_only=True):
    request: dict[str, Any]
    response: dict[str, Any] | None = None
    id: str | None = None
    time: float | None = None
    tenant: str | None = None
    latency_s: float | None = None
    cost_usd: float | None = None
    task: str | None = None
    error: Any = None
    status: int | None = None
    metadata: dict[str, str] = {}
    decision: DecisionStamp | None = None


class OpenAIPair:
    """``{"request": <chat completion request>, "response": <chat completion>}`` and what else is known.

    Beside the two bodies it takes `id`, `time`, `tenant`, `latency_s`, `cost_usd`, `task`, `error`, `status`
    and `metadata`, as in `Call`.
    """

    types = ("dev.jitr.llm.openai.v1",)
    form = "an OpenAI pair with `request` and `response`"

    def sniff(self, value: Any) -> bool:
        """See `Dialect`."""
        return isinstance(value, dict) and "request" in value

    def read(self, value: Any, origin: Origin) -> Call:
        """See `Dialect`."""
        return self._call(convert(value, _Pair, stage="dialect"), origin)

    def read_request(self, request: dict[str, Any], task: str | None, origin: Origin) -> Call:
        """Read a request body of its own, as `read` does a pair that has no response.

        Raises
        ------
        RecordError
            Naming the field that is wrong.
        """
        return self._call(_Pair(request=request, task=task), origin)

    def _call(self, pair: _Pair, origin: Origin) -> Call:
        request = pair.request
        answer = _NOT_ANSWERED if pair.response is None else read_answer(pair.response)
        metadata = pair.metadata
        if named := _mapping(request.get("metadata")):
            metadata = {k: _text(v) for k, v in named.items()} | metadata
        tools = request.get("tools") or request.get("functions")
        choice = request.get("tool_choice", request.get("function_call"))
        return Call(
            id=pair.id or origin.id,
            tenant=pair.tenant or origin.tenant,
            time=pair.time if pair.time is not None else origin.time,
            model=_required(request, "model", str),
            messages=_messages(request),
            response=answer.response,
            usage=answer.usage,
            cost_usd=pair.cost_usd,
            latency_s=pair.latency_s,
            tools=_canonical(tools) if tools else None,
            tool_choice=choice if choice in ("none", "auto", "required") else None,
            response_format=_constraints(request),
            only_teacher=only_teacher(request),
            max_tokens=_limit(request),
            stop=_stop(request.get("stop")),
            n=_choices(request.get("n")),
            logprobs=bool(request.get("logprobs")),
            temperature=_number(request.get("temperature")),
            task=pair.task or metadata.get("jitr_task"),
            decision=pair.decision,
            metadata=metadata,
            error=(error_said({"error": pair.error}) if pair.error else None) or answer.error,
            status=pair.status,
        )


def _canonical(value: Any) -> str:
    return encode(value).decode()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else _canonical(value)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _required(request: Mapping[str, Any], name: str, kind: type) -> Any:
    if name not in request:
        raise _wrong(name, "is required but missing")
    if not isinstance(request[name], kind):
        raise _wrong(name, f"Expected `{kind.__name__}`, got `{type(request[name]).__name__}`")
    return request[name]


def _messages(request: Mapping[str, Any]) -> tuple[Message, ...]:
    messages = _required(request, "messages", list)
    if not messages:
        raise _wrong("messages", "must hold at least one message")
    return tuple([_message(m, f"messages[{at}]") for at, m in enumerate(messages)])


def _message(message: Any, field: str) -> Message:
    if not isinstance(message, dict):
        raise _wrong(field, f"Expected `object`, got `{type(message).__name__}`")
    role, content, name = message.get("role"), message.get("content"), message.get("name")
    if not isinstance(role, str):
        raise _wrong(f"{field}.role", "is required, a text")
    if not isinstance(content, str | list | dict | None):
        raise _wrong(f"{field}.content", f"Expected a text or parts, got `{type(content).__name__}`")
    return Message(
        role=role,
        content=text_of(content, "\n"),
        name=name if isinstance(name, str) else None,
        tool_calls=tool_calls_of(message),
    )


def _constraints(request: Mapping[str, Any]) -> str | None:
    """What binds the form of the answer: `response_format`, or with it what a server has of its own."""
    form = request.get("response_format")
    if not form or form == {"type": "text"}:
        form = None
    if CONSTRAINTS.isdisjoint(request):
        return _canonical(form) if form else None
    held = {name: request[name] for name in CONSTRAINTS if request.get(name) is not None}
    if form:
        held["response_format"] = form
    return _canonical(held) if held else None


def _limit(request: Mapping[str, Any]) -> int | None:
    given = (request.get("max_tokens"), request.get("max_completion_tokens"))
    if given == (None, None):
        return None
    return min([n for n in given if type(n) is int and 0 < n < 2**31], default=None)


def _stop(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    sequences = value if isinstance(value, list) else (value,)
    return tuple([s for s in sequences[:4] if isinstance(s, str) and 0 < len(s) <= LONGEST_STOP])


def _choices(n: Any) -> int:
    if isinstance(n, str) and n.isdecimal() and len(n) < 9:
        n = int(n)
    if isinstance(n, float) and n.is_integer():
        n = int(n)
    if n is None or n is False:
        return 1
    if isinstance(n, bool) or not isinstance(n, int) or not 0 <= n <= _MOST_CHOICES:
        raise _wrong("n", f"Expected a number of choices, 0 to {_MOST_CHOICES}")
    return n or 1


def _number(value: Any) -> float | None:
    """A number, also as text; None for anything else: nothing that is decided here rests on it."""
    try:
        found = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else None
    except (ValueError, OverflowError):
        return None
    return found if found is not None and abs(found) < 1e6 else None


def _wrong(field: str, reason: str) -> RecordError:
    return RecordError(reason, field=f"$.request.{field}", stage="dialect")
