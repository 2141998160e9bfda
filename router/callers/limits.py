"""How much of its bounds a key has used: requests over the last minute, dollars since midnight UTC."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from jitr.router.callers.keyring import Used
from jitr.schemas.keys import GatewayKey


@dataclass(slots=True)
class _Count:
    """One key's use: what all gateways had told by the last exchange, and what ours has not told yet."""

    minute: int = 0
    day: int = 0
    before: int = 0
    requests: int = 0
    usd: float = 0.0
    new_requests: int = 0
    new_usd: float = 0.0


class CallerLimits:
    """Counts what keys use here, and learns what they use at other gateways.

    Between two exchanges with the others (twice a second) each gateway knows its own requests only, so that a
    bound may be passed by what comes in within half a second; and by calls under way, whose price is not
    known before they end.

    Parameters
    ----------
    now : callable
        Seconds since the epoch.

    Examples
    --------
    >>> limits = CallerLimits(lambda: 120.0)
    >>> bounded = GatewayKey(id="k", tenant="t", digest="", requests_per_min=2, usd_per_day=0.5)
    >>> [limits.take(bounded) for _ in range(3)]
    [None, None, ('requests_per_min', 90)]
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now: Final = now
        self._counts: dict[str, _Count] = {}

    def take(self, key: GatewayKey) -> tuple[str, int] | None:
        """Count a request; where it passes a bound: which, and in how many seconds to come again."""
        if key.requests_per_min is None and key.usd_per_day is None:
            return None
        now = self._now()
        count = self._count(key.id, now)
        if key.usd_per_day is not None and count.usd + count.new_usd >= key.usd_per_day:
            return "usd_per_day", math.ceil(86_400 - now % 86_400)
        if key.requests_per_min is not None:
            current, passed_s = count.requests + count.new_requests, now % 60
            if (wait := wait_s(count.before, current, passed_s, key.requests_per_min)) > 0:
                return "requests_per_min", math.ceil(wait)
        count.new_requests += 1
        return None

    def charge(self, key: GatewayKey, usd: float) -> None:
        """Add what a call has cost."""
        if key.usd_per_day is not None:
            self._count(key.id, self._now()).new_usd += usd

    def begin(self, usd: Mapping[str, float]) -> None:
        """Take up what keys have used today before this gateway started."""
        now = self._now()
        for id, spent in usd.items():
            self._count(id, now).usd = spent

    def untold(self) -> tuple[dict[str, Used], int, int]:
        """What was used here and is not told, with its minute and day; of keys in use, and no others."""
        now = self._now()
        minute, day = int(now // 60), int(now // 86_400)
        used = {}
        for id in list(self._counts):
            count = self._count(id, now)
            if count.before or count.requests or count.new_requests or count.new_usd or count.usd:
                used[id] = Used(count.new_requests, count.new_usd)
            else:
                del self._counts[id]
        return used, minute, day

    def told(self, used: Mapping[str, Used], totals: Mapping[str, Used], minute: int, day: int) -> None:
        """Ours was told, and these are the totals of all gateways."""
        for id, total in totals.items():
            count = self._counts[id]
            if count.minute == minute:
                count.requests, count.new_requests = total.requests, count.new_requests - used[id].requests
            if count.day == day:
                count.usd, count.new_usd = total.usd, max(0.0, count.new_usd - used[id].usd)

    def _count(self, id: str, now: float) -> _Count:
        minute, day = int(now // 60), int(now // 86_400)
        count = self._counts.setdefault(id, _Count(minute, day))
        if count.minute != minute:
            next_one = count.minute == minute - 1
            count.before = count.requests + count.new_requests if next_one else 0
            count.minute, count.requests, count.new_requests = minute, 0, 0
        if count.day != day:
            count.day, count.usd, count.new_usd = day, 0.0, 0.0
        return count


def wait_s(before: int, current: int, passed_s: float, most: int) -> float:
    """Seconds until one more request fits: a window of a minute that slides over two counted ones.

    Of the minute before, that share counts which the window still covers, as if it had been spread evenly.

    Parameters
    ----------
    before, current : int
        Requests of the last whole minute, and of this one.
    passed_s : float
        Seconds of this minute, 0 <= passed_s < 60.
    most : int
        Requests a minute, at least 1.

    Examples
    --------
    >>> wait_s(0, 9, 30.0, 10), wait_s(10, 0, 30.0, 10), wait_s(10, 0, 3.0, 10), wait_s(0, 10, 30.0, 10)
    (0.0, 0.0, 2.9999999999999982, 36.0)
    """
    left = most - 1 - current
    if before * (1 - passed_s / 60) <= left:
        return 0.0
    if left >= 0:
        return 60 * (1 - left / before) - passed_s
    return 60 - passed_s + 60 * (1 - (most - 1) / current)
