"""Which surrogates were at work as their process ended, and how often of late."""

from __future__ import annotations

from collections import deque
from typing import Final

MOST: Final = 3
WINDOW_S: Final = 300.0


class Crashes:
    """Counts by digest; what happened longer than `WINDOW_S` ago is forgotten.

    Examples
    --------
    >>> crashes = Crashes()
    >>> [crashes.add("a", now) for now in (0.0, 1.0, 2.0)], crashes.of("a", 3.0), crashes.of("b", 3.0)
    ([False, False, True], 3, 0)
    >>> crashes.of("a", 1000.0), crashes.add("a", 1000.0)
    (0, False)
    """

    def __init__(self) -> None:
        self._times: Final[dict[str, deque[float]]] = {}

    def add(self, digest: str, now: float) -> bool:
        """Count one; whether there were so many of late (`MOST`) that it must not be run."""
        times = self._times.setdefault(digest, deque(maxlen=MOST))
        times.append(now)
        return self.of(digest, now) == MOST

    def of(self, digest: str, now: float) -> int:
        """How many are known of."""
        times = self._times.get(digest)
        if times is None:
            return 0
        while times and now - times[0] > WINDOW_S:
            times.popleft()
        if not times:
            del self._times[digest]
        return len(times)
