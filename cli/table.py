"""Read the routing table once, and find a task in it by id, by the start of its id or by name."""

from __future__ import annotations

import asyncio

from redis.exceptions import RedisError

from jitr.router.servers.redis import connect, why
from jitr.router.table import RouteTable, Rows
from jitr.schemas.errors import NotFoundError, UnavailableError
from jitr.schemas.routes import Route
from jitr.schemas.settings import Settings


def rows(settings: Settings, tenant: str) -> Rows:
    """Read the table of a tenant.

    Raises
    ------
    UnavailableError
        If Redis does not answer.
    """
    return asyncio.run(_rows(settings, tenant))


async def _rows(settings: Settings, tenant: str) -> Rows:
    client = connect(settings.redis)
    try:
        return await RouteTable(client, settings.redis.prefix).load(tenant)
    except (RedisError, OSError) as error:
        raise UnavailableError(why(settings.redis, error)) from error
    finally:
        await client.aclose()


def route_of(found: Rows, task: str) -> Route:
    """The route of a task; one that never moved is at the teacher."""
    return found.routes.get(task) or Route(tenant=found.tenant, task=task)


def find(found: Rows, word: str) -> str:
    """The id of the task that is meant by an id, the start of one, or a name.

    Raises
    ------
    NotFoundError
        If none fits, or several do.

    Examples
    --------
    >>> find(Rows("t", routes={"ab12": Route(tenant="t", task="ab12")}), "ab")
    'ab12'
    """
    ids = set(found.tasks) | set(found.routes)
    if word in ids:
        return word
    named = {t.id for t in found.tasks.values() if word in (t.name, t.caller_name)}
    fitting = named or {id for id in ids if id.startswith(word)}
    if len(fitting) == 1:
        return fitting.pop()
    if fitting:
        several = ", ".join(sorted(fitting))
        raise NotFoundError(f"{word!r} fits {len(fitting)} tasks: {several}; give the whole id")
    raise NotFoundError(f"no task {word!r} for tenant {found.tenant!r}; `jitr tasks list` shows them")
