"""Calls that pass through to the LLM unread, and what is said where it fails."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from typing import Final

from aiohttp import web

from jitr.router.callers.border import CALLER, shared
from jitr.router.http.bodies import NOT_WHOLE, SlowBodyError
from jitr.router.http.refusals import REQUEST_ID, refusal, request_id
from jitr.router.http.relay import Relay
from jitr.router.http.upstream import FAILURES, Upstream, passed_headers, said
from jitr.router.metrics import GatewayMetrics
from jitr.router.reasons import Reason

ROUTE: Final = {"x-jitr-route": "teacher"}


class Passing:
    """Passes a request through, both ways, without looking at it.

    Parameters
    ----------
    upstream : Upstream
    metrics : GatewayMetrics
    """

    def __init__(self, upstream: Upstream, metrics: GatewayMetrics) -> None:
        self._upstream: Final = upstream
        self._metrics: Final = metrics

    async def handle(self, http: web.BaseRequest, path: str) -> web.StreamResponse:
        """Answer one request; `path` is what stands behind ``/v1/``."""
        started, waited_s = time.perf_counter(), 0.0
        relay = Relay()
        caller = http[CALLER]
        headers = caller.sent(self._upstream.sent_headers(http.headers))
        body: AsyncIterator[bytes] | None = None
        if http.body_exists:
            body = http.content.iter_any()
            if http.content_length is not None:
                headers["Content-Length"] = str(http.content_length)
        try:
            query = http.rel_url.raw_query_string
            answer = await self._upstream.ask(http.method, path, query, headers, body)
            waited_s = time.perf_counter() - started
            caller.heard(answer)
            passed = passed_headers(answer.headers)
            if REQUEST_ID not in passed:
                passed[REQUEST_ID] = request_id(http)
            passed.update(ROUTE)
            passed.update(shared(http))
            try:
                return await relay.run(http, answer, passed)
            finally:
                self._upstream.let_go(answer, complete=relay.complete)
        except FAILURES as failure:
            return not_whole(http) or failed(http, failure, ROUTE)[1]
        finally:
            waited_s += relay.waited_s
            self._metrics.observe("teacher", Reason.PASSED, time.perf_counter() - started, waited_s)


def failed(
    http: web.BaseRequest, failure: BaseException, headers: Mapping[str, str]
) -> tuple[str, web.Response]:
    """What is said to a caller where the LLM gave no answer: in words, and as a response.

    Its status is 504 where it took too long, else 502.
    """
    late = isinstance(failure, TimeoutError)
    verb = "did not answer in time" if late else "cannot be reached"
    message = f"The upstream LLM {verb}: {said(failure)}"
    code = "upstream_timeout" if late else "upstream_unavailable"
    answer = refusal(
        http.path,
        504 if late else 502,
        message,
        code,
        id=request_id(http),
        kind="upstream_error",
        headers=headers,
    )
    return message, answer


def not_whole(http: web.BaseRequest) -> web.Response | None:
    """What is said to a caller whose own body broke off; None where it did not."""
    wrong = http.content.exception()
    if isinstance(wrong, SlowBodyError):
        message = f"{wrong}; send it faster, or raise gateway.body_timeout_s"
        return refusal(http.path, 408, message, "request_timeout", id=request_id(http), close=True)
    if isinstance(wrong, NOT_WHOLE):
        message = f"The request's body is not whole: {said(wrong)}"
        return refusal(http.path, 400, message, "bad_request", id=request_id(http), close=True)
    return None
