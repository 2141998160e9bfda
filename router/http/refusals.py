"""Answers that are the gateway's own: errors in the dialect of the path, each with a request id."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec
from aiohttp import web

from jitr.router.decision import new_id
from jitr.schemas.lenient import whole

# no version: it is nobody's business
SERVER: Final = "jitr"
JSON: Final = "application/json"
REQUEST_ID: Final = "x-request-id"
_encode: Final = msgspec.json.Encoder().encode
_IS_ID: Final = re.compile(r"[\x21-\x7e]{1,128}").fullmatch
# the words of Anthropic's API for its own statuses; OpenAI has few, and clients read the status
_ANTHROPIC: Final = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}


def refusal(
    path: str,
    status: int,
    message: str,
    code: str,
    *,
    id: str,
    kind: str | None = None,
    headers: Mapping[str, str] | None = None,
    close: bool = False,
) -> web.Response:
    """An error of ours, in the form that clients of the path read.

    Parameters
    ----------
    path : str
        The request's: below ``/v1/messages`` Anthropic's form, else OpenAI's.
    status : int
    message : str
        What is wrong, and the mend.
    code : str
        For programs; stable.
    id : str
        The request's, of `request_id`.
    kind : str, optional
        OpenAI's ``type``; by default after the status.
    headers : mapping, optional
        More of them.
    close : bool
        Whether the connection ends with this answer.

    Examples
    --------
    >>> refusal("/v1/chat/completions", 404, "no such path", "not_found", id="r1").text
    '{"error":{"message":"no such path","type":"invalid_request_error","param":null,"code":"not_found"}}'
    >>> refusal("/v1/messages", 503, "busy", "too_many_connections", id="r1").text
    '{"type":"error","error":{"type":"overloaded_error","message":"busy"},"request_id":"r1"}'
    """
    answer = web.Response(
        status=status,
        body=error_body(path, status, message, code, id=id, kind=kind),
        headers={"Content-Type": JSON, "Server": SERVER, REQUEST_ID: id, **(headers or {})},
    )
    if close:
        answer.force_close()
    return answer


def error_body(
    path: str, status: int, message: str, code: str, *, id: str = "", kind: str | None = None
) -> bytes:
    """The body of a `refusal`; see there for the parameters."""
    message = whole(message)  # it may quote what a caller wrote, bytes that are no UTF-8 too
    if path.startswith("/v1/messages"):
        fallback = "invalid_request_error" if status < 500 else "api_error"
        error = {"type": _ANTHROPIC.get(status, fallback), "message": message}
        return _encode({"type": "error", "error": error, "request_id": id})
    kind = kind or ("invalid_request_error" if status < 500 else "server_error")
    return _encode({"error": {"message": message, "type": kind, "param": None, "code": code}})


def request_id(http: web.BaseRequest, drawn: str = "") -> str:
    """The id that the caller gave its request, if it is fit for a header, else one that was drawn."""
    given = http.headers.get(REQUEST_ID, "")
    return given if given and _IS_ID(given) else f"req_{drawn or new_id()}"
