"""What a `LivePromise` may find; the audit agent turns each finding into a piece of evidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Monitor = Literal["cusum", "adwin", "label", "blind", "teacher"]


@dataclass(frozen=True, slots=True)
class Alarmed:
    """An alarm (`jitr.schemas.evidence.Alarm`): a hold begins.

    One of monitor ``blind`` is no hold: the route goes back to the teacher.
    """

    monitor: Monitor
    statistic: float
    threshold: float
    reason: str


@dataclass(frozen=True, slots=True)
class Resumed:
    """The end of a hold in which the surrogate agreed often enough (`jitr.schemas.evidence.Resume`).

    ``monitor`` is the one whose alarm began the hold: its alarm was false, and it is to learn anew what is
    normal.
    """

    scored: int
    disagreement: float
    monitor: Monitor


@dataclass(frozen=True, slots=True)
class Demoted:
    """The demotion test rejects that the target is kept (`jitr.schemas.evidence.Demotion`).

    ``threshold`` is the e-value at which it rejects.
    """

    e_value: float
    threshold: float
    scored: int
    disagreement: float


@dataclass(frozen=True, slots=True)
class RateChanged:
    """A new audit rate; it goes into the next `jitr.schemas.evidence.AuditWindow`."""

    audit_rate: float


Finding = Alarmed | Resumed | Demoted | RateChanged
