"""What watching a live promise may find; the audit agent turns each into a piece of evidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Monitor = Literal["cusum", "adwin", "label", "blind", "teacher"]


@dataclass(frozen=True, slots=True)
class Suspected:
    """A reason to hold (`schemas.evidence.Alarm`); of monitor ``blind``: to go back to the teacher."""

    monitor: Monitor
    statistic: float
    threshold: float
    reason: str


@dataclass(frozen=True, slots=True)
class Cleared:
    """In a hold the surrogate was scored and found to keep its target (`schemas.evidence.Resume`).

    ``monitor`` is whose alarm it was that turned out false: that one is to relearn what is normal.
    """

    scored: int
    disagreement: float
    monitor: Monitor


@dataclass(frozen=True, slots=True)
class Convicted:
    """The court: the promise is broken (`schemas.evidence.Verdict`)."""

    wealth: float
    bar: float
    scored: int
    disagreement: float


@dataclass(frozen=True, slots=True)
class RateChanged:
    """The audit rate that suspicion now asks for (goes into the next `schemas.evidence.AuditWindow`)."""

    audit_rate: float


Finding = Suspected | Cleared | Convicted | RateChanged
