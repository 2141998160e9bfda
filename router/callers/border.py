"""The gateway's border: strange pages are sent away, callers are let in, and who is not is counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aiohttp import web

from jitr.router.callers.callers import Caller, Callers, RefusedError
from jitr.router.http.connections import Connection
from jitr.router.http.refusals import SERVER, refusal, request_id
from jitr.router.metrics import GatewayMetrics
from jitr.router.reasons import Reason
from jitr.schemas.origins import stranger
from jitr.schemas.sections import GatewaySettings

CALLER: Final = web.RequestKey("caller", Caller)
# of names that are served; no more are looked up faster
_MOST_MET: Final = 1000
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
        self._met: Final[set[tuple[tuple[str, ...], ...]]] = set()

    def meet(self, http: web.BaseRequest) -> web.Response | None:
        """Answer strangers' pages, and what a browser asks before its page may; None for anybody else."""
        foreign = self._foreign(http)
        if foreign is not None:
            mend = "gateway.allowed_hosts and gateway.allowed_origins name those that are."
            return self._refused(http, RefusedError(403, f"{foreign}; {mend}", "foreign_origin"))
        asks = http.method == "OPTIONS" and "Access-Control-Request-Method" in http.headers
        if not asks or "Origin" not in http.headers:
            return None
        headers = {
            "Access-Control-Allow-Methods": _METHODS,
            "Access-Control-Max-Age": "600",
            "Server": SERVER,
        }
        if wanted := http.headers.get("Access-Control-Request-Headers"):
            headers["Access-Control-Allow-Headers"] = wanted
        return web.Response(status=204, headers=headers | dict(shared(http)))

    def _foreign(self, http: web.BaseRequest) -> str | None:
        reached = reached_at(http)
        hosts, origins = http.headers.getall("Host", ()), http.headers.getall("Origin", ())
        shown = (tuple(hosts), tuple(origins), (reached,))
        if shown in self._met:
            return None
        foreign = stranger(
            hosts,
            origins,
            bound=self._settings.host,
            reached=reached,
            allowed_hosts=self._settings.allowed_hosts,
            allowed_origins=self._settings.allowed_origins,
        )
        if foreign is None and len(self._met) < _MOST_MET:
            self._met.add(shown)
        return foreign

    def admit(self, http: web.BaseRequest) -> web.Response | None:
        """Let a caller of the upstream's in, who stands under `CALLER` then; or say why not."""
        try:
            http[CALLER] = self._callers.admit(
                http.method, http.path, http.headers, http.rel_url.raw_query_string
            )
        except RefusedError as error:
            return self._refused(http, error)
        return None

    def _refused(self, http: web.BaseRequest, error: RefusedError) -> web.Response:
        self._metrics.observe("refused", Reason.REFUSED, 0.0, 0.0)
        headers = {}
        if error.retry_after_s is not None:
            headers["Retry-After"] = str(error.retry_after_s)
        if error.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return refusal(
            http.path,
            error.status,
            str(error),
            error.code,
            id=request_id(http),
            kind=error.kind,
            headers=headers,
            # what the caller still sends is not read
            close=http.body_exists,
        )


def reached_at(http: web.BaseRequest) -> str:
    """The address of ours that a request came to; empty where there is none."""
    if isinstance(http.protocol, Connection):
        return http.protocol.reached
    name = http.transport and http.transport.get_extra_info("sockname")
    return str(name[0]) if isinstance(name, tuple) else ""


def shared(http: web.BaseRequest) -> Mapping[str, str]:
    """Headers that let an allowed page read an answer; none where no page asks.

    Of requests that `Border.meet` has let through.
    """
    origin = http.headers.get("Origin")
    if origin is None:
        return {}
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Expose-Headers": _EXPOSED,
        "Vary": "Origin",
    }
