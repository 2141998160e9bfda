"""The routing table in memory: what the request path reads instead of Redis."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from jitr.models.tasks.matching.matcher import Matcher
from jitr.router.flush import covers, overlay, token
from jitr.router.reasons import Reason
from jitr.router.scoring.artifacts import ArtifactRefusal, ArtifactStore, RemoteSurrogate
from jitr.router.scoring.fetch import local_path
from jitr.router.scoring.scorers import Scorers
from jitr.router.servers.redis import connect, why
from jitr.router.supervisor import Loops
from jitr.router.table import RouteTable, Rows, channels
from jitr.schemas.routes import Route, SurrogateRef, SurrogateTarget
from jitr.schemas.settings import Settings
from jitr.schemas.tasks import Task

log = logging.getLogger(__name__)
CHECK_S: Final = 0.5
RELOAD_S: Final = 0.05
RETRY_S: Final = 0.25
FOLLOWER: Final = "snapshot"
SERVING: Final = ("canary", "active", "hold")


@dataclass(frozen=True, slots=True)
class Live:
    """One route as it can be served: with its surrogate in memory, or with why there is none."""

    route: Route
    surrogate: RemoteSurrogate | None
    reason: Reason
    threshold: float = 1.0


@dataclass(frozen=True, slots=True)
class View:
    """One tenant's table, ready to serve; replaced as a whole."""

    matcher: Matcher
    routes: Mapping[str, Live] = field(default_factory=dict)


@dataclass(slots=True)
class _Tenant:
    name: str
    lease_s: float
    rows: Rows
    view: View | None = None
    matched: dict[str, Any] = field(default_factory=dict)
    checked_at: float = 0.0
    loaded_at: float = 0.0
    before_flush: Rows | None = None
    flushed_at: float = 0.0


