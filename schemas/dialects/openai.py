"""The OpenAI dialect: a chat-completions request body beside its response body."""

from __future__ import annotations

import math
from hashlib import blake2b
from typing import Any

import msgspec

from jitr.schemas.calls import Call, DecisionStamp, Message, Response, Usage
from jitr.schemas.dialects.base import Origin
from jitr.schemas.errors import RecordError
from jitr.schemas.record import Record, convert, encode


class _FunctionCall(msgspec.Struct):
    name: str = ""
    arguments: str = ""


class _ToolCall(msgspec.Struct):
    function: _FunctionCall = msgspec.field(default_factory=_FunctionCall)


class _RequestMessage(msgspec.Struct):
    role: str
    content: str | list[dict[str, Any]] | None = None
    name: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Request(msgspec.Struct):
    model: str
    messages: list[_RequestMessage]
    tools: list[Any] | None = None
    functions: list[Any] | None = None
    response_format: Any = None
    n: int | None = None
    logprobs: bool | None = None
    temperature: float | None = None
    metadata: dict[str, Any] | None = None


class _ResponseMessage(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Alternative(msgspec.Struct):
    token: str
    logprob: float


class _Token(_Alternative):
    top_logprobs: list[_Alternative] = []


class _Logprobs(msgspec.Struct):
    content: list[_Token] | None = None


class _Choice(msgspec.Struct):
    message: _ResponseMessage
    logprobs: _Logprobs | None = None
    finish_reason: str | None = None


class _CachedTokens(msgspec.Struct):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: _CachedTokens | None = None


class _Response(msgspec.Struct):
    choices: list[_Choice]
    model: str = ""
    created: float | None = None
    system_fingerprint: str | None = None
    usage: _Usage | None = None


class _Pair(Record, frozen=True, kw_only=True):
    request: _Request
    response: _Response | None = None
    id: str | None = None
    time: float | None = None
    tenant: str | None = None
    latency_s: float | None = None
    cost_usd: float | None = None
    task: str | None = None
    error: str | None = None
    metadata: dict[str, str] = {}
    decision: DecisionStamp | None = None


class OpenAIPair:
    """``{"request": <chat completion request>, "response": <chat completion>}`` and what else is known.

    Beside the two bodies it takes `id`, `time`, `tenant`, `latency_s`, `cost_usd`, `task`, `error` and
    `metadata`, as in `Call`.
    """

    types = ("dev.jitr.llm.openai.v1",)
    form = "an OpenAI pair with `request` and `response`"

    def sniff(self, value: Any) -> bool:
        """See `Dialect`."""
        return isinstance(value, dict) and "request" in value

    def read(self, value: Any, origin: Origin) -> Call:
        """See `Dialect`."""
        pair = convert(value, _Pair, stage="dialect")
        request, response = pair.request, pair.response
        if not request.messages:
            raise RecordError("must hold at least one message", field="$.request.messages", stage="dialect")
        metadata = {str(k): str(v) for k, v in (request.metadata or {}).items()} | pair.metadata
        tools = request.tools or request.functions
        usage = response.usage if response and response.usage else None
        return Call(
            id=pair.id or origin.id,
            tenant=pair.tenant or origin.tenant,
            time=pair.time if pair.time is not None else origin.time,
            model=request.model,
            messages=tuple(map(_message, request.messages)),
            response=_response(response) if response else None,
            usage=_usage(usage) if usage else Usage(),
            cost_usd=pair.cost_usd,
            latency_s=pair.latency_s,
            tools=_canonical(tools) if tools else None,
            response_format=_canonical(request.response_format) if request.response_format else None,
            n=request.n or 1,
            logprobs=bool(request.logprobs),
            temperature=request.temperature,
            task=pair.task or metadata.get("jitr_task"),
            decision=pair.decision,
            metadata=metadata,
            error=pair.error,
        )


def _canonical(value: Any) -> str:
    return encode(value).decode()


def _tool_calls(calls: list[_ToolCall] | None) -> str | None:
    # call ids differ between equal answers
    return _canonical([[c.function.name, c.function.arguments] for c in calls]) if calls else None


def _message(message: _RequestMessage) -> Message:
    return Message(
        role=message.role,
        content=_text(message.content),
        name=message.name,
        tool_calls=_tool_calls(message.tool_calls),
    )


def _text(content: str | list[dict[str, Any]] | None) -> str:
    if content is None:
        return ""
    return content if isinstance(content, str) else "\n".join(map(_part, content))


def _part(part: dict[str, Any]) -> str:
    text = part.get("text")
    if isinstance(text, str):
        return text
    kind = str(part.get("type", "part")).removesuffix("_url")
    return f"[{kind}:{blake2b(encode(part), digest_size=8).hexdigest()}]"


def _response(response: _Response) -> Response | None:
    if not response.choices:
        return None
    choice = response.choices[0]
    return Response(
        text=choice.message.content or choice.message.refusal or "",
        model=response.model,
        fingerprint=response.system_fingerprint or "",
        finish_reason=choice.finish_reason or "",
        tool_calls=_tool_calls(choice.message.tool_calls),
        opening=_opening(choice.logprobs),
    )


def _opening(logprobs: _Logprobs | None) -> dict[str, float]:
    """The probabilities of the first token that is more than white space, quotes and the like."""
    for token in (logprobs.content if logprobs is not None else None) or ():
        if any(c.isalnum() for c in token.token):
            return {t.token: round(math.exp(min(0.0, t.logprob)), 6) for t in [*token.top_logprobs, token]}
    return {}


def _usage(usage: _Usage) -> Usage:
    details = usage.prompt_tokens_details
    return Usage(
        input_tokens=usage.prompt_tokens,
        output_tokens=usage.completion_tokens,
        cached_tokens=(details.cached_tokens or 0) if details else 0,
    )
