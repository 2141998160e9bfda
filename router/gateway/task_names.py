"""Names of tasks that callers give: of plain characters, short, and not too many."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Final

LONGEST: Final = 128
FORGET_S: Final = 3600.0
_IS_NAME: Final = re.compile(rf"[A-Za-z0-9](?:[A-Za-z0-9 ._:/@+\-]{{0,{LONGEST - 2}}}[A-Za-z0-9])?").fullmatch


class TaskNames:
    """Which names are taken as such.

    Each name makes a task of its own, so that a caller who puts something else there, an id of its
    request for example, would make as many tasks as there are calls.

    Parameters
    ----------
    most : int
        Different names a tenant; one that was not given for an hour leaves its place.
    clock : callable
        Monotonic seconds.

    Examples
    --------
    >>> names = TaskNames(1)
    >>> names.take("default", "triage"), names.take("default", "mail/urgent"), names.take("acme", "mail")
    (True, False, True)
    >>> names.take("default", "tri\\u00e4ge"), names.take("default", "")
    (False, False)
    """

    def __init__(self, most: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._most: Final = most
        self._clock: Final = clock
        self._seen: Final[dict[str, dict[str, float]]] = {}

    def holds(self, tenant: str, name: str) -> bool:
        """Whether this name has its place."""
        return name in self._seen.get(tenant, ())

    def take(self, tenant: str, name: str) -> bool:
        """Whether this is a name, and within the bound of its tenant."""
        if not _IS_NAME(name):
            return False
        seen = self._seen.setdefault(tenant, {})
        now = self._clock()
        if seen.pop(name, None) is None and len(seen) >= self._most:
            oldest = next(iter(seen), None)  # the last use stands behind
            if oldest is None or now - seen[oldest] < FORGET_S:
                return False
            del seen[oldest]
        seen[name] = now
        return True
