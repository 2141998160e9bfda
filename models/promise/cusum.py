"""The CUSUM detector: it alarms when audits disagree more than before. docs/guarantee.md, "CUSUM detector".

It is quick, and may be wrong: its level raises the audit rate and its alarm begins a hold, in which the
teacher answers everything. It demotes nothing; the demotion test (`jitr.models.promise.demotion_test`) does.
"""

from __future__ import annotations

import math

import msgspec

_DROPS = (0.03, 0.08, 0.20)
_MEMORY = 3000.0
_BACK_OFF = 0.15
_BACK_OFF_CAP = 3.0


class CusumState(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a `CusumDetector`, to be saved.

    ``agreed`` and ``disagreed`` are the counts behind what is normal; ``sums`` are the CUSUMs, in nats.
    """

    target: float
    threshold: float
    agreed: float
    disagreed: float
    sums: tuple[float, ...]
    false_holds: int


class CusumDetector:
    """Sums log-likelihood ratios of three drops below the target to the base rate, each kept at 0 or above.

    That is Page's CUSUM (1954), one for each size of the drop.

    Parameters
    ----------
    target : float
        The promised agreement.
    threshold : float
        It alarms when a sum reaches this, in nats; each false hold adds 0.15 to it, at most 3 in all.
    calls, agreed : int
        Accepted calls of the shadow run, and how many of them agreed: what is normal at the beginning.

    Examples
    --------
    >>> detector = CusumDetector(0.95, 5.0, calls=500, agreed=490)
    >>> [detector.update(False) for _ in range(5)].index(True) + 1  # disagreements in a row
    3
    """

    def __init__(self, target: float, threshold: float, calls: int = 0, agreed: int = 0) -> None:
        self.target, self.base_threshold = target, threshold
        self._agreed, self._disagreed = float(agreed), float(calls - agreed)
        self._drops = [max(target - d, target / 10) for d in _DROPS]
        self._sums = [0.0] * len(_DROPS)
        self.false_holds = 0
        self._forget()

    @property
    def base(self) -> float:
        """What is normal: mean agreement of shadow run and audits less a standard error; above the target."""
        n = self._agreed + self._disagreed
        mean = (self._agreed + 1) / (n + 2)
        gap = min(0.005, 0.1 * (1 - self.target))
        return min(max(mean - math.sqrt(mean * (1 - mean) / max(n, 1.0)), self.target + gap), 1 - gap)

    @property
    def threshold(self) -> float:
        """The level at which it alarms now, in nats."""
        return self.base_threshold + min(_BACK_OFF * self.false_holds, _BACK_OFF_CAP)

    @property
    def statistic(self) -> float:
        """The level: the largest sum, in nats."""
        return max(self._sums)

    def update(self, agreed: bool) -> bool:
        """Learn one audit; return whether it alarms."""
        base = self.base
        for j, drop in enumerate(self._drops):
            step = math.log(drop / base) if agreed else math.log((1 - drop) / (1 - base))
            self._sums[j] = max(0.0, self._sums[j] + step)
        self.observe(agreed)
        return self.statistic >= self.threshold

    def observe(self, agreed: bool) -> None:
        """Count one call to what is normal, and leave the sums alone."""
        if agreed:
            self._agreed += 1
        else:
            self._disagreed += 1
        self._forget()

    def reset(self, *, false_hold: bool = False) -> None:
        """Set the sums to 0; after a false hold, raise the threshold."""
        self._sums = [0.0] * len(_DROPS)
        self.false_holds += false_hold

    def state(self) -> CusumState:
        """Return the whole state."""
        return CusumState(
            target=self.target,
            threshold=self.base_threshold,
            agreed=self._agreed,
            disagreed=self._disagreed,
            sums=tuple(self._sums),
            false_holds=self.false_holds,
        )

    @classmethod
    def from_state(cls, state: CusumState) -> CusumDetector:
        """Make a detector from a saved state."""
        detector = cls(state.target, state.threshold)
        detector._agreed, detector._disagreed = state.agreed, state.disagreed
        detector._sums = list(state.sums)
        detector.false_holds = state.false_holds
        return detector

    def _forget(self) -> None:
        n = self._agreed + self._disagreed
        if n > _MEMORY:
            self._agreed *= _MEMORY / n
            self._disagreed *= _MEMORY / n
