"""A routing table that was flushed and is written again: what serves meanwhile."""

from __future__ import annotations

from dataclasses import replace

from jitr.router.table import Rows


def token(epoch: str | None) -> str:
    """The part of an epoch that changes with a flush only; empty before the first.

    Examples
    --------
    >>> token("a1.17"), token(None)
    ('a1', '')
    """
    return "" if epoch is None else epoch.partition(".")[0]


def covers(rows: Rows, before: Rows) -> bool:
    """Whether every row of before the flush has been written again."""
    return rows.routes.keys() >= before.routes.keys() and rows.tasks.keys() >= before.tasks.keys()


def overlay(before: Rows, rows: Rows) -> Rows:
    """The rows of before the flush, with those that were written again since in their place."""
    routes = dict(before.routes)
    for task, route in rows.routes.items():
        # while the table is written again, old rows of a replay may come before new ones
        if task not in routes or route.version >= routes[task].version:
            routes[task] = route
    return replace(rows, routes=routes, tasks={**before.tasks, **rows.tasks})
