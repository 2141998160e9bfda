"""Server-sent events of a streamed chat completion, put together again as one response body.

Lines end as the HTML standard says, and as no other text does: U+2028 and the like stand within a line. In a
chunk everything but the answer is read leniently: no odd field of bookkeeping costs an answer or its usage.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from jitr.schemas.dialects.openai_answer import error_said, text_of
from jitr.schemas.errors import RecordError
from jitr.schemas.lenient import loads, whole
from jitr.schemas.record import encode

_LINE = re.compile(rb"\r\n|\n|\r")
_MARK = b"\xef\xbb\xbf"
_DONE = b"[DONE]"


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
        What the response body would have been without streaming, the choice of index 0 only.

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
    growing = _Growing()
    ended = False
    for kind, data in _events(stream):
        if data.strip() == _DONE:
            ended = True
            break
        if not data.strip():
            continue
        try:
            chunk = loads(data, halves=True)
        except RecordError as error:
            raise StreamError(f"a chunk of the stream cannot be read: {error}") from error
        if kind == b"error" or (isinstance(chunk, dict) and chunk.get("error")):
            raise StreamError(f"the stream holds an error: {error_said(whole(chunk)) or 'it says no more'}")
        if isinstance(chunk, dict):
            growing.add(chunk)
    if not growing.answers:
        raise StreamError("the stream holds no answer")
    if not growing.finish and not ended:
        raise StreamError("the stream ended before its answer did")
    body: dict[str, Any] = whole(growing.body())
    return body


def _events(stream: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The type and the data of each event; one that the stream breaks off in is taken as it is."""
    kind, data = b"", list[bytes]()
    at = len(_MARK) if stream.startswith(_MARK) else 0
    while at <= len(stream):
        # one by one: to split a long stream at once would keep every other thread waiting
        end = _LINE.search(stream, at)
        line = stream[at : end.start()] if end else stream[at:]
        at = end.end() if end else len(stream) + 1
        if not line:
            if data:
                yield kind, b"\n".join(data)
            kind, data = b"", []
            continue
        field, _, value = line.partition(b":")
        if field == b"data":
            data.append(value.removeprefix(b" "))
        elif field == b"event":
            kind = value.strip()
    if data:
        yield kind, b"\n".join(data)


class _Growing:
    """What the chunks so far make together."""

    def __init__(self) -> None:
        self.answers = False
        self.finish = ""
        self._text: list[str] = []
        self._refusal: list[str] = []
        self._tools: list[_Tool] = []
        self._function: _Tool | None = None
        self._head: dict[str, Any] = {"model": "", "system_fingerprint": None, "usage": None}

    def add(self, chunk: Mapping[str, Any]) -> None:
        for name, kind in (("model", str), ("system_fingerprint", str), ("usage", dict)):
            if isinstance(chunk.get(name), kind) and chunk[name]:
                self._head[name] = chunk[name]
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, Mapping) and choice.get("index") in (0, None):
                self._grow(choice)

    def _grow(self, choice: Mapping[str, Any]) -> None:
        self.answers = True
        finish, delta = choice.get("finish_reason"), choice.get("delta")
        self.finish = finish if isinstance(finish, str) and finish else self.finish
        if not isinstance(delta, Mapping):
            return
        self._text.append(text_of(delta.get("content"), ""))
        self._refusal.append(text_of(delta.get("refusal"), ""))
        calls = delta.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            if isinstance(call, Mapping):
                self._tool(call).grow(call.get("function"))
        if isinstance(delta.get("function_call"), Mapping):
            self._function = self._function or _Tool(0, None)
            self._function.grow(delta["function_call"])

    def _tool(self, call: Mapping[str, Any]) -> _Tool:
        """The call that a piece belongs to: that of its index, else the last; a new id begins a new call."""
        index, id = call.get("index"), call.get("id") or None
        known = [tool for tool in self._tools if index is None or tool.index == index]
        if not known or (id is not None and known[-1].id not in (None, id)):
            self._tools.append(_Tool(index if isinstance(index, int) else len(self._tools), id))
            return self._tools[-1]
        known[-1].id = known[-1].id or id
        return known[-1]

    def body(self) -> dict[str, Any]:
        message: dict[str, Any] = {
            "role": "assistant",
            "content": "".join(self._text) or None,
            "refusal": "".join(self._refusal) or None,
        }
        if self._tools:
            message["tool_calls"] = [tool.body() for tool in sorted(self._tools, key=lambda t: t.index)]
        if self._function is not None:
            message["function_call"] = self._function.body()["function"]
        choice = {"index": 0, "message": message, "finish_reason": self.finish or None}
        return {**self._head, "choices": [choice]}


class _Tool:
    """One tool call that grows piece by piece."""

    def __init__(self, index: int, id: Any) -> None:
        self.index, self.id = index, id
        self._name, self._arguments = "", ""

    def grow(self, function: Any) -> None:
        held = function if isinstance(function, Mapping) else {}
        name, arguments = held.get("name"), held.get("arguments")
        self._name += name if isinstance(name, str) else ""
        if arguments is not None and not isinstance(arguments, str):
            arguments = encode(whole(arguments)).decode()
        self._arguments += arguments or ""

    def body(self) -> dict[str, Any]:
        function = {"name": self._name, "arguments": self._arguments}
        return {"index": self.index, "id": self.id, "function": function}
