"""The gateway: an OpenAI-compatible server in front of the LLM that lets surrogates answer."""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import logging
import os
import signal
import threading
from collections.abc import Awaitable
from typing import Any, Final, Protocol

import uvloop
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from jitr import __version__
from jitr.router.callers.border import Border
from jitr.router.callers.callers import Callers
from jitr.router.gateway.chat import Chat
from jitr.router.gateway.dispatch import Dispatch, Page
from jitr.router.gateway.passing import Passing
from jitr.router.http.addresses import leads_to
from jitr.router.http.connections import Connections, allow_open_files
from jitr.router.http.listener import Listener
from jitr.router.http.upstream import Upstream
from jitr.router.metrics import GatewayMetrics, PublishCounts
from jitr.router.publishing.events import EventStream
from jitr.router.router import Router, Sink
from jitr.router.snapshot import Snapshot
from jitr.router.supervisor import Loops
from jitr.schemas.errors import ConfigError
from jitr.schemas.settings import Settings
from jitr.schemas.signing import UNSIGNED_MODE
from jitr.schemas.urls import safe_url

log = logging.getLogger(__name__)
EVENTS_S: Final = 8.0
LEAST_S: Final = 5.0
GRACE_S: Final = 10.0


class Events(Sink, PublishCounts, Protocol):
    """Where the gateway's calls go; `EventStream` is one."""

    async def start(self) -> None:
        """Begin to take calls."""

    async def stop(self, deadline_s: float = 10.0) -> None:
        """See out what was taken, within a deadline."""

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
        self._runner: web.ServerRunner | None = None
        self._listener: Listener | None = None
        self.router: Final = Router(settings, self._snapshot, self._events)
        self.callers: Final = Callers(settings, self._snapshot.redis, follow=self._snapshot.follow)
        audits = Loops()
        scorers, callers = self._snapshot.scorers, self.callers
        self._loops: Final = (
            self._events.loops,
            self._snapshot.loops,
            scorers.loops,
            callers.loops,
            audits,
        )
        self.metrics: Final = GatewayMetrics(
            __version__, self._events, scorers, lambda: self._snapshot.age_s, self._loops
        )
        self._chat: Final = Chat(settings.gateway, self.router, self._upstream, self.metrics, audits)
        pages: dict[str, Page] = {
            "/health": self._health,
            "/ready": self._ready,
            "/version": self._version,
            "/metrics": self._metrics,
        }
        self._dispatch: Final = Dispatch(
            self._chat,
            Passing(self._upstream, self.metrics),
            self._upstream,
            self.metrics,
            Border(settings.gateway, self.callers, self.metrics),
            pages,
        )
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
            If the address cannot be listened on, or is the upstream's too.
        """
        settings = self._settings.gateway
        await self._events.start()
        await self._snapshot.start()
        await self.callers.start()
        await self._upstream.start()
        self.connections = Connections(self._dispatch.handle, settings)
        self.metrics.watch(self.connections)
        if self.connections.most < settings.max_connections:
            log.warning(
                "of %d callers at most %d can be connected at once: the system allows no more open files"
                " (ulimit -n)",
                settings.max_connections,
                self.connections.most,
            )
        self._runner = web.ServerRunner(self.connections)
        await self._runner.setup()
        host = settings.host
        self._listener = Listener(self.connections, host, self.port)
        try:
            await self._listener.start()
        except OSError as error:
            await self.stop()
            raise ConfigError(
                f"gateway: {host}:{self.port} cannot be listened on ({error.strerror}); set gateway.port to a"
                " free port, or 0 to let the system choose"
            ) from error
        self.port = self._listener.port
        if await leads_to(settings.upstream, host, self.port):
            await self.stop()
            raise ConfigError(
                f"gateway.upstream leads back to the gateway itself ({host}:{self.port}); set it to the LLM's"
                " base URL, for example https://api.openai.com/v1"
            )

    async def stop(self, deadline_s: float | None = None) -> None:
        """Take no more requests, end those under way, and see audits and events out.

        Parameters
        ----------
        deadline_s : float, optional
            For all of it; by default ``gateway.stop_timeout_s``. What hangs beyond it is left behind.
        """
        total_s = self._settings.gateway.stop_timeout_s if deadline_s is None else deadline_s
        if self._listener:
            self._listener.close()
        if self._runner:
            self.connections.patience_s = total_s / 4
            await self._runner.cleanup()
            self._runner = None
        for name, share, closing in (
            ("audits", 0.2, self._chat.close(total_s / 8)),
            ("surrogates", 0.1, self.router.close(total_s / 16)),
            ("the gateway's keys", 0.05, self.callers.stop()),
            ("the routing snapshot", 0.05, self._snapshot.stop()),
            ("the upstream's connections", 0.05, self._upstream.stop()),
        ):
            await _within(max(LEAST_S, share * total_s), name, closing)
        # calls that Kafka does not take by then are written to disk
        await _within(total_s / 8 + EVENTS_S, "events", self._events.stop(total_s / 8))

    async def _health(self, _: web.BaseRequest) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _ready(self, _: web.BaseRequest) -> web.Response:
        age_s = self._snapshot.age_s if self._snapshot.ready else None
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

    async def _version(self, _: web.BaseRequest) -> web.Response:
        return web.json_response({"version": __version__})

    async def _metrics(self, _: web.BaseRequest) -> web.Response:
        text = generate_latest(self.metrics.registry)
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})


async def _within(limit_s: float, name: str, closing: Awaitable[None]) -> None:
    try:
        async with asyncio.timeout(limit_s):
            await closing
    except TimeoutError:
        log.error("%s did not come to an end within %.1f s, and are left behind", name, limit_s)


def serve(settings: Settings) -> None:
    """Run a gateway until SIGINT or SIGTERM; the log says where it listens."""
    allow_open_files()
    # what is loaded stays: collecting it again and again would make requests wait
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    uvloop.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if not settings.signing.gateway_keys:
        log.warning(UNSIGNED_MODE)
    gateway = Gateway(settings)
    await gateway.start()
    try:
        log.warning(
            "the gateway serves %s in front of %s",
            gateway.base_url,
            safe_url(settings.gateway.upstream),
        )
        await stop.wait()
    finally:
        deadline_s = settings.gateway.stop_timeout_s
        # whatever hangs, be it a thread or this loop: the process ends
        faulthandler.dump_traceback_later(deadline_s + GRACE_S, exit=True)
        await gateway.stop(deadline_s)
        last = threading.Timer(1.0, os._exit, (0,))
        last.daemon = True
        last.start()
