"""Chat completions: from the surrogate where the gate accepts, else from the teacher; audits beside."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from aiohttp import web

from jitr.router import openai_answers as openai
from jitr.router.border import CALLER
from jitr.router.callers import Caller
from jitr.router.decision import Decision, new_id
from jitr.router.metrics import GatewayMetrics
from jitr.router.reasons import Reason
from jitr.router.relay import relay
from jitr.router.requests import read_body
from jitr.router.router import Router
from jitr.router.sse import StreamError, assemble
from jitr.router.supervisor import Loops
from jitr.router.upstream import FAILURES, Upstream, passed_headers, said, sent_headers
from jitr.schemas.settings import GatewaySettings

log = logging.getLogger(__name__)
PATH: Final = "chat/completions"
LARGEST_KEPT: Final = 8 * 2**20
JSON: Final = "application/json"
SSE: Final = "text/event-stream"
_NO: Final = ("", "0", "false", "no")


@dataclass(slots=True)
class _Exchange:
    """One request on its way through."""

    http: web.Request
    caller: Caller
    started: float
    decision: Decision
    request: Mapping[str, Any]
    upstream_s: float = 0.0

    @property
    def took_s(self) -> float:
        return time.perf_counter() - self.started

    def headers(self) -> dict[str, str]:
        """What we say of our decision."""
        decision = self.decision
        headers = {
            "x-jitr-route": decision.target,
            "x-jitr-decision-id": decision.id,
            "x-jitr-overhead-ms": f"{(self.took_s - self.upstream_s) * 1000:.2f}",
        }
        if decision.task:
            headers["x-jitr-task"] = decision.task
        if decision.answered and decision.surrogate:
            headers["x-jitr-model-version"] = decision.surrogate
        if self.http.headers.get("x-jitr-debug") == "1":
            headers["x-jitr-reason"] = decision.reason.value
            if decision.score is not None:
                headers["x-jitr-score"] = f"{decision.score:.6f}"
        return headers


class Chat:
    """Handles ``POST /v1/chat/completions``.

    Parameters
    ----------
    settings : GatewaySettings
    router : Router
    upstream : Upstream
    metrics : GatewayMetrics
    loops : Loops
        Watches the audits.
    """

    def __init__(
        self,
        settings: GatewaySettings,
        router: Router,
        upstream: Upstream,
        metrics: GatewayMetrics,
        loops: Loops,
    ) -> None:
        self._settings: Final = settings
        self._router: Final = router
        self._upstream: Final = upstream
        self._metrics: Final = metrics
        self._loops: Final = loops
        self._audits: set[asyncio.Task[None]] = set()

    async def handle(self, http: web.Request) -> web.StreamResponse:
        """Answer one request."""
        started = time.perf_counter()
        with self._metrics.in_flight.track_inprogress():
            try:
                raw = await http.read()
            except web.HTTPRequestEntityTooLarge as error:
                return _too_large(error)
            request, caller = _object(raw), http[CALLER]
            if request is None:
                decision = Decision(new_id(), None, "teacher", Reason.UNREADABLE)
            else:
                decision = await self._router.answer(
                    request,
                    tenant=caller.tenant,
                    unproved=not caller.proved(request),
                    task=http.headers.get("x-jitr-task"),
                    skip=http.headers.get("x-jitr-skip", "").strip().lower() not in _NO,
                )
            exchange = _Exchange(http, caller, started, decision, request or {})
            if decision.answered:
                answer: web.StreamResponse = self._from_surrogate(exchange)
            else:
                answer = await self._from_teacher(exchange, raw)
            self._metrics.observe(decision.target, decision.reason, exchange.took_s, exchange.upstream_s)
            return answer

    async def close(self, deadline_s: float) -> None:
        """Wait for audits; those that are late are published as lost."""
        if self._audits:
            _, late = await asyncio.wait(self._audits, timeout=deadline_s)
            for audit in late:
                audit.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _from_surrogate(self, exchange: _Exchange) -> web.Response:
        decision, request = exchange.decision, exchange.request
        assert decision.answer is not None and decision.surrogate is not None
        said_by = (decision.id, int(time.time()), str(request["model"]), decision.surrogate, decision.answer)
        if request.get("stream"):
            body, kind = openai.stream(*said_by, include_usage=openai.wants_usage(request)), SSE
        else:
            body, kind = openai.completion(*said_by), JSON
        latency_s = exchange.took_s
        if decision.due:
            task = self._loops.once("audit", self._audit(exchange, latency_s))
            self._audits.add(task)
            task.add_done_callback(self._audits.discard)
        else:
            self._report(exchange, None, None, latency_s)
        return web.Response(body=body, headers={"Content-Type": kind, **exchange.headers()})

    async def _audit(self, exchange: _Exchange, latency_s: float) -> None:
        """Ask the teacher about a call that the surrogate has answered; one event carries both answers."""
        response: Mapping[str, Any] | None = None
        error: str | None = "the audit was cut off by the gateway's stop"
        status: int | None = None
        try:
            async with asyncio.timeout(self._settings.upstream_timeout_s):
                async with await self._ask(exchange, openai.unstreamed(exchange.request)) as answer:
                    status = answer.status
                    response, error = read_body(status, await answer.read())
        except FAILURES as failure:
            error = said(failure)
        finally:
            # an audit that fails is published too: `due` without a response is how a lost one is missed
            self._report(exchange, response, error, latency_s, status)

    async def _from_teacher(self, exchange: _Exchange, raw: bytes) -> web.StreamResponse:
        sent = time.perf_counter()
        try:
            async with await self._ask(exchange, raw) as answer:
                exchange.upstream_s = time.perf_counter() - sent
                if answer.content_type == SSE:
                    headers = passed_headers(answer.headers)
                    headers.update(exchange.headers())
                    relayed = await relay(exchange.http, answer, headers, keep=LARGEST_KEPT)
                    exchange.upstream_s += relayed.waited_s
                    self._report_stream(exchange, answer.status, relayed.kept, relayed.error, exchange.took_s)
                    return relayed.out
                body = await answer.read()
                exchange.upstream_s = time.perf_counter() - sent
        except FAILURES as failure:
            exchange.upstream_s = time.perf_counter() - sent
            return self._failed(exchange, failure)
        # read and published once the answer is on its way
        asyncio.get_running_loop().call_soon(
            self._report_body, exchange, answer.status, body, exchange.took_s
        )
        headers = passed_headers(answer.headers)
        headers.update(exchange.headers())
        return web.Response(status=answer.status, body=body, headers=headers)

    async def _ask(self, exchange: _Exchange, body: bytes) -> Any:
        http, caller = exchange.http, exchange.caller
        headers = caller.sent(sent_headers(http.headers))
        answer = await self._upstream.ask("POST", PATH, http.rel_url.raw_query_string, headers, body)
        caller.heard(answer.status, exchange.request)
        return answer

    def _failed(self, exchange: _Exchange, failure: BaseException) -> web.Response:
        late = isinstance(failure, TimeoutError)
        verb = "did not answer in time" if late else "cannot be reached"
        message = f"The upstream LLM {verb}: {said(failure)}"
        self._report(exchange, None, message, exchange.took_s)
        code = "upstream_timeout" if late else "upstream_unavailable"
        return web.Response(
            status=504 if late else 502,
            body=openai.error_body(message, "upstream_error", code),
            headers={"Content-Type": JSON, **exchange.headers()},
        )

    def _report_body(self, exchange: _Exchange, status: int, body: bytes, latency_s: float) -> None:
        response, error = read_body(status, body)
        self._report(exchange, response, error, latency_s, status)

    def _report_stream(
        self, exchange: _Exchange, status: int, stream: bytes, error: str | None, latency_s: float
    ) -> None:
        response: Mapping[str, Any] | None = None
        if error is None:
            try:
                response = assemble(stream)
            except StreamError as wrong:
                error = str(wrong)
        self._report(exchange, response, error, latency_s, status)

    def _report(
        self,
        exchange: _Exchange,
        response: Mapping[str, Any] | None,
        error: str | None,
        latency_s: float,
        status: int | None = None,
    ) -> None:
        decision = exchange.decision
        exchange.caller.charge(exchange.request, response)
        try:
            self._router.report(decision, response, error=error, status=status, latency_s=latency_s)
        except Exception:  # the caller has an answer; an event that cannot be made must not take it away
            log.exception("publishing call %s failed", decision.id)


def _too_large(error: web.HTTPRequestEntityTooLarge) -> web.Response:
    return web.Response(
        status=error.status,
        body=openai.error_body(str(error.text), "invalid_request_error", "request_too_large"),
        headers={"Content-Type": JSON, "x-jitr-route": "teacher", "Connection": "close"},
    )


def _object(raw: bytes) -> dict[str, Any] | None:
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
