"""The gateway's border: strange pages are sent away, callers are let in, and both stand in the metrics."""

from __future__ import annotations

from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from jitr.router import openai_answers as openai
from jitr.router.callers import Caller, Callers, RefusedError
from jitr.router.metrics import GatewayMetrics
from jitr.router.reasons import Reason
from jitr.schemas.origins import stranger
from jitr.schemas.settings import GatewaySettings

CALLER: Final = web.RequestKey("caller", Caller)
_FOREIGN: Final = web.RequestKey("foreign", bool)
# ours; every other path is the upstream's, and takes a caller
_PAGES: Final = ("/health", "/ready", "/version", "/metrics")
_METHODS: Final = "GET, POST, PUT, PATCH, DELETE, OPTIONS"
_EXPOSED: Final = "x-request-id, x-jitr-route, x-jitr-decision-id, x-jitr-task, x-jitr-overhead-ms"


class Border:
    """What every request passes before it is worked on.

    Parameters
    ----------
    settings : GatewaySettings
    callers : Callers
    metrics : GatewayMetrics
    """

    def __init__(self, settings: GatewaySettings, callers: Callers, metrics: GatewayMetrics) -> None:
        self._settings: Final = settings
        self._callers: Final = callers
        self._metrics: Final = metrics

    def guard(self, app: web.Application) -> None:
        """Stand before every path of an application."""

        @web.middleware
        async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
            try:
                self._check_origin(request)
                if _is_preflight(request):
                    return _preflight(request)
                if request.path not in _PAGES:
                    request[CALLER] = self._callers.admit(request.method, request.path, request.headers)
            except RefusedError as error:
                self._metrics.observe("refused", Reason.REFUSED, 0.0, 0.0)
                return _error(error)
            return await handler(request)

        app.middlewares.append(guarded)
        app.on_response_prepare.append(self._share)

    def _check_origin(self, http: web.Request) -> None:
        name = http.transport and http.transport.get_extra_info("sockname")
        foreign = stranger(
            http.headers.getall("Host", ()),
            http.headers.getall("Origin", ()),
            bound=self._settings.host,
            reached=str(name[0]) if isinstance(name, tuple) else "",
            allowed_hosts=self._settings.allowed_hosts,
            allowed_origins=self._settings.allowed_origins,
        )
        if foreign is not None:
            http[_FOREIGN] = True
            mend = "gateway.allowed_hosts and gateway.allowed_origins name those that are."
            raise RefusedError(403, f"{foreign}; {mend}", "invalid_request_error", "foreign_origin")

    async def _share(self, http: web.Request, answer: web.StreamResponse) -> None:
        """Let an allowed page read the answer."""
        origin = http.headers.get("Origin")
        if origin is not None and not http.get(_FOREIGN):
            answer.headers["Access-Control-Allow-Origin"] = origin
            answer.headers["Access-Control-Expose-Headers"] = _EXPOSED
            answer.headers.add("Vary", "Origin")


def _is_preflight(http: web.Request) -> bool:
    asks = "Origin" in http.headers and "Access-Control-Request-Method" in http.headers
    return http.method == "OPTIONS" and asks


def _preflight(http: web.Request) -> web.Response:
    asked = http.headers.get("Access-Control-Request-Headers", "")
    headers = {"Access-Control-Allow-Methods": _METHODS, "Access-Control-Max-Age": "600"}
    if asked:
        headers["Access-Control-Allow-Headers"] = asked
    return web.Response(status=204, headers=headers)


def _error(error: RefusedError) -> web.Response:
    headers = {"Content-Type": "application/json"}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    body = openai.error_body(error.message, error.type, error.code)
    # what the caller still sends is not read
    return web.Response(status=error.status, body=body, headers=headers)
