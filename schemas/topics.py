"""Every topic: its name, key, partitions, cleanup and the records in it. Nowhere else."""

from __future__ import annotations

from dataclasses import dataclass, replace

from jitr.schemas.calls import Call
from jitr.schemas.evidence import Evidence
from jitr.schemas.metrics import MetricsWindow
from jitr.schemas.routes import Transition
from jitr.schemas.tasks import Task, TaskCall, TaskCommand
from jitr.schemas.trainings import Training

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic.

    Attributes
    ----------
    name : str
        Without the prefix.
    key : str
        What the record key is, in words.
    partitions : int
        At creation; an existing topic keeps its own.
    retention_days : int or None
        None keeps every record.
    compact : bool
        Only the last record of each key is kept.
    record : type
        The struct (or union) of its values.
    """

    name: str
    key: str
    partitions: int
    record: object
    retention_days: int | None = None
    compact: bool = False

    @property
    def config(self) -> dict[str, str]:
        """The topic's configuration, as Kafka spells it."""
        if self.compact:
            return {"cleanup.policy": "compact"}
        days = self.retention_days
        return {"cleanup.policy": "delete", "retention.ms": str(days * DAY_MS) if days else "-1"}


@dataclass(frozen=True, slots=True)
class Topics:
    """All topics, under one prefix.

    Examples
    --------
    >>> Topics.under("acme.").calls.name
    'acme.llm.calls'
    >>> Topics().routes.config
    {'cleanup.policy': 'compact'}
    """

    calls: Topic = Topic("llm.calls", "any", 8, Call, retention_days=7)
    unmatched: Topic = Topic("jitr.unmatched", "tenant", 8, Call | TaskCommand, retention_days=3)
    tasks: Topic = Topic("jitr.tasks", "task", 1, Task, compact=True)
    task_calls: Topic = Topic("jitr.task-calls", "task", 8, TaskCall, retention_days=7)
    trainings: Topic = Topic("jitr.trainings", "task", 8, Training, retention_days=7)
    evidence: Topic = Topic("jitr.evidence", "task", 8, Evidence, retention_days=30)
    routes: Topic = Topic("jitr.routes", "task", 8, Transition, compact=True)
    ledger: Topic = Topic("jitr.ledger", "task", 8, Transition)
    metrics: Topic = Topic("jitr.metrics", "agent", 1, MetricsWindow, retention_days=1)
    dead_letters: Topic = Topic("llm.calls.dlq", "as source", 1, bytes, retention_days=14)

    @classmethod
    def under(cls, prefix: str = "", partitions: int | None = None) -> Topics:
        """All topics with a prefix before their names.

        Parameters
        ----------
        prefix : str
            For example ``acme.``; empty for none.
        partitions : int, optional
            In the place of 8 wherever the table says 8.
        """
        plain = cls()
        fields = {name: getattr(plain, name) for name in cls.__slots__}
        return cls(
            **{
                name: replace(
                    topic,
                    name=prefix + topic.name,
                    partitions=partitions if partitions and topic.partitions > 1 else topic.partitions,
                )
                for name, topic in fields.items()
            }
        )

    def all(self) -> tuple[Topic, ...]:
        """Every topic, in the order of the flow."""
        return tuple(getattr(self, name) for name in self.__slots__)
