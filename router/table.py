"""The routing table in Redis: who writes it, in what order, and how it is read.

``jitr:{TENANT}:routes`` and ``jitr:{TENANT}:tasks`` are hashes of task id to row (JSON, as on the topics);
``jitr:{TENANT}:epoch`` changes with every change, and is published on ``jitr:{TENANT}:changes``. The braces
are part of the names: a cluster keeps a tenant's keys together. ``redis.prefix`` stands before all of them.
All writing is one Lua script, so that writers in a rebalance may race: the newer row wins everywhere.
"""

from __future__ import annotations

import re
import secrets
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from redis.asyncio import Redis
from redis.commands.core import AsyncScript

from jitr.schemas.errors import RecordError
from jitr.schemas.record import Record, decode, encode
from jitr.schemas.routes import Route
from jitr.schemas.tasks import Task

SCRIPT: Final = Path(__file__).with_name("apply.lua").read_text()


def key(tenant: str, name: str, prefix: str = "") -> str:
    """Name one of a tenant's keys: ``routes``, ``tasks``, ``epoch`` or ``changes``.

    Examples
    --------
    >>> key("default", "routes"), key("default", "routes", "acme.")
    ('jitr:{default}:routes', 'acme.jitr:{default}:routes')
    """
    return f"{prefix}jitr:{{{tenant}}}:{name}"


def channels(prefix: str = "") -> str:
    """The pattern of the channels of all tenants.

    Examples
    --------
    >>> channels("acme*"), channels()
    ('acme\\\\*jitr:{*}:changes', 'jitr:{*}:changes')
    """
    return key("*", "changes", re.sub(r"([\\*?\[\]^-])", r"\\\1", prefix))


@dataclass(frozen=True, slots=True)
class Rows:
    """One tenant's rows as they stood together at one epoch.

    Attributes
    ----------
    epoch : str or None
        None where the table is not there: never written, or flushed.
    routes, tasks : dict of task id to row
    broken : tuple of str
        ``hash/field: reason`` of each row that could not be read and was left out.
    """

    tenant: str
    epoch: str | None = None
    routes: dict[str, Route] = field(default_factory=dict)
    tasks: dict[str, Task] = field(default_factory=dict)
    broken: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether there is no row at all."""
        return not self.routes and not self.tasks


class RouteTable:
    """The routing table of all tenants, in one Redis.

    Parameters
    ----------
    redis : redis.asyncio.Redis
        The caller's; it stays open.
    prefix : str
        ``redis.prefix`` of the settings.

    Examples
    --------
    >>> from jitr.schemas.routes import RouteVersion
    >>> async def example(redis):
    ...     table = RouteTable(redis)
    ...     await table.apply_route(Route(tenant="default", task="t1", version=RouteVersion(offset=7)))
    ...     return (await table.load("default")).routes["t1"].version.offset
    """

    def __init__(self, redis: Redis, prefix: str = "") -> None:
        self._redis: Final = redis
        self._prefix: Final = prefix
        self._apply: Final[AsyncScript] = redis.register_script(SCRIPT)

    async def apply_route(self, route: Route) -> bool:
        """Apply one route if its version is newer than the stored one; return whether it was."""
        return bool(await self.apply_routes([route]))

    async def apply_routes(self, routes: Iterable[Route]) -> int:
        """Apply routes, all of a tenant's at once; return how many were newer and applied."""
        return await self._apply_rows("routes", [(r.tenant, r.task, r) for r in routes])

    async def apply_tasks(self, tasks: Iterable[Task]) -> int:
        """Apply tasks, ordered by version, then life, then calls; return how many were applied."""
        return await self._apply_rows("tasks", [(t.tenant, t.id, t) for t in tasks])

    async def epoch(self, tenant: str) -> str | None:
        """The epoch of a tenant's table; None where it was never written or was flushed."""
        value = await self._redis.get(self._key(tenant, "epoch"))
        return None if value is None else _text(value)

    async def load(self, tenant: str, known: Rows | None = None) -> Rows:
        """Read a tenant's whole table as of one moment.

        Parameters
        ----------
        known : Rows, optional
            Rows of an earlier load: equal ones are kept as they are, not read anew.
        """
        pipe = self._redis.pipeline(transaction=True)
        pipe.get(self._key(tenant, "epoch"))
        pipe.hgetall(self._key(tenant, "routes"))
        pipe.hgetall(self._key(tenant, "tasks"))
        epoch, routes, tasks = await pipe.execute()
        broken: list[str] = []
        return Rows(
            tenant=tenant,
            epoch=None if epoch is None else _text(epoch),
            routes=_rows("routes", routes, Route, known.routes if known else {}, broken),
            tasks=_rows("tasks", tasks, Task, known.tasks if known else {}, broken),
            broken=tuple(broken),
        )

    def _key(self, tenant: str, name: str) -> str:
        return key(tenant, name, self._prefix)

    async def _apply_rows(self, kind: str, rows: Sequence[tuple[str, str, Record]]) -> int:
        by_tenant: dict[str, list[str | bytes]] = defaultdict(list)
        for tenant, task, row in rows:
            by_tenant[tenant] += [task, encode(row)]
        applied = 0
        for tenant, arguments in by_tenant.items():
            flags = await self._apply(
                keys=[self._key(tenant, kind), self._key(tenant, "epoch")],
                args=[kind, self._key(tenant, "changes"), secrets.token_hex(8), *arguments],
            )
            applied += sum(flags)
        return applied


def _rows(
    name: str, raw: dict[Any, Any], kind: type[Any], known: dict[str, Any], broken: list[str]
) -> dict[str, Any]:
    rows = {}
    for task, value in raw.items():
        task_id = _text(task)
        try:
            row = decode(value, kind)
        except RecordError as error:
            broken.append(f"{name}/{task_id}: {error}")
            continue
        # identity tells the snapshot what it need not build again
        rows[task_id] = known[task_id] if known.get(task_id) == row else row
    return rows


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
