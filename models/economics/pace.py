"""How often a task is called: event times of some of its calls, in bounded memory."""

from __future__ import annotations

import msgspec

_MOST = 128
# event times closer than this are not told apart: a log may carry whole seconds, or one time for all
_LEAST_S = 1.0


class Pace(msgspec.Struct):
    """The event times of every ``stride``-th call, with as many calls between any two of them.

    When they are too many, every second one is forgotten. What is said about the pace rests on the newer
    half of the calls: a log that was read long after it was written, or a clock that was wrong for a while,
    is outgrown.

    Examples
    --------
    >>> pace = Pace()
    >>> for n in range(1000):
    ...     pace.call(n * 2.0)
    >>> pace.recent(), len(pace.times) <= 128
    ((496, 992.0), True)
    """

    stride: int = 1
    since: int = 0
    times: list[float] = []

    def call(self, time: float) -> None:
        """Learn one call, at an event time in seconds."""
        self.since += 1
        if self.times and self.since < self.stride:
            return
        self.since = 0
        self.times.append(time)
        if len(self.times) > _MOST:
            self.times = self.times[::2]
            self.stride *= 2

    def recent(self) -> tuple[int, float]:
        """How many calls there were, and in how many seconds of event time, since about half of them."""
        newer = self.times[len(self.times) // 2 :]
        if len(newer) < 2:
            return 0, 0.0
        return (len(newer) - 1) * self.stride, max(_LEAST_S, max(newer) - min(newer))
