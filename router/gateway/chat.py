"""Chat completions: from the surrogate where the gate accepts, else from the teacher; audits beside."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Final

from aiohttp import web
from multidict import CIMultiDict

from jitr.router.callers.border import CALLER, shared
from jitr.router.callers.callers import Caller
from jitr.router.decision import Decision
from jitr.router.gateway.passing import failed, not_whole
from jitr.router.gateway.task_names import TaskNames
from jitr.router.http.bodies import NOT_WHOLE, Bodies, Body, rest
from jitr.router.http.encoding import EncodingError
from jitr.router.http.refusals import JSON, REQUEST_ID, SERVER, request_id
from jitr.router.http.relay import SSE, Relay, why_left
from jitr.router.http.upstream import FAILURES, Upstream, UpstreamAnswer, passed_headers, said
from jitr.router.metrics import GatewayMetrics
from jitr.router.protocols import openai_answers as openai
from jitr.router.protocols.openai_requests import read_response, read_upstream
from jitr.router.reasons import Reason
from jitr.router.router import Router
from jitr.router.supervisor import Loops
from jitr.schemas.dialects.openai_answer import OpenAIAnswer
from jitr.schemas.sections import GatewaySettings

log = logging.getLogger(__name__)
PATH: Final = "chat/completions"
LARGEST_KEPT: Final = 8 * 2**20
# answers of more bytes are read beside the event loop, one at a time: 5 us a chunk of a stream
_LONG: Final = 128 * 1024
_NO: Final = ("", "0", "false", "no")
_STREAM_MARKS: Final = (b"data:", b"event:", b"id:", b"retry:", b":")


@dataclass(slots=True)
class _Exchange:
    """One request on its way through."""

    http: web.BaseRequest
    caller: Caller
    started: float
    decision: Decision
    request: Mapping[str, Any]
    asked_bytes: int = 0
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
        self._bodies: Final = Bodies(settings)
        self._names: Final = TaskNames(settings.max_task_names)
        # apart, so that a flood of names by whom the upstream does not serve takes no place of the others'
        self._strangers: Final = TaskNames(settings.max_task_names)
        self._beside: Final = ThreadPoolExecutor(1, "reading")
        self._audits: set[asyncio.Task[None]] = set()

    async def handle(self, http: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        started = time.perf_counter()
        try:
            body = await self._bodies.read(http)
        except NOT_WHOLE:
            return not_whole(http) or web.Response(status=400)
        self._bodies.held += body.weight
        try:
            decision = await self._decide(http, body)
            asked_bytes = http.content_length or len(body.raw)
            exchange = _Exchange(http, http[CALLER], started, decision, body.request or {}, asked_bytes)
            try:
                if decision.answered:
                    return self._from_surrogate(exchange)
                return await self._from_teacher(exchange, body)
            finally:
                self._metrics.observe(decision.target, decision.reason, exchange.took_s, exchange.upstream_s)
        finally:
            self._bodies.held -= body.weight

    async def close(self, deadline_s: float) -> None:
        """Wait for audits, and answers that are being read; those that are late are published as lost."""
        if self._audits:
            _, late = await asyncio.wait(self._audits, timeout=deadline_s)
            for audit in late:
                audit.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        self._beside.shutdown(wait=False, cancel_futures=True)

    async def _decide(self, http: web.BaseRequest, body: Body) -> Decision:
        if body.request is None:
            tenant = http[CALLER].tenant
            return self._router.unread(body.reason or Reason.UNREADABLE, body.why, tenant=tenant)
        headers = http.headers
        caller, task = http[CALLER], headers.get("x-jitr-task")
        tenant, unproved = caller.tenant, not caller.proved(body.request)
        if task and not self._is_name(tenant, task, unproved):
            decision = self._router.lookup(body.request, tenant=tenant, skip=True)
            return decision if decision.call is None else replace(decision, reason=Reason.TASK_NAME)
        if body.reason is not None:
            decision = self._router.lookup(body.request, tenant=tenant, task=task, skip=True)
            return replace(decision, reason=body.reason)
        skip = headers.get("x-jitr-skip", "").strip().lower() not in _NO
        try:
            return await self._router.answer(
                body.request, tenant=tenant, task=task, skip=skip, unproved=unproved
            )
        except asyncio.CancelledError:
            # nobody was asked, but the call was made
            decision = self._router.lookup(body.request, tenant=tenant, task=task, skip=True)
            self._report(decision, None, why_left(http), None)
            self._metrics.observe(decision.target, decision.reason, 0.0, 0.0)
            raise

    def _is_name(self, tenant: str, task: str, unproved: bool) -> bool:
        if unproved and not self._names.holds(tenant, task):
            return self._strangers.take(tenant, task)
        return self._names.take(tenant, task)

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
            self._in_background("audit", self._audit(exchange, latency_s))
        else:
            self._report(decision, None, None, latency_s)
        headers = {
            "Content-Type": kind,
            "Server": SERVER,
            REQUEST_ID: request_id(exchange.http, decision.id),
            **exchange.headers(),
        }
        return web.Response(body=body, headers=headers)

    async def _audit(self, exchange: _Exchange, latency_s: float) -> None:
        """Ask the teacher about a call that the surrogate has answered; one event carries both answers."""
        response: Mapping[str, Any] | None = None
        error: str | None = "the audit was cut off by the gateway's stop"
        status: int | None = None
        headers = exchange.caller.sent(self._upstream.sent_headers(exchange.http.headers))
        # the body is written anew, and the answer is read here
        for name in ("Content-Encoding", "Accept-Encoding", "Accept"):
            headers.popall(name, None)
        headers["Accept-Encoding"] = "identity"
        relay = Relay(LARGEST_KEPT)
        try:
            async with asyncio.timeout(self._settings.upstream_timeout_s):
                answer = await self._ask(exchange, headers, openai.unstreamed(exchange.request))
                status = answer.status
                try:
                    await relay.read(answer)
                    response, error = await self._read(answer, relay)
                finally:
                    self._upstream.let_go(answer, complete=relay.complete)
        except FAILURES as failure:
            error = said(failure)
        finally:
            exchange.caller.charge(exchange.request, response, kept=bytes(relay.kept))
            # an audit that fails is published too, so that its share among the calls stays what it is
            self._report(exchange.decision, response, error, latency_s, status)

    async def _from_teacher(self, exchange: _Exchange, body: Body) -> web.StreamResponse:
        http = exchange.http
        sent = time.perf_counter()
        headers = exchange.caller.sent(self._upstream.sent_headers(http.headers))
        content: bytes | AsyncIterator[bytes] = body.raw
        if not body.whole:
            content = rest(body, http)
            if http.content_length is not None:
                headers["Content-Length"] = str(http.content_length)
        try:
            answer = await self._ask(exchange, headers, content)
        except FAILURES as failure:
            exchange.upstream_s = time.perf_counter() - sent
            return self._failed(exchange, failure)
        except asyncio.CancelledError:
            exchange.caller.left(exchange.request, exchange.asked_bytes)
            self._report(exchange.decision, None, why_left(http), exchange.took_s)
            raise
        exchange.upstream_s = time.perf_counter() - sent
        relay = Relay(LARGEST_KEPT if exchange.decision.call is not None else 0)
        passed = passed_headers(answer.headers)
        if REQUEST_ID not in passed:
            passed[REQUEST_ID] = request_id(http, exchange.decision.id)
        passed.update(exchange.headers())
        passed.update(shared(http))
        try:
            out = await relay.run(http, answer, passed)
        except FAILURES as failure:
            exchange.upstream_s += relay.waited_s
            self._upstream.let_go(answer, complete=False)
            return self._failed(exchange, failure)
        except asyncio.CancelledError:
            self._passed(exchange, answer, relay)
            raise
        exchange.upstream_s += relay.waited_s
        if exchange.decision.call is None:
            self._upstream.let_go(answer, complete=relay.complete)
            exchange.caller.charge(exchange.request, None, asked_bytes=exchange.asked_bytes)
            self._report(exchange.decision, None, None, exchange.took_s, answer.status)
        elif isinstance(out, web.Response):
            # read and published once the answer is on its way
            asyncio.get_running_loop().call_soon(self._passed, exchange, answer, relay)
        else:
            self._passed(exchange, answer, relay)
        return out

    async def _ask(self, exchange: _Exchange, headers: CIMultiDict[str], body: Any) -> UpstreamAnswer:
        query = exchange.http.rel_url.raw_query_string
        answer = await self._upstream.ask("POST", PATH, query, headers, body)
        exchange.caller.heard(answer, exchange.request or None)
        return answer

    def _failed(self, exchange: _Exchange, failure: BaseException) -> web.Response:
        at_fault = not_whole(exchange.http)
        if at_fault is not None:
            self._report(exchange.decision, None, "the caller's request did not come whole", exchange.took_s)
            return at_fault
        message, answer = failed(exchange.http, failure, exchange.headers())
        self._report(exchange.decision, None, message, exchange.took_s)
        return answer

    def _passed(self, exchange: _Exchange, answer: UpstreamAnswer, relay: Relay) -> None:
        """Publish what was passed on: what has come whole is whole, whatever became of the caller."""
        self._upstream.let_go(answer, complete=relay.complete)
        if not relay.complete:
            self._publish(exchange, answer, relay, None, relay.error, exchange.took_s)
        elif len(relay.kept) > _LONG:
            self._in_background("reading", self._publish_long(exchange, answer, relay, exchange.took_s))
        else:
            self._publish(exchange, answer, relay, *_read(answer, relay), exchange.took_s)

    async def _publish_long(
        self, exchange: _Exchange, answer: UpstreamAnswer, relay: Relay, latency_s: float
    ) -> None:
        response: Mapping[str, Any] | None = None
        error: str | None = "the gateway stopped before the answer was read"
        try:
            response, error = await self._read(answer, relay)
        finally:
            self._publish(exchange, answer, relay, response, error, latency_s)

    async def _read(
        self, answer: UpstreamAnswer, relay: Relay
    ) -> tuple[Mapping[str, Any] | None, str | None]:
        if len(relay.kept) <= _LONG:
            return _read(answer, relay)
        return await asyncio.wrap_future(self._beside.submit(_read, answer, relay))

    def _publish(
        self,
        exchange: _Exchange,
        answer: UpstreamAnswer,
        relay: Relay,
        response: Mapping[str, Any] | None,
        error: str | None,
        latency_s: float,
    ) -> None:
        kept, asked_bytes = bytes(relay.kept), exchange.asked_bytes
        exchange.caller.charge(exchange.request, response, asked_bytes=asked_bytes, kept=kept)
        self._report(exchange.decision, response, error, latency_s, answer.status)

    def _in_background(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        task = self._loops.once(name, work)
        self._audits.add(task)
        task.add_done_callback(self._audits.discard)

    def _report(
        self,
        decision: Decision,
        response: Mapping[str, Any] | None,
        error: str | None,
        latency_s: float | None,
        status: int | None = None,
    ) -> None:
        read = read_response(response) if response is not None else OpenAIAnswer(error=error)
        if read.response is None and decision.call is not None and status is not None and status < 300:
            self._metrics.unread_answers.inc()
        try:
            self._router.report(
                decision,
                read.response,
                usage=read.usage,
                error=error or read.error,
                status=status,
                latency_s=latency_s,
            )
        except Exception:  # the caller has an answer; an event that cannot be made must not take it away
            log.exception("publishing call %s failed", decision.id)


def _read(answer: UpstreamAnswer, relay: Relay) -> tuple[Mapping[str, Any] | None, str | None]:
    """What a whole answer says, or why it cannot be read; on any thread."""
    try:
        body = relay.body()
        return read_upstream(answer.status, body, stream=_is_stream(answer, body))
    except EncodingError as wrong:
        return None, f"the answer cannot be read: {wrong}"


def _is_stream(answer: UpstreamAnswer, body: bytes) -> bool:
    """Whether a body is a stream of events: some servers give it another type."""
    if answer.content_type == SSE:
        return True
    return body.removeprefix(b"\xef\xbb\xbf")[:512].lstrip().startswith(_STREAM_MARKS)
