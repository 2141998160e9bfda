"""A River detector whose state can be saved exactly, without pickle: by replaying what it has seen.

River's ADWIN is a compiled object that cannot be read out, and replaying its last W values into a new one
gives other buckets than it had. So the detector itself is rebuilt from the newest half of the values
whenever so many are kept: from then on it is what these values make of a new one, in every process.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from array import array
from typing import Protocol, Self

from jitr.models.drift.base import MonitorState
from jitr.models.promise.findings import Alarmed

_MOST = 2048
_KEPT = 1024
_UNIT = 65_535


class DriftDetector(Protocol):
    """The part of a River drift detector that is used."""

    @property
    def drift_detected(self) -> bool:
        """Whether the last value made it alarm."""

    def update(self, x: float) -> object:
        """Learn one value."""


class Replayed(ABC):
    """A monitor over a River detector.

    Values are kept, and seen by the detector, in steps of 1/65535; at most 2,048 of them.
    """

    def __init__(self) -> None:
        self.false_alarms = 0
        self._values = array("H")
        self._detector = self._make()

    @abstractmethod
    def _make(self) -> DriftDetector:
        """A new detector, slower after every false alarm."""

    @abstractmethod
    def _alarm(self) -> Alarmed:
        """What to say, the detector having alarmed just now."""

    def update(self, value: float) -> Alarmed | None:
        """Learn one value in [0, 1] (others are clipped); an alarm is returned once, when it is raised."""
        step = round(min(max(value, 0.0), 1.0) * _UNIT)
        self._values.append(step)
        self._detector.update(step / _UNIT)
        alarm = self._alarm() if self._detector.drift_detected else None
        if len(self._values) >= _MOST:
            self._values = self._values[-_KEPT:]
            self._replay()
        return alarm

    def relearn(self) -> None:
        """The alarm was false: forget what was normal, learn it anew, and be slower to alarm."""
        self.false_alarms += 1
        self._values = array("H")
        self._replay()

    @property
    def values(self) -> list[float]:
        """The values kept, oldest first."""
        return [step / _UNIT for step in self._values]

    def state(self) -> MonitorState:
        """Everything, exactly."""
        values = self._values[:]
        if sys.byteorder == "big":
            values.byteswap()
        return MonitorState(values=values.tobytes(), false_alarms=self.false_alarms)

    @classmethod
    def from_state(cls, state: MonitorState) -> Self:
        """The monitor as it was when its state was taken."""
        monitor = cls()
        monitor.false_alarms = state.false_alarms
        monitor._values = array("H", state.values)
        if sys.byteorder == "big":
            monitor._values.byteswap()
        monitor._replay()
        return monitor

    def _replay(self) -> None:
        self._detector = self._make()
        for step in self._values:
            self._detector.update(step / _UNIT)
