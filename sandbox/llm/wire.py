"""The simulation's words on the wire: OpenAI's requests, responses, chunks and errors."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from jitr.sandbox.llm.tokens import CHARACTERS_PER_TOKEN, text_of

Json = dict[str, Any]


class ErrorAnswer(Exception):  # noqa: N818  (it is an answer, in OpenAI's form, not a failure of ours)
    """A request that is answered with an error."""

    def __init__(
        self,
        status: int,
        message: str,
        kind: str = "invalid_request_error",
        *,
        param: str | None = None,
        code: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}
        self.body: Json = {"error": {"message": message, "type": kind, "param": param, "code": code}}


def decode(raw: bytes) -> Json:
    """A chat-completions request whose shape is sound.

    Raises
    ------
    ErrorAnswer
        Status 400, naming the field that is wrong.

    Examples
    --------
    >>> decode(b'{"model": "m", "messages": [{"role": "user", "content": "hi"}]}')["model"]
    'm'
    """
    try:
        body = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ErrorAnswer(400, f"The body is not JSON: {error}") from error
    check(body)
    return dict(body)


def check(body: object) -> None:
    """Refuse a request body whose shape is wrong, naming the field."""
    if not isinstance(body, dict):
        raise ErrorAnswer(400, f"The body must be a JSON object, not {type(body).__name__}.")
    if not isinstance(body.get("model"), str):
        raise ErrorAnswer(400, "You must name a model, as a string.", param="model")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise ErrorAnswer(400, "'messages' must be a list with at least one message.", param="messages")
    for at, message in enumerate(messages):
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise ErrorAnswer(400, "A message must be an object with a role.", param=f"messages[{at}]")
        if not isinstance(message.get("content"), str | list | None):
            raise ErrorAnswer(400, "Content must be a string or a list.", param=f"messages[{at}].content")
    count, limit = body.get("n"), body.get("max_completion_tokens", body.get("max_tokens"))
    if count is not None and (type(count) is not int or not 1 <= count <= 128):
        raise ErrorAnswer(400, f"n={count!r} must be a number from 1 to 128.", param="n")
    if limit is not None and (type(limit) is not int or limit < 1):
        raise ErrorAnswer(400, f"max_tokens={limit!r} must be a whole number above 0.", param="max_tokens")
    if not isinstance(body.get("stream_options"), dict | None):
        raise ErrorAnswer(400, "'stream_options' must be an object.", param="stream_options")


def flat(body: Json) -> Json:
    """The same request with every content as one string."""
    messages = [{**message, "content": text_of(message.get("content"))} for message in body["messages"]]
    return {**body, "messages": messages}


def cut(text: str, limit: int | None) -> tuple[str, str]:
    """A text within a limit of tokens, and its finish reason.

    Examples
    --------
    >>> cut("abcdefgh", 1), cut("abc", None)
    (('abcd', 'length'), ('abc', 'stop'))
    """
    room = len(text) if limit is None else limit * CHARACTERS_PER_TOKEN
    return (text, "stop") if len(text) <= room else (text[:room], "length")


def completion(head: Json, answers: list[tuple[str, str]], usage: Json) -> Json:
    """A whole response; `head` holds id, created, model and fingerprint."""
    return {
        **head,
        "object": "chat.completion",
        "choices": [
            {
                "index": at,
                "message": {"role": "assistant", "content": text, "refusal": None},
                "logprobs": None,
                "finish_reason": reason,
            }
            for at, (text, reason) in enumerate(answers)
        ],
        "usage": usage,
    }


def chunks(head: Json, answers: list[tuple[str, str]], usage: Json | None) -> Iterator[Json]:
    """A streamed response: role, words, finish reason, and the usage where it was asked for."""
    plain: Json = {**head, "object": "chat.completion.chunk"}
    if usage is not None:
        plain["usage"] = None
    for at, (text, reason) in enumerate(answers):
        yield {**plain, "choices": [_delta(at, {"role": "assistant", "content": "", "refusal": None})]}
        for piece in re.findall(r"\s*\S+|\s+\Z", text):
            yield {**plain, "choices": [_delta(at, {"content": piece})]}
        yield {**plain, "choices": [_delta(at, {}, reason)]}
    if usage is not None:
        yield {**plain, "choices": [], "usage": usage}


def _delta(at: int, delta: Json, reason: str | None = None) -> Json:
    return {"index": at, "delta": delta, "logprobs": None, "finish_reason": reason}
