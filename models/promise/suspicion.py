"""Suspicion: CUSUMs over audits, against what the surrogate was seen to reach. PROMISE.md, steps 6 and 7.

It is quick and may be wrong: it sets the audit rate and calls a hold, in which nobody gets a wrong answer
while the court makes sure.
"""

from __future__ import annotations

import math

import msgspec

_DROPS = (0.03, 0.08, 0.20)
_MEMORY = 3000.0
_BACK_OFF = 0.15
_BACK_OFF_CAP = 3.0


class SuspicionState(msgspec.Struct, frozen=True, kw_only=True):
    """Everything suspicion has to remember."""

    target: float
    bar: float
    agreed: float
    disagreed: float
    sums: tuple[float, ...]
    false_holds: int


class Suspicion:
    """Sums of log-likelihood ratios of a drop below the target to the base rate, never below 0 (Page, 1954).

    Parameters
    ----------
    target : float
        The promised agreement.
    bar : float
        Alarm when a sum reaches it, in nats; each false hold adds 0.15, at most 3.
    calls, agreed : int
        Shadow calls that were accepted, and how many of them agreed: what is normal to begin with.

    Examples
    --------
    >>> doubt = Suspicion(0.95, 5.0, calls=500, agreed=490)
    >>> [doubt.update(False) for _ in range(5)].index(True) + 1  # disagreements in a row
    3
    """

    def __init__(self, target: float, bar: float, calls: int = 0, agreed: int = 0) -> None:
        self.target, self.base_bar = target, bar
        self._agreed, self._disagreed = float(agreed), float(calls - agreed)
        self._drops = [max(target - d, target / 10) for d in _DROPS]
        self._sums = [0.0] * len(_DROPS)
        self.false_holds = 0
        self._forget()

    @property
    def base(self) -> float:
        """What is normal: the mean of shadow and audits less one standard error, above the target."""
        n = self._agreed + self._disagreed
        mean = (self._agreed + 1) / (n + 2)
        gap = min(0.005, 0.1 * (1 - self.target))
        return min(max(mean - math.sqrt(mean * (1 - mean) / max(n, 1.0)), self.target + gap), 1 - gap)

    @property
    def bar(self) -> float:
        """Where it alarms now, in nats."""
        return self.base_bar + min(_BACK_OFF * self.false_holds, _BACK_OFF_CAP)

    @property
    def statistic(self) -> float:
        """The largest sum, in nats."""
        return max(self._sums)

    def update(self, agreed: bool) -> bool:
        """Learn one audit; True is an alarm."""
        base = self.base
        for j, drop in enumerate(self._drops):
            step = math.log(drop / base) if agreed else math.log((1 - drop) / (1 - base))
            self._sums[j] = max(0.0, self._sums[j] + step)
        self.observe(agreed)
        return self.statistic >= self.bar

    def observe(self, agreed: bool) -> None:
        """Learn what is normal from one call, and suspect nothing."""
        if agreed:
            self._agreed += 1
        else:
            self._disagreed += 1
        self._forget()

    def reset(self, *, false_hold: bool = False) -> None:
        """Begin anew; after a false hold with a higher bar."""
        self._sums = [0.0] * len(_DROPS)
        self.false_holds += false_hold

    def state(self) -> SuspicionState:
        """Everything, exactly."""
        return SuspicionState(
            target=self.target,
            bar=self.base_bar,
            agreed=self._agreed,
            disagreed=self._disagreed,
            sums=tuple(self._sums),
            false_holds=self.false_holds,
        )

    @classmethod
    def from_state(cls, state: SuspicionState) -> Suspicion:
        """Suspicion as it was when its state was taken."""
        doubt = cls(state.target, state.bar)
        doubt._agreed, doubt._disagreed = state.agreed, state.disagreed
        doubt._sums = list(state.sums)
        doubt.false_holds = state.false_holds
        return doubt

    def _forget(self) -> None:
        n = self._agreed + self._disagreed
        if n > _MEMORY:
            self._agreed *= _MEMORY / n
            self._disagreed *= _MEMORY / n
