"""Blindness: calls that come without the audits that ought to come among them. PROMISE.md, step 14.

An audit that the teacher refused, or could not answer, came all the same: it says nothing about the surrogate
and nothing about what is lost. What never comes cannot be counted, but its share is known: every answer tells
the rate at which it was to be audited.
"""

from __future__ import annotations

import math

import msgspec

BAR = 15.0
# the share of audits lost that is tested against none
_LOST = 0.5
# an audit is told when the teacher has answered, later than the calls beside it: minutes are judged once
# they are as old as a gateway waits (`gateway.upstream_timeout_s`) and a reader may lag
LATE_S = 900.0
_MINUTE_S = 60.0
_MOST_MINUTES = 240


class BlindState(msgspec.Struct, frozen=True, kw_only=True):
    """Everything blindness has to remember."""

    waiting: dict[int, float]
    level: float
    last_failed: bool


class Blind:
    """A CUSUM over answers of the surrogate: half of the audits that were due are lost, against none.

    Of answers that are audited with probability p, those that are told are audits with probability p where
    none is lost, and with less where some are: a log-likelihood ratio adds up over each minute, in the time
    of events.

    Examples
    --------
    >>> watch = Blind()
    >>> for k in range(5_000):
    ...     watch.answered(time=float(k), rate=0.2, audited=k % 5 == 0)
    >>> watch.blind
    False
    >>> for k in range(5_000, 7_000):
    ...     watch.answered(time=float(k), rate=0.2, audited=False)
    >>> watch.blind
    True
    """

    def __init__(self) -> None:
        self._waiting: dict[int, float] = {}
        self.level = 0.0
        self.last_failed = False

    def answered(self, time: float, rate: float, audited: bool) -> None:
        """An answer of the surrogate is told: when it was given, at which rate of audits, and whether as one.

        Parameters
        ----------
        time : float
            Event time in seconds.
        rate : float
            Probability of an audit, in [0, 1].
        audited : bool
            Whether it is one, whatever the teacher said to it.
        """
        kept = 1.0 - _LOST
        told = 1.0 - rate * _LOST
        minute = int(time // _MINUTE_S)
        gain = math.log(kept if audited else 1.0) - math.log(told)
        self._waiting[minute] = self._waiting.get(minute, 0.0) + gain
        over = [m for m in self._waiting if (m + 1) * _MINUTE_S + LATE_S <= time]
        if len(self._waiting) > _MOST_MINUTES:
            over.append(min(self._waiting))
        for m in sorted(set(over)):
            self.level = max(0.0, self.level + self._waiting.pop(m))

    def came(self) -> None:
        """The teacher answered an audit."""
        self.last_failed = False

    def failed(self) -> None:
        """An audit came, but the teacher had no answer that counts."""
        self.last_failed = True

    def restart(self) -> None:
        """Begin anew, waiting for nothing."""
        self._waiting.clear()
        self.level, self.last_failed = 0.0, False

    @property
    def blind(self) -> bool:
        """Whether too many are lost to know anything."""
        return self.level >= BAR

    def state(self) -> BlindState:
        """Everything, exactly."""
        return BlindState(waiting=dict(self._waiting), level=self.level, last_failed=self.last_failed)

    @classmethod
    def from_state(cls, state: BlindState) -> Blind:
        """The watch as it was when its state was taken."""
        watch = cls()
        watch._waiting = dict(state.waiting)
        watch.level, watch.last_failed = state.level, state.last_failed
        return watch
