"""A training: which data, which recipe, which limits, as it travels on `jitr.trainings`."""

from __future__ import annotations

from typing import ClassVar

from jitr.schemas.record import Record
from jitr.schemas.tasks import OutputKind


class PartRef(Record, frozen=True, kw_only=True):
    """One Parquet part of a dataset: where it is and what it must be."""

    url: str
    digest: str
    rows: int


class Limits(Record, frozen=True, kw_only=True):
    """What a surrogate may cost: CPU seconds to train, CPU ms per answer (p99), MB resident."""

    max_latency_ms: float = 50.0
    max_ram_mb: float = 512.0
    max_train_s: float = 600.0


class Training(Record, frozen=True, kw_only=True):
    """A request to train; its id is the digest of data and recipe, so that the same is trained once.

    ``tolerance`` is how far two numbers may lie apart and still agree.

    ``previous`` is the id of the training that was asked for before, on fewer labels of the same teacher: its
    race is where this one begins. ``until_offset`` is the last offset of the task's calls in the data,
    ``since_offset`` the first: what was answered before a broken promise was another teacher's. ``labels``
    counts all that the task had when it was asked for, also those before; ``demotions`` how often the route
    had been demoted by then.
    """

    event_type: ClassVar[str] = "dev.jitr.training.requested.v1"

    id: str
    tenant: str
    task: str
    task_version: int
    kind: OutputKind
    parts: tuple[PartRef, ...]
    labels: int
    renderings: dict[str, str] = {}
    target: float
    delta: float
    tolerance: float = 0.0
    limits: Limits = Limits()
    seed: int = 0
    previous: str | None = None
    since_offset: int = 0
    until_offset: int = -1
    demotions: int = 0
    requested_at: float = 0.0
