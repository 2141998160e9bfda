"""Blindness: audits that must come and do not. PROMISE.md, step 14."""

from __future__ import annotations

import math

import msgspec

_LOST = math.log(0.5 / 0.01)
_BACK = math.log(0.5 / 0.99)
BAR = 15.0
# As many as one keeps waiting for; beyond, the oldest counts as lost.
_MOST = 10_000


class BlindState(msgspec.Struct, frozen=True, kw_only=True):
    """Everything blindness has to remember."""

    waiting: dict[str, float]
    level: float
    last_lost: bool


class Blind:
    """A CUSUM over audits that were due: half of them lost, against one in a hundred.

    Time is whatever the caller's deadlines are in: the time of events, never a clock.

    Examples
    --------
    >>> watch = Blind()
    >>> for k in range(4):
    ...     watch.due(f"d{k}", deadline=10.0 + k)
    >>> watch.back("d0")
    >>> watch.elapsed(12.5)
    2
    >>> watch.last_lost, watch.blind
    (True, False)
    >>> watch.lost(), watch.lost(), watch.blind
    (None, None, True)
    """

    def __init__(self) -> None:
        self._waiting: dict[str, float] = {}
        self.level = 0.0
        self.last_lost = False

    def due(self, id: str, deadline: float) -> None:
        """An audit is owed; it is lost if it is not back by its deadline."""
        self._waiting[id] = deadline
        if len(self._waiting) > _MOST:
            del self._waiting[next(iter(self._waiting))]
            self.lost()

    def back(self, id: str | None = None) -> None:
        """An audit came; one that was given up before, or never announced, counts all the same."""
        if id is not None:
            self._waiting.pop(id, None)
        self.level = max(0.0, self.level + _BACK)
        self.last_lost = False

    def lost(self) -> None:
        """An audit that was due will not come."""
        self.level += _LOST
        self.last_lost = True

    def elapsed(self, now: float) -> int:
        """Give up every audit whose deadline has passed, and count them."""
        over = [id for id, deadline in self._waiting.items() if deadline < now]
        for id in over:
            del self._waiting[id]
            self.lost()
        return len(over)

    def restart(self) -> None:
        """Begin anew, waiting for nothing."""
        self._waiting.clear()
        self.level, self.last_lost = 0.0, False

    @property
    def blind(self) -> bool:
        """Whether too many are lost to know anything."""
        return self.level >= BAR

    def state(self) -> BlindState:
        """Everything, exactly."""
        return BlindState(waiting=dict(self._waiting), level=self.level, last_lost=self.last_lost)

    @classmethod
    def from_state(cls, state: BlindState) -> Blind:
        """The watch as it was when its state was taken."""
        watch = cls()
        watch._waiting = dict(state.waiting)
        watch.level, watch.last_lost = state.level, state.last_lost
        return watch
