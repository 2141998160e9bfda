"""The input monitor: ADWIN on the gate's score of every call (Bifet and Gavalda, 2007).

It alarms when the inputs change: docs/guarantee.md, "Input monitor".
"""

from __future__ import annotations

from river.drift import ADWIN

from jitr.models.drift.replayed import Replayed
from jitr.models.promise.findings import Alarmed

_DELTA = 0.002
_SLOWER = 4.0


class MarginMonitor(Replayed):
    """Alarms when the mean score of the gate has moved, in either direction.

    It sees every call, audited or not, and no label: a change of the teacher alone is not its business.

    Examples
    --------
    >>> monitor = MarginMonitor()
    >>> [monitor.update(0.9 + 0.001 * (k % 50)) for k in range(500)].count(None)
    500
    >>> alarms = [monitor.update(0.6 + 0.001 * (k % 50)) for k in range(200)]
    >>> next(alarm for alarm in alarms if alarm).monitor
    'adwin'
    """

    def _make(self) -> ADWIN:
        return ADWIN(delta=_DELTA / _SLOWER**self.false_alarms)

    def _alarm(self) -> Alarmed:
        assert isinstance(self._detector, ADWIN)
        # ADWIN has just cut its window down to what it holds to be the new mean
        now = float(self._detector.estimation)
        old = self.values[: -int(self._detector.width)] or self.values
        before = sum(old) / len(old)
        return Alarmed("adwin", now, before, f"mean gate score moved from {before:.3f} to {now:.3f}")
