"""A training: which data, which recipe, which limits, as it travels on `jitr.trainings`."""

from __future__ import annotations

from typing import ClassVar

from jitr.schemas.bounds import Count, Duration, Int64, Name, Offset, Rate, Slug
from jitr.schemas.record import Record
from jitr.schemas.tasks import OutputKind
from jitr.schemas.times import Time


class PartRef(Record, frozen=True, kw_only=True):
    """One Parquet part of a dataset: where it is and what it must be."""

    url: str
    digest: str
    rows: Count


class Limits(Record, frozen=True, kw_only=True):
    """What a surrogate may cost: CPU seconds to train, CPU ms per answer (p99), MB resident."""

    max_latency_ms: Duration = 50.0
    max_ram_mb: Duration = 512.0
    max_train_s: Duration = 600.0


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

    id: Slug
    tenant: Name
    task: Slug
    task_version: Count
    kind: OutputKind
    parts: tuple[PartRef, ...]
    labels: Count
    renderings: dict[str, str] = {}
    target: Rate
    delta: Rate
    tolerance: Duration = 0.0
    limits: Limits = Limits()
    seed: Int64 = 0
    previous: Slug | None = None
    since_offset: Offset = 0
    until_offset: Offset = -1
    demotions: Count = 0
    requested_at: Time = 0.0
