"""Windows of counters, as they travel on `jitr.metrics`."""

from __future__ import annotations

from typing import ClassVar

from jitr.schemas.bounds import Finite
from jitr.schemas.record import Record
from jitr.schemas.times import Time


class MetricsWindow(Record, frozen=True, kw_only=True):
    """What one agent counted between two times (seconds since the epoch).

    The names of ``counters`` are those of the Prometheus metrics, labels included:
    ``jitr_events_total{agent="detect",result="matched"}``.
    """

    event_type: ClassVar[str] = "dev.jitr.metrics.window.v1"

    agent: str
    worker: str
    start: Time
    end: Time
    counters: dict[str, Finite]
