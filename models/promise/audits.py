"""The audit rate: how often an accepted call is put to the teacher as well.

It is high after a switch and while the CUSUM detector is near its alarm, and low when calm:
docs/guarantee.md, "Audits".
"""

from __future__ import annotations

import math

import msgspec

_KAPPA = 1.0
_MOST = 0.5


class AuditRateState(msgspec.Struct, frozen=True, kw_only=True):
    """The state of an `AuditRate`, to be saved.

    ``settled_at`` is the number of accepted calls at which ``first_audits`` had come; 0 before that.
    """

    start: float
    floor: float
    first_audits: int
    answered: int
    audits: int
    settled_at: int


class AuditRate:
    """Computes the probability of an audit of the next accepted call, from past calls alone.

    It is ``start`` until ``first_audits`` audits have come, at accepted call t0. From then on, at call t, it
    is the largest of ``floor``, ``start * t0 / t`` and ``min(0.5, floor * exp(level))``. Unless it is the
    floor, it is rounded up to ``start`` times a power of 2, so that routers, which learn of a change late,
    need not follow every call.

    Parameters
    ----------
    start, floor : float
        Rate after a switch, and the least rate, in (0, 1].
    first_audits : int
        Audits before the rate may fall.

    Examples
    --------
    >>> rate = AuditRate(start=0.2, floor=0.005, first_audits=2)
    >>> rate.at(0.0)
    0.2
    >>> for _ in range(2):
    ...     rate.answered(5), rate.audited()
    (None, None)
    (None, None)
    >>> rate.answered(10_000)
    >>> rate.at(0.0), rate.at(4.0)
    (0.005, 0.4)
    """

    def __init__(self, start: float, floor: float, first_audits: int) -> None:
        self.start, self.floor, self.first_audits = start, min(floor, start), first_audits
        self._answered = self._audits = self._settled_at = 0

    def answered(self, n: int = 1) -> None:
        """Count n more calls that the gate accepted."""
        self._answered += n

    def audited(self) -> None:
        """Count an audit."""
        self._audits += 1
        if self._audits == self.first_audits:
            self._settled_at = max(1, self._answered)

    def restart(self) -> None:
        """Forget all counts, as after a switch."""
        self._answered = self._audits = self._settled_at = 0

    def at(self, level: float) -> float:
        """Return the rate at this level of the CUSUM detector, in nats; floor <= rate <= max(0.5, start)."""
        if not self._settled_at:
            return self.start
        decayed = self.start * self._settled_at / max(self._answered, self._settled_at)
        roused = min(_MOST, self.floor * math.exp(min(_KAPPA * level, 50.0)))
        wanted = max(self.floor, decayed, roused)
        if wanted <= self.floor:
            return self.floor
        power = math.ceil(math.log2(wanted / self.start) - 1e-9)
        return max(self.floor, min(self.start * 2.0**power, max(_MOST, self.start)))

    def state(self) -> AuditRateState:
        """Return the whole state."""
        return AuditRateState(
            start=self.start,
            floor=self.floor,
            first_audits=self.first_audits,
            answered=self._answered,
            audits=self._audits,
            settled_at=self._settled_at,
        )

    @classmethod
    def from_state(cls, state: AuditRateState) -> AuditRate:
        """Make a rate from a saved state."""
        rate = cls(state.start, state.floor, state.first_audits)
        rate._answered, rate._audits = state.answered, state.audits
        rate._settled_at = state.settled_at
        return rate
