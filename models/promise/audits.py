"""The audit rate: high after a switch and under suspicion, low when calm. PROMISE.md, step 5."""

from __future__ import annotations

import math

import msgspec

_KAPPA = 1.0
_MOST = 0.5


class AuditRateState(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the audit rate has to remember."""

    start: float
    floor: float
    first_audits: int
    answered: int
    audits: int
    settled_at: int


class AuditRate:
    """The probability of an audit of the next accepted call, from the past alone.

    ``start`` until so many audits have come (at answered call t0); then the largest of the floor,
    ``start * t0 / t`` and ``min(0.5, floor * exp(suspicion))``. Routers learn of a change late, so it
    moves in powers of 2, and upwards to the next.

    Parameters
    ----------
    start, floor : float
        In (0, 1].
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
        """The surrogate answered n more calls."""
        self._answered += n

    def audited(self) -> None:
        """One more audit came."""
        self._audits += 1
        if self._audits == self.first_audits:
            self._settled_at = max(1, self._answered)

    def restart(self) -> None:
        """Begin as after a switch."""
        self._answered = self._audits = self._settled_at = 0

    def at(self, suspicion: float) -> float:
        """The rate under a suspicion, in nats: floor <= rate <= max(0.5, start)."""
        if not self._settled_at:
            return self.start
        decayed = self.start * self._settled_at / max(self._answered, self._settled_at)
        roused = min(_MOST, self.floor * math.exp(min(_KAPPA * suspicion, 50.0)))
        wanted = max(self.floor, decayed, roused)
        if wanted <= self.floor:
            return self.floor
        power = math.ceil(math.log2(wanted / self.start) - 1e-9)
        return max(self.floor, min(self.start * 2.0**power, max(_MOST, self.start)))

    def state(self) -> AuditRateState:
        """Everything, exactly."""
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
        """The rate as it was when its state was taken."""
        rate = cls(state.start, state.floor, state.first_audits)
        rate._answered, rate._audits = state.answered, state.audits
        rate._settled_at = state.settled_at
        return rate
