"""Whether calls find a place: no surrogate may answer where no audit could be seen."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

STALL_S: Final = 30.0
RESUME_S: Final = 5.0
CALM_S: Final = 10.0


class PublishHealth:
    """Shut while calls are lost or wait for too long; opens again by itself.

    It shuts when a call is lost because nothing took it, or when the oldest call in memory has waited for
    more than `STALL_S` seconds: neither Kafka nor the disk takes calls, or what hands them on has died. It
    opens when for `CALM_S` seconds no call was lost so and the oldest has waited for less than `RESUME_S`.

    Parameters
    ----------
    clock : callable
        Monotonic seconds.

    Examples
    --------
    >>> now = 0.0
    >>> health = PublishHealth(lambda: now)
    >>> health.open(None)
    True
    >>> health.lost()
    >>> now = 9.0; health.open(None)
    False
    >>> now = 10.0; health.open(None)
    True
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock: Final = clock
        self._lost_at = float("-inf")
        self._open = True

    def lost(self) -> None:
        """A call was lost because nothing took it (`Drop.is_outage`)."""
        self._lost_at, self._open = self._clock(), False

    def open(self, oldest: float | None) -> bool:
        """Whether calls find a place.

        Parameters
        ----------
        oldest : float or None
            When the oldest call that waits in memory came, on the clock; None where none waits.
        """
        now = self._clock()
        waited_s = 0.0 if oldest is None else now - oldest
        if waited_s > STALL_S:
            self._open = False
        elif not self._open:
            self._open = now - self._lost_at >= CALM_S and waited_s < RESUME_S
        return self._open
