"""The gateway: an OpenAI-compatible server in front of the LLM that lets surrogates answer."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from typing import Any, Final, Protocol

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from jitr import __version__
from jitr.router import chat
from jitr.router import openai_answers as openai
from jitr.router.border import CALLER, Border
from jitr.router.callers import Callers
from jitr.router.chat import Chat
from jitr.router.events import EventStream
from jitr.router.metrics import GatewayMetrics, PublishCounts
from jitr.router.reasons import Reason
from jitr.router.relay import relay
from jitr.router.router import Router, Sink
from jitr.router.snapshot import Snapshot
from jitr.router.supervisor import Loops
from jitr.router.upstream import FAILURES, Upstream, passed_headers, said, sent_headers
from jitr.schemas.errors import ConfigError
from jitr.schemas.settings import Settings

log = logging.getLogger(__name__)
LARGEST_BODY: Final = 64 * 2**20


class Events(Sink, PublishCounts, Protocol):
    """Where the gateway's calls go; `EventStream` is one."""

    async def start(self) -> None:
        """Begin to take calls."""

    async def stop(self) -> None:
        """See out what was taken."""

    def state(self) -> dict[str, Any]:
        """How publishing fares, for ``/ready``."""


class Gateway:
    """Serves ``/v1`` on one port; everything that is no chat completion is passed through.

    Also ``/health`` (it lives), ``/ready`` (a routing table was read; calls pass through before, too),
    ``/version`` and ``/metrics``.

    Parameters
    ----------
    settings : Settings
    snapshot : Snapshot, optional
        By default one that follows ``settings.redis``.
    events : Events, optional
        By default a stream to ``settings.kafka``.
    """

    def __init__(
        self, settings: Settings, *, snapshot: Snapshot | None = None, events: Events | None = None
    ) -> None:
        self._settings: Final = settings
        self._snapshot: Final = snapshot or Snapshot(settings)
        self._events: Final[Events] = EventStream(settings) if events is None else events
        self._upstream: Final = Upstream(settings.gateway)
        self._runner: web.AppRunner | None = None
        self.router: Final = Router(settings, self._snapshot, self._events)
        self.callers: Final = Callers(settings, self._snapshot.redis, follow=self._snapshot.follow)
        audits = Loops()
        self._loops: Final = (self._events.loops, self._snapshot.loops, self.callers.loops, audits)
        self.metrics: Final = GatewayMetrics(
            __version__, self._events, lambda: self._snapshot.age_s, self._loops
        )
        self._border: Final = Border(settings.gateway, self.callers, self.metrics)
        self._chat: Final = Chat(settings.gateway, self.router, self._upstream, self.metrics, audits)
        self.port = settings.gateway.port

    @property
    def base_url(self) -> str:
        """What an OpenAI client takes as its base URL."""
        return f"http://{self._settings.gateway.host}:{self.port}/v1"

    @property
    def ready(self) -> bool:
        """Whether a routing table has been read, and it is known who may be served."""
        return self._snapshot.ready and self.callers.ready

    async def start(self) -> None:
        """Listen; `port` and `base_url` hold from here on. Redis, Kafka and the LLM may come later.

        Raises
        ------
        ConfigError
            If the address cannot be listened on.
        """
        await self._events.start()
        await self._snapshot.start()
        await self.callers.start()
        await self._upstream.start()
        app = web.Application(client_max_size=LARGEST_BODY)
        self._border.guard(app)
        app.router.add_get("/health", self._health)
        app.router.add_get("/ready", self._ready)
        app.router.add_get("/version", self._version)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_post(f"/v1/{chat.PATH}", self._chat.handle)
        app.router.add_route("*", "/v1/{path:.*}", self._pass)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=10.0)
        await self._runner.setup()
        host = self._settings.gateway.host
        try:
            await web.TCPSite(self._runner, host, self.port).start()
        except OSError as error:
            await self.stop()
            raise ConfigError(
                f"gateway: {host}:{self.port} cannot be listened on ({error.strerror}); set gateway.port to a"
                " free port, or 0 to let the system choose"
            ) from error
        self.port = self._runner.addresses[0][1]

    async def stop(self, deadline_s: float = 10.0) -> None:
        """Take no more requests, end those under way, and see audits and events out within a deadline."""
        if self._runner:
            await self._runner.cleanup()
            self._runner = None
        await self._chat.close(deadline_s)
        await self.router.close()
        await self.callers.stop()
        await self._snapshot.stop()
        await self._upstream.stop()
        await self._events.stop()

    async def _pass(self, http: web.Request) -> web.StreamResponse:
        """Pass anything else through, both ways, without looking at it."""
        started, waited_s = time.perf_counter(), 0.0
        path, query = http.rel_url.raw_path.removeprefix("/v1/"), http.rel_url.raw_query_string
        body = http.content if http.body_exists else None
        caller = http[CALLER]
        with self.metrics.in_flight.track_inprogress():
            try:
                sent = caller.sent(sent_headers(http.headers))
                async with await self._upstream.ask(http.method, path, query, sent, body) as answer:
                    waited_s = time.perf_counter() - started
                    if answer.status == 401:
                        # what is served elsewhere proves nothing for a model, but a dead key is dead
                        caller.heard(answer.status)
                    headers = passed_headers(answer.headers)
                    headers["x-jitr-route"] = "teacher"
                    relayed = await relay(http, answer, headers)
                    waited_s += relayed.waited_s
                    return relayed.out
            except FAILURES as failure:
                message = f"The upstream LLM cannot be reached: {said(failure)}"
                return web.Response(
                    status=502,
                    body=openai.error_body(message, "upstream_error", "upstream_unavailable"),
                    headers={"Content-Type": chat.JSON, "x-jitr-route": "teacher"},
                )
            finally:
                self.metrics.observe("teacher", Reason.PASSED, time.perf_counter() - started, waited_s)

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _ready(self, _: web.Request) -> web.Response:
        age_s = self._snapshot.age_s if self.ready else None
        said = {
            "ready": self.ready,
            "snapshot_age_s": age_s,
            "publishing": self._events.state(),
            "loops": {
                name: {"state": loop.state, "restarts": loop.restarts}
                for loops in self._loops
                for name, loop in loops.states.items()
            },
        }
        return web.json_response(said, status=200 if self.ready else 503)

    async def _version(self, _: web.Request) -> web.Response:
        return web.json_response({"version": __version__})

    async def _metrics(self, _: web.Request) -> web.Response:
        text = generate_latest(self.metrics.registry)
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})


def serve(settings: Settings) -> None:
    """Run a gateway until SIGINT or SIGTERM; the log says where it listens."""
    asyncio.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    gateway = Gateway(settings)
    await gateway.start()
    try:
        log.warning("the gateway serves %s in front of %s", gateway.base_url, settings.gateway.upstream)
        await stop.wait()
    finally:
        await gateway.stop()
