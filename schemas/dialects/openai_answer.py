"""A chat completion's body: strict about the answer, lenient in all else: no odd field costs a call."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, TypeGuard

from jitr.schemas.calls import Response, Usage
from jitr.schemas.errors import RecordError
from jitr.schemas.lenient import whole
from jitr.schemas.record import encode

_MOST_TOKENS = 2**53
_LONGEST_ERROR = 500
# parts of an answer that are not said to the caller
_THOUGHTS = ("thinking", "redacted_thinking", "reasoning")


@dataclass(frozen=True, slots=True)
class OpenAIAnswer:
    """What a body holds: the first choice, if there is one, its tokens, and the error that it tells."""

    response: Response | None = None
    usage: Usage = field(default_factory=Usage)
    error: str | None = None


def read_answer(body: Mapping[str, Any]) -> OpenAIAnswer:
    """Read the body of a chat completion.

    Raises
    ------
    RecordError
        It is none: it has neither choices nor an error.

    Examples
    --------
    >>> body = {"choices": [{"message": {"content": "spam"}, "finish_reason": "stop"}], "model": "m-1",
    ...         "usage": {"prompt_tokens": 60.0, "completion_tokens": None}}
    >>> answer = read_answer(body)
    >>> answer.response.text, answer.response.finish_reason, answer.usage.input_tokens
    ('spam', 'stop', 60)
    """
    usage = read_usage(body.get("usage"))
    choices = body.get("choices")
    if choices is not None and not isinstance(choices, list):
        reason = f"Expected `array`, got `{type(choices).__name__}`"
        raise RecordError(reason, field="$.response.choices", stage="dialect")
    choice = _first(choices or ())
    if choice is None:
        error = error_said(body)
        if error is None and "choices" not in body:
            raise RecordError("is required but missing", field="$.response.choices", stage="dialect")
        return OpenAIAnswer(None, usage, error or "the response holds no choices")
    said = choice.get("message")
    message = said if _is_object(said) else {}
    # a log that leaves the field out says nothing; one that gives null says that the answer had not ended
    text, finish = text_of(message.get("content"), ""), _str(choice.get("finish_reason", "stop"))
    if not text and _str(message.get("refusal")):
        text, finish = _str(message["refusal"]), "refusal"
    response = Response(
        text=text,
        model=_str(body.get("model")),
        fingerprint=_str(body.get("system_fingerprint")),
        finish_reason=finish,
        tool_calls=tool_calls_of(message),
        opening=_opening(choice.get("logprobs")),
    )
    return OpenAIAnswer(response, usage, error_said(body))


def text_of(content: Any, between: str) -> str:
    """The text of a message's content, of whatever form; what is no text stands as ``[image:<digest>]``.

    Parameters
    ----------
    content : str, list or None
        A text, or parts: texts, or objects with their `type`.
    between : str
        What to put between parts.

    Examples
    --------
    >>> text_of([{"type": "text", "text": "a"}, "b"], "\\n"), text_of(None, "")
    ('a\\nb', '')
    """
    if content is None or isinstance(content, str):
        return content or ""
    parts = content if isinstance(content, list) else [content]
    return between.join([p if isinstance(p, str) else _part(p) for p in parts if not _is_thought(p)])


def tool_calls_of(message: Mapping[str, Any]) -> str | None:
    """The tool calls of a message, and the function call of old, as canonical JSON; None where there is none.

    Their ids are left out: they differ between equal answers.

    Examples
    --------
    >>> tool_calls_of({"tool_calls": [{"id": "a", "function": {"name": "look", "arguments": {"x": 1}}}]})
    '[["look","{\\\\"x\\\\":1}"]]'
    """
    calls = message.get("tool_calls")
    found = [_called(call) for call in calls] if isinstance(calls, list) else []
    if _is_object(message.get("function_call")):
        found.append(_called({"function": message["function_call"]}))
    return encode(found).decode() if found else None


def read_usage(usage: Any) -> Usage:
    """Tokens as far as they can be read; a count that is none is 0.

    Examples
    --------
    >>> usage = read_usage({"prompt_tokens": 60, "completion_tokens": "2", "prompt_tokens_details": None})
    >>> usage.input_tokens, usage.output_tokens, usage.cached_tokens
    (60, 2, 0)
    """
    if not _is_object(usage):
        return Usage()
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if _is_object(details) else None
    return Usage(
        input_tokens=_count(usage.get("prompt_tokens")),
        output_tokens=_count(usage.get("completion_tokens")),
        cached_tokens=_count(cached),
    )


def error_said(body: Any) -> str | None:
    """The error that a body tells, in one line, whatever server wrote it; None where it tells none.

    Examples
    --------
    >>> error_said({"error": {"message": "Slow down.", "code": 429}}), error_said({"detail": "Not Found"})
    ('Slow down.', 'Not Found')
    >>> error_said([{"error": "overloaded"}]), error_said({"choices": []}) is None
    ('overloaded', True)
    """
    if isinstance(body, list) and body:
        return error_said(body[0])
    if not _is_object(body):
        return None
    error = body.get("error") or body.get("detail")
    if not error and "choices" not in body:
        error = body.get("message")
    if isinstance(error, Mapping):
        error = error.get("message") or error.get("code") or error
    if not error:
        return None
    text = error if isinstance(error, str) else encode(error).decode()
    return " ".join(text.split())[:_LONGEST_ERROR]


def _first(choices: Sequence[Any]) -> Mapping[str, Any] | None:
    """The choice of index 0, wherever it stands; else the first."""
    if len(choices) == 1 and type(choices[0]) is dict:
        return choices[0]
    known = [c for c in choices if _is_object(c)]
    return next((c for c in known if c.get("index") == 0), known[0] if known else None)


def _called(call: Any) -> list[str]:
    held = call if isinstance(call, Mapping) else {}
    function = held.get("function") or held.get("custom")
    if not isinstance(function, Mapping):
        return ["", ""]
    arguments = function.get("arguments", function.get("input"))
    if arguments is not None and not isinstance(arguments, str):
        arguments = encode(arguments).decode()
    return [_str(function.get("name")), arguments or ""]


def _part(part: Any) -> str:
    text = part.get("text") if isinstance(part, Mapping) else None
    if isinstance(text, str):
        return text
    kind = str(part.get("type", "part")) if isinstance(part, Mapping) else "part"
    return f"[{kind.removesuffix('_url')}:{blake2b(encode(whole(part)), digest_size=8).hexdigest()}]"


def _is_thought(part: Any) -> bool:
    return isinstance(part, Mapping) and part.get("type") in _THOUGHTS


def _opening(logprobs: Any) -> dict[str, float]:
    """The probabilities of the first token that is more than white space, quotes and the like."""
    if logprobs is None:
        return {}
    content = logprobs.get("content") if isinstance(logprobs, Mapping) else None
    for token in content if isinstance(content, list) else ():
        if isinstance(token, Mapping) and any(c.isalnum() for c in _str(token.get("token"))):
            others = token.get("top_logprobs")
            pairs = [_probable(t) for t in [*(others if isinstance(others, list) else ()), token]]
            return {name: p for name, p in pairs if p is not None}
    return {}


def _probable(token: Any) -> tuple[str, float | None]:
    if not isinstance(token, Mapping) or not isinstance(token.get("token"), str):
        return "", None
    logprob = token.get("logprob")
    if isinstance(logprob, bool) or not isinstance(logprob, int | float) or math.isnan(logprob):
        return token["token"], None
    return token["token"], round(math.exp(min(0.0, logprob)), 6)


def _count(value: Any) -> int:
    if isinstance(value, str) and value.isdecimal() and len(value) < 20:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MOST_TOKENS:
        return 0
    return int(value)


def _is_object(value: Any) -> TypeGuard[Mapping[str, Any]]:
    # a program's may be of another kind than JSON's; asking for that takes ten times as long
    return type(value) is dict or isinstance(value, Mapping)


def _str(value: Any) -> str:
    return value if isinstance(value, str) else ""
