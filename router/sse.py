"""Server-sent events of a streamed chat completion, put together again as one response body."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class _ToolCall(msgspec.Struct):
    index: int = 0
    id: str | None = None
    function: _Function | None = None


class _Delta(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(msgspec.Struct):
    index: int = 0
    delta: _Delta = msgspec.field(default_factory=_Delta)
    finish_reason: str | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] = []
    model: str | None = None
    system_fingerprint: str | None = None
    usage: dict[str, Any] | None = None
    error: Any = None


_chunk = msgspec.json.Decoder(_Chunk)


class StreamError(Exception):
    """A stream that holds no whole answer, and why."""


def assemble(stream: bytes) -> dict[str, Any]:
    """Put a whole stream together.

    Parameters
    ----------
    stream : bytes
        All of it, as it came.

    Returns
    -------
    dict
        What the response body would have been without streaming, first choice only.

    Raises
    ------
    StreamError
        If the stream ended early, holds an error or cannot be read.

    Examples
    --------
    >>> body = assemble(b'data: {"model":"m-1","choices":[{"delta":{"content":"sp"}}]}\\n\\n'
    ...                 b'data: {"choices":[{"delta":{"content":"am"},"finish_reason":"stop"}]}\\n\\n'
    ...                 b'data: [DONE]\\n\\n')
    >>> body["choices"][0]["message"]["content"], body["model"]
    ('spam', 'm-1')
    """
    text: list[str] = []
    refusal: list[str] = []
    tools: dict[int, _ToolCall] = {}
    model, fingerprint, finish = "", "", ""
    usage: dict[str, Any] | None = None
    for data in _data(stream):
        if data == b"[DONE]":
            break
        try:
            chunk = _chunk.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise StreamError(f"a chunk of the stream cannot be read: {error}") from error
        if chunk.error:
            raise StreamError(f"the stream holds an error: {chunk.error}")
        model = chunk.model or model
        fingerprint = chunk.system_fingerprint or fingerprint
        usage = chunk.usage or usage
        for choice in chunk.choices:
            if choice.index != 0:
                continue
            text.append(choice.delta.content or "")
            refusal.append(choice.delta.refusal or "")
            finish = choice.finish_reason or finish
            for call in choice.delta.tool_calls or ():
                _grow(tools, call)
    if not finish:
        raise StreamError("the stream ended before its answer did")
    message: dict[str, Any] = {
        "role": "assistant",
        "content": "".join(text) or None,
        "refusal": "".join(refusal) or None,
    }
    if tools:
        message["tool_calls"] = [msgspec.to_builtins(tools[at]) for at in sorted(tools)]
    return {
        "model": model,
        "system_fingerprint": fingerprint or None,
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": usage,
    }


def _data(stream: bytes) -> Iterator[bytes]:
    # an event's data may span lines; OpenAI's never does, and one line each is what its clients read
    for line in stream.splitlines():
        if line.startswith(b"data:"):
            yield line[5:].strip()


def _grow(tools: dict[int, _ToolCall], part: _ToolCall) -> None:
    whole = tools.setdefault(part.index, _ToolCall(index=part.index, function=_Function("", "")))
    whole.id = whole.id or part.id
    if part.function is not None and whole.function is not None:
        whole.function.name = (whole.function.name or "") + (part.function.name or "")
        whole.function.arguments = (whole.function.arguments or "") + (part.function.arguments or "")