class Snapshot:
    """Follows the routing table and serves it from memory.

    A change is seen by pub/sub within milliseconds, and by the epoch, read twice a second, where a
    message was lost. Without Redis the last view serves until its lease ends, then the teacher answers
    everything; it recovers by itself. A flush is not taken for an empty table: until the rows are written
    again, or the lease ends, those from before it serve.

    Parameters
    ----------
    settings : Settings
    scorers : Scorers, optional
        Where surrogates run; by default ``settings.gateway.scorers`` processes, started when a route names a
        surrogate and ended by `stop`.
    redis : redis.asyncio.Redis, optional
        By default a client of its own, as ``settings.redis`` says.
    clock : callable
        Monotonic seconds.

    Attributes
    ----------
    redis : redis.asyncio.Redis
        The client, for whoever else of the gateway asks this Redis.
    loops : Loops
        What follows the table, and loads artifacts, in the background.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        scorers: Scorers | None = None,
        redis: Redis | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.redis: Final = redis or connect(settings.redis, timeout_s=2.0)
        self._owned: Final = redis is None
        self._settings: Final = settings
        self._channels: Final = channels(settings.redis.prefix)
        self._table: Final = RouteTable(self.redis, settings.redis.prefix)
        root = local_path(settings.state.root) or Path(".jitr/state")
        self.loops: Final = Loops()
        self.scorers: Final = scorers or Scorers(settings.gateway.scorers)
        self._store: Final = ArtifactStore(
            root / "fetched",
            self._rebuild_all,
            self.scorers,
            self.loops,
            room_mb=settings.gateway.surrogates_mb,
        )
        self._clock: Final = clock
        names = {settings.gateway.tenant, *settings.gateway.tenants.values()}
        self._configured: Final = frozenset(names)
        self._tenants: Final[dict[str, _Tenant]] = {}
        for name in sorted(names):
            self.follow(name)
        self._reachable = True
        self._built: Final = asyncio.Event()

    def follow(self, tenant: str) -> None:
        """Read one more tenant's table too, from now on."""
        if tenant not in self._tenants:
            lease_s = self._settings.policy_of(tenant, "").lease_s
            self._tenants[tenant] = _Tenant(tenant, lease_s, Rows(tenant=tenant))

    def view(self, tenant: str) -> View | Reason:
        """What serves a tenant now, or why nothing does. Never waits."""
        state = self._tenants.get(tenant)
        if state is None or state.view is None:
            return Reason.NO_SNAPSHOT
        if self._clock() - state.checked_at > state.lease_s:
            return Reason.LEASE_EXPIRED
        return state.view

    @property
    def ready(self) -> bool:
        """Whether the table of every tenant that the settings name has been read."""
        return all(self._tenants[name].view is not None for name in self._configured)

    @property
    def age_s(self) -> float:
        """Seconds since Redis last confirmed the oldest view; infinite before the first."""
        if not self.ready:
            return float("inf")
        return self._clock() - min(self._tenants[name].checked_at for name in self._configured)

    async def wait_ready(self, timeout_s: float) -> bool:
        """Wait until the table of every tenant is read, and each surrogate it names is loaded or refused.

        Returns
        -------
        bool
            False where that takes longer than so many seconds.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while not self.ready or self._loading:
                    self._built.clear()
                    await self._built.wait()
        except TimeoutError:
            return False
        return True

    @property
    def _loading(self) -> bool:
        routes = [
            live for state in self._tenants.values() if state.view for live in state.view.routes.values()
        ]
        return any(live.reason is Reason.ARTIFACT_LOADING for live in routes)

    async def start(self) -> None:
        """Begin to follow; returns at once, so that calls pass through before a table is read."""
        self.loops.run(FOLLOWER, self._follow)

    async def stop(self) -> None:
        """Follow no longer."""
        await self.loops.stop(FOLLOWER)
        await self._store.close()
        if self._owned:
            await self.redis.aclose()

    async def _follow(self) -> None:
        while True:
            try:
                await self.redis.initialize()  # a cluster's client must know its nodes
                async with self.redis.pubsub() as listener:
                    await listener.psubscribe(self._channels)
                    while True:
                        await self._refresh()
                        self._said(True, "")
                        await listener.get_message(ignore_subscribe_messages=True, timeout=CHECK_S)
            except (RedisError, OSError, TimeoutError) as error:
                self._said(False, why(self._settings.redis, error))
            await asyncio.sleep(RETRY_S)

    def _said(self, reachable: bool, error: str) -> None:
        if reachable != self._reachable:
            if reachable:
                log.warning("Redis is back")
            else:
                log.warning("%s; the last snapshot serves until its lease ends", error)
        self._reachable = reachable

    async def _refresh(self) -> None:
        for state in list(self._tenants.values()):
            asked_at = self._clock()
            epoch = await self._table.epoch(state.name)
            unchanged = state.view is not None and epoch == state.rows.epoch
            if not unchanged or self._grace_ended(state):
                wait = state.loaded_at + RELOAD_S - self._clock()
                if state.loaded_at and wait > 0:
                    await asyncio.sleep(wait)
                await self._reload(state)
            state.checked_at = asked_at
        # refused artifacts that are due are tried again
        self._store.want(self._named())

    def _grace_ended(self, state: _Tenant) -> bool:
        return state.before_flush is not None and self._clock() - state.flushed_at > state.lease_s

    async def _reload(self, state: _Tenant) -> None:
        rows = await self._table.load(state.name, known=state.rows)
        state.loaded_at = self._clock()
        for line in rows.broken:
            log.error("routing table of %s: %s; the teacher answers", state.name, line)
        if state.before_flush is None and token(rows.epoch) != token(state.rows.epoch) and state.rows.epoch:
            log.warning("the routing table of %s was flushed; its last snapshot serves meanwhile", state.name)
            state.before_flush, state.flushed_at = state.rows, self._clock()
        if state.before_flush is not None:
            if self._grace_ended(state) or covers(rows, state.before_flush):
                state.before_flush = None
            else:
                rows = overlay(state.before_flush, rows)
        matched = {task.id: _matching_part(task) for task in rows.tasks.values()}
        matcher = state.view.matcher if state.view and matched == state.matched else None
        if matcher is None:
            matcher = await asyncio.to_thread(Matcher, tuple(rows.tasks.values()))
        state.rows, state.matched = rows, matched
        self._store.want(self._named())
        self._build(state, matcher)

    def _rebuild_all(self) -> None:
        for state in self._tenants.values():
            if state.view is not None:
                self._build(state, state.view.matcher)

    def _build(self, state: _Tenant, matcher: Matcher) -> None:
        before = state.view.routes if state.view is not None else {}
        routes = {task: self._live(route, before.get(task)) for task, route in state.rows.routes.items()}
        state.view = View(matcher=matcher, routes=routes)
        self._built.set()

    def _live(self, route: Route, before: Live | None) -> Live:
        if route.state not in SERVING:
            return Live(route, None, Reason(route.state))
        ref = route.surrogate
        target = route.target.version if isinstance(route.target, SurrogateTarget) else None
        if ref is None or ref.proof is None or (route.state != "hold" and target != ref.version):
            return Live(route, None, Reason.NO_SURROGATE)
        found = self._store.find(ref)
        if isinstance(found, ArtifactRefusal):
            if found.reason is Reason.ARTIFACT_LOADING and before is not None and _may_stay(before, route):
                return before
            return Live(route, None, found.reason)
        reason = Reason.HOLD if route.state == "hold" else Reason.ASK
        return Live(route, found, reason, threshold=ref.proof.threshold)

    def _named(self) -> list[SurrogateRef]:
        """The surrogates of all rows, and of the rows of before that serve until these are loaded."""
        routes: list[Route] = []
        for state in self._tenants.values():
            routes += state.rows.routes.values()
            if state.view is not None:
                routes += [live.route for live in state.view.routes.values() if live.surrogate is not None]
        return [r.surrogate for r in routes if r.surrogate is not None and r.state in SERVING]


def _may_stay(before: Live, route: Route) -> bool:
    """Whether the version of before may answer while the one that follows it is loaded.

    Nothing was held against it: the row has changed from one version that serves to the next.
    """
    serve = ("canary", "active")
    return (
        before.surrogate is not None
        and before.route.state in serve
        and route.state in serve
        and (before.route.holds, before.route.demotions) == (route.holds, route.demotions)
    )


def _matching_part(task: Task) -> Any:
    # counters, labels and names move often, and change no match
    return task.version, task.status, task.signature, task.templates, task.caller_name
