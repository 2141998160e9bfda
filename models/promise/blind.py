"""Detection of lost audits, by too few audits among the answers: docs/guarantee.md, "Lost audits".

An event that never comes can't be counted; but each answer of a surrogate tells the rate at which it was to
be audited, and so how many audits have to come. An audit that the teacher refused or could not answer came,
and is not lost.
"""

from __future__ import annotations

import math

import msgspec

BAR = 15.0
# the test is of this share of audits lost, against none lost
_LOST = 0.5
# an audit's event is published when the teacher has answered, later than those of other calls. So a minute is
# judged at this age: as long as a gateway waits (`gateway.upstream_timeout_s`), and a reader may lag
LATE_S = 900.0
_MINUTE_S = 60.0
_MOST_MINUTES = 240


class BlindState(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a `Blind`, to be saved.

    ``waiting`` holds the sums, in nats, of minutes of event time that were not judged yet; ``last_failed``
    says that the teacher had no answer to the last audit.
    """

    waiting: dict[int, float]
    level: float
    last_failed: bool


class Blind:
    """A CUSUM over answers of the surrogate, of "half of the audits are lost" against "none is".

    It sums the log-likelihood ratios of the answers of each minute of event time. Where answers are audited
    with probability p and none is lost, an answer whose event comes is an audit with probability p; where
    half of the audits are lost, with probability (p/2) / (1 - p/2).

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
        """Learn an answer of the surrogate.

        Parameters
        ----------
        time : float
            When it was given: event time in seconds.
        rate : float
            The probability with which it was to be audited, in [0, 1].
        audited : bool
            Whether it was audited, with or without an answer of the teacher.
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
        """Note that the teacher answered the last audit."""
        self.last_failed = False

    def failed(self) -> None:
        """Note that the teacher had no answer to the last audit that could be compared."""
        self.last_failed = True

    def restart(self) -> None:
        """Forget everything."""
        self._waiting.clear()
        self.level, self.last_failed = 0.0, False

    @property
    def blind(self) -> bool:
        """Whether so many audits are lost that the others can't be relied on."""
        return self.level >= BAR

    def state(self) -> BlindState:
        """Return the whole state."""
        return BlindState(waiting=dict(self._waiting), level=self.level, last_failed=self.last_failed)

    @classmethod
    def from_state(cls, state: BlindState) -> Blind:
        """Make a watch from a saved state."""
        watch = cls()
        watch._waiting = dict(state.waiting)
        watch.level, watch.last_failed = state.level, state.last_failed
        return watch
