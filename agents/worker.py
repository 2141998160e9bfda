"""A worker: several agents in one event loop, with the rows they share and a page of metrics."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import secrets
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler
from mode.utils.logging import get_logger
from redis.asyncio import Redis

from jitr.agents.auditing.audit import audit
from jitr.agents.auditing.scoring import AuditScorer
from jitr.agents.collecting.collect import collect
from jitr.agents.control import control
from jitr.agents.detect import detect
from jitr.agents.mining.mine import mine
from jitr.agents.redis_sink import redis_sink
from jitr.agents.runtime import watchdog
from jitr.agents.runtime.compacted_table import CompactedReader
from jitr.agents.runtime.context import Context
from jitr.agents.runtime.faust_app import Agent, FaustRunner
from jitr.agents.runtime.handler import Output
from jitr.agents.runtime.metrics import Metrics
from jitr.agents.runtime.producer import pack, send_all
from jitr.agents.runtime.topics import create_missing
from jitr.agents.runtime.watchdog import StuckError
from jitr.agents.training.train import train
from jitr.router.servers.redis import connect
from jitr.router.servers.rights import must_have
from jitr.router.supervisor import Loops
from jitr.router.table import RouteTable
from jitr.schemas.errors import ConfigError, nearest
from jitr.schemas.origins import stranger
from jitr.schemas.rights import kafka_rights
from jitr.schemas.routes import Transition
from jitr.schemas.settings import Settings
from jitr.schemas.signing import UNSIGNED_MODE, Signing
from jitr.schemas.tasks import Task
from jitr.schemas.trainings import Training

log = get_logger(__name__)

AGENTS = ("detect", "mine", "collect", "train", "audit", "control", "redis-sink")
_WINDOW_S = 10.0
_PATIENT = ("train", "redis-sink")


class Worker:
    """Agents at work in the running event loop.

    Parameters
    ----------
    settings : Settings
    agents : sequence of str
        Names out of `AGENTS`; by default all.

    Raises
    ------
    ConfigError
        If there is no such agent.

    Examples
    --------
    >>> async def example(settings):
    ...     worker = Worker(settings, ["detect", "mine"])
    ...     await worker.start()
    ...     await worker.ready()
    ...     await worker.stop()
    """

    def __init__(self, settings: Settings, agents: Sequence[str] = AGENTS) -> None:
        for name in agents:
            if name not in AGENTS:
                raise ConfigError(
                    f"there is no agent `{name}`{nearest(name, AGENTS)}; known: {', '.join(AGENTS)}"
                )
        self.settings = settings
        Signing(settings).must_serve_a_worker()
        self.names = tuple(name for name in AGENTS if name in agents)
        self.metrics = Metrics(f"{socket.gethostname()}-{secrets.token_hex(3)}")
        self.runners: list[FaustRunner[Any]] = []
        topics, kafka = settings.topics, settings.kafka
        self.tasks = CompactedReader(kafka, topics.tasks.name, Task, lambda task: task.id)
        self.routes = CompactedReader(
            kafka, topics.routes.name, Transition, lambda t: t.route.task, lambda t: t.route.version
        )
        self.trainings = CompactedReader(
            kafka, topics.trainings.name, Training, lambda t: t.task, lambda t: t.labels
        )
        self.port = 0
        self._scorer = AuditScorer()
        self._redis: Redis | None = None
        self._runner: web.AppRunner | None = None
        self.loops = Loops()
        self._stuck: asyncio.Event = asyncio.Event()
        self._reason: StuckError | None = None

    async def start(self) -> None:
        """Make missing topics, read tasks and routes to their ends, start the agents.

        Raises
        ------
        UnavailableError
            If Kafka does not answer, or does not give us a right that is needed.
        """
        settings = self.settings
        if not Signing(settings).on:
            log.warning(UNSIGNED_MODE)
        try:
            await create_missing(settings.kafka, settings.topics.all())
            ours = {"worker", *self.names}
            await must_have(settings.kafka, [r for r in kafka_rights(settings) if r.part in ours])
            await asyncio.gather(*(reader.start() for reader in self._readers))
            context = Context(settings, self.tasks, self.routes, self.metrics, time.time)
            self._redis = connect(settings.redis)
            await self._serve()
            self.runners = [FaustRunner(agent, settings, self.metrics) for agent in self._agents(context)]
            await asyncio.gather(*(runner.start() for runner in self.runners))
            self.metrics.watch_loops(self._all_loops)
            self.loops.run("report", lambda: self._report(context))
            self.loops.run("watchdog", self._watch)
        except BaseException:
            await self.stop()
            raise

    @property
    def _readers(self) -> list[CompactedReader[Any]]:
        more = [self.trainings] if "train" in self.names else []
        return [self.tasks, self.routes, *more]

    def _agents(self, context: Context) -> list[Agent[Any]]:
        redis = self._redis
        assert redis is not None
        make: dict[str, Callable[[], Agent[Any]]] = {
            "detect": lambda: detect(context),
            "mine": lambda: mine(context),
            "collect": lambda: collect(context),
            "train": lambda: train(context, redis, self.trainings.rows),
            "audit": lambda: audit(context, self._scorer),
            "control": lambda: control(context),
            "redis-sink": lambda: redis_sink(context, RouteTable(redis, context.settings.redis.prefix)),
        }
        return [make[name]() for name in self.names]

    async def ready(self) -> None:
        """Wait until every agent has joined its group."""
        await asyncio.gather(*(runner.assigned.wait() for runner in self.runners))

    async def failed(self) -> None:
        """Wait until something fails that only a restart can mend, and raise it."""
        waiting: list[asyncio.Future[Any]] = [runner.failure for runner in self.runners]
        crashes = [asyncio.ensure_future(runner.crashed()) for runner in self.runners]
        stuck = asyncio.ensure_future(self._stuck.wait())
        done, _ = await asyncio.wait([*waiting, stuck, *crashes], return_when=asyncio.FIRST_COMPLETED)
        stuck.cancel()
        for crash in crashes:
            crash.cancel()
        if self._reason is not None:
            raise self._reason
        for task in done:
            task.result()

    async def stop(self) -> None:
        """Finish what is in hand, commit, leave the groups; nothing is left running."""
        for name in ("report", "watchdog"):
            await self.loops.stop(name)
        await asyncio.gather(*(runner.stop() for runner in self.runners))
        await asyncio.gather(*(reader.stop() for reader in self._readers))
        self._scorer.stop()
        if self._redis is not None:
            await self._redis.aclose()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _watch(self) -> None:
        """The watchdog over the groups that nothing but Kafka may hold up.

        train takes its time, train and redis-sink wait for Redis, and a full disk is not mended by a restart.
        """
        groups = {runner.group: runner.moving for runner in self.runners if runner.agent.name not in _PATIENT}
        try:
            await watchdog.watch(self.settings.kafka, groups, self.settings.worker.watchdog_s)
        except StuckError as error:
            self._reason = error
            self._stuck.set()

    def _all_loops(self) -> list[Loops]:
        return [self.loops, *(runner.loops for runner in self.runners), *(r.loops for r in self._readers)]

    def _unready(self) -> list[str]:
        """Why the worker is not ready, a line each; nothing where it is."""
        starting = [runner.agent.name for runner in self.runners if not runner.assigned.is_set()]
        if starting or not self.runners:
            return [f"starting {', '.join(starting)}".rstrip()]
        states = [item for loops in self._all_loops() for item in loops.states.items()]
        down = [f"loop {name} died of {loop.error}" for name, loop in states if loop.state != "running"]
        return down + [line for runner in self.runners for line in runner.waits()]

    async def _serve(self) -> None:
        """`/metrics` for Prometheus, `/health` (alive) and `/ready` (every agent has its partitions
        and waits for nothing, and every loop in the background runs)."""

        async def page(request: web.Request) -> web.Response:
            return web.Response(
                body=self.metrics.page(), headers={"Content-Type": "text/plain; version=0.0.4"}
            )

        async def health(request: web.Request) -> web.Response:
            return web.Response(text="alive")

        async def ready(request: web.Request) -> web.Response:
            amiss = self._unready()
            return web.Response(text="\n".join(amiss) or "ready", status=503 if amiss else 200)

        @web.middleware
        async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
            foreign = stranger(
                request.headers.getall("Host", ()),
                request.headers.getall("Origin", ()),
                bound=self.settings.worker.host,
                reached=_address(request),
                allowed_hosts=self.settings.worker.allowed_hosts,
            )
            if foreign is not None:
                return web.Response(text=f"{foreign}; worker.allowed_hosts names those that are", status=403)
            return await handler(request)

        app = web.Application(middlewares=[guarded])
        app.add_routes([web.get("/metrics", page), web.get("/health", health), web.get("/ready", ready)])
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        host, port = self.settings.worker.host, self.settings.worker.port
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            # another worker of this machine has it: the work matters more than the page's place
            await web.TCPSite(self._runner, host, 0).start()
            log.warning("port %d is taken; /metrics is at %s", port, self._runner.addresses[0])
        self.port = self._runner.addresses[0][1]

    async def _report(self, context: Context) -> None:
        """Bring the gauges up to date each second, and send windows of the counters now and then."""
        start, topic = context.now(), context.topics.metrics.name
        while True:
            await asyncio.sleep(1.0)
            self.metrics.show_tasks(self.tasks.rows.values())
            self.metrics.show_routes([t.route for t in self.routes.rows.values()])
            now = context.now()
            if now < start + _WINDOW_S:
                continue
            for runner in self.runners:
                name = runner.agent.name
                window = self.metrics.window(name, start, now)
                id = f"{self.metrics.worker}/{name}/{start:.3f}"
                packed = pack([Output(topic, name, id, now, window)], source=f"/jitr/{name}")
                with contextlib.suppress(Exception):
                    await send_all(packed, runner.send, self.settings.topics.dead_letters.name)
            start = now


def _address(request: web.Request) -> str:
    name = request.transport and request.transport.get_extra_info("sockname")
    return str(name[0]) if isinstance(name, tuple) else ""
