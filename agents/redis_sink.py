"""redis-sink: reads `jitr.routes` and `jitr.tasks` and keeps the routing table in Redis the same, by version.

Once a second it looks whether the table is whole, and writes it again where Redis was flushed or came back
from an old dump.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence

from mode.utils.logging import get_logger
from redis.exceptions import RedisError

from jitr.agents.runtime.context import Context
from jitr.agents.runtime.faust_app import Agent
from jitr.agents.runtime.handler import Handler, IncomingEvent, Output, SourcePartition
from jitr.router.table import RouteTable
from jitr.schemas.errors import UnavailableError
from jitr.schemas.events import Event
from jitr.schemas.record import decode
from jitr.schemas.routes import Route, Transition
from jitr.schemas.tasks import Task

log = get_logger(__name__)
LOOK_S = 1.0


def redis_sink(context: Context, table: RouteTable) -> Agent[Route | Task]:
    """Make the agent."""
    topics = context.topics
    return Agent(
        "redis-sink",
        (topics.routes, topics.tasks),
        lambda place: RedisSink(context, table, place),
        batch_s=0.005,
        linger_s=0.0,
        beside=lambda: keep_whole(context, table),
    )


class RedisSink(Handler[Route | Task]):
    """Applies the rows of one partition."""

    def __init__(self, context: Context, table: RouteTable, place: SourcePartition) -> None:
        super().__init__()
        self._table = table
        self._reads_tasks = place.topic == context.topics.tasks.name

    def read(self, event: Event) -> Route | Task:
        """Decode a row."""
        if self._reads_tasks:
            return decode(event.data, Task)
        return decode(event.data, Transition).route

    async def handle(self, batch: Sequence[IncomingEvent[Route | Task]]) -> list[Output]:
        """Apply rows; the script leaves out what is not newer."""
        rows = [incoming.value for incoming in batch]
        try:
            await self._table.apply_tasks([row for row in rows if isinstance(row, Task)])
            await self._table.apply_routes([row for row in rows if isinstance(row, Route)])
        except RedisError as error:
            raise UnavailableError(f"Redis does not answer: {error}") from error
        return []


async def keep_whole(context: Context, table: RouteTable) -> None:
    """Look again and again whether every row is in Redis."""
    epochs: dict[str, str | None] = {}
    while True:
        try:
            await look(context, table, epochs)
        except RedisError as error:
            log.warning("redis-sink: waiting for Redis: %s", error)
        await asyncio.sleep(LOOK_S)


async def look(context: Context, table: RouteTable, epochs: dict[str, str | None]) -> list[str]:
    """Write a tenant's rows again where some are missing or old; the tenants that needed it are returned.

    Parameters
    ----------
    epochs : dict of tenant to epoch
        As they were at the last look; brought up to date. An epoch that has not moved needs no look.
    """
    routes: dict[str, list[Route]] = defaultdict(list)
    tasks: dict[str, list[Task]] = defaultdict(list)
    for transition in context.routes.rows.values():
        routes[transition.route.tenant].append(transition.route)
    for task in context.tasks.rows.values():
        tasks[task.tenant].append(task)
    rebuilt = []
    for tenant in sorted(routes.keys() | tasks.keys()):
        epoch = await table.epoch(tenant)
        if epoch is not None and epochs.get(tenant) == epoch:
            continue
        there = await table.load(tenant)
        missing = {t.id for t in tasks[tenant]} - there.tasks.keys()
        missing |= {r.task for r in routes[tenant]} - there.routes.keys()
        # a Redis that came back from an old dump lets a demoted surrogate answer until its row is mended
        behind = {
            r.task for r in routes[tenant] if (row := there.routes.get(r.task)) and row.version < r.version
        }
        if missing or behind or there.broken:
            applied = await table.apply_tasks(tasks[tenant]) + await table.apply_routes(routes[tenant])
            if applied:
                log.debug("redis-sink: %d rows of tenant %s were missing or old in Redis", applied, tenant)
                rebuilt.append(tenant)
            epochs[tenant] = await table.epoch(tenant)
        else:
            epochs[tenant] = there.epoch
    return rebuilt
