"""What every monitor of drift can do. An alarm of one calls a hold; it never demotes."""

from __future__ import annotations

from typing import Protocol, TypeVar

import msgspec

from jitr.models.promise.findings import Alarmed


class MonitorState(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a monitor has to remember: the last values, in 16 bits each, and its false alarms."""

    values: bytes
    false_alarms: int


M = TypeVar("M", bound="Monitor")


class Monitor(Protocol):
    """Watches one value of every call (or audit) and alarms when its mean has moved."""

    def update(self, value: float) -> Alarmed | None:
        """Learn one value in [0, 1]; an alarm is returned once, when it is raised."""

    def relearn(self) -> None:
        """The alarm was false: forget what was normal, learn it anew, and be slower to alarm."""

    def state(self) -> MonitorState:
        """Everything, exactly."""

    @classmethod
    def from_state(cls: type[M], state: MonitorState) -> M:
        """The monitor as it was when its state was taken."""
