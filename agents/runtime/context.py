"""What agents share in one worker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from jitr.agents.runtime.metrics import Metrics
from jitr.schemas.routes import Route, Transition
from jitr.schemas.settings import Settings
from jitr.schemas.tasks import Task
from jitr.schemas.topics import Topics


class CompactedRows(Protocol):
    """The rows of a compacted topic, as `CompactedReader` keeps them."""

    @property
    def revision(self) -> int: ...


class TaskRows(CompactedRows, Protocol):
    """Tasks by id."""

    @property
    def rows(self) -> dict[str, Task]: ...


class RouteRows(CompactedRows, Protocol):
    """Transitions by task id."""

    @property
    def rows(self) -> dict[str, Transition]: ...


@dataclass(frozen=True)
class Context:
    """Settings, what is known of tasks and routes, and where to count.

    ``now`` is the time of day in seconds since the epoch; nothing that decides depends on it.
    """

    settings: Settings
    tasks: TaskRows
    routes: RouteRows
    metrics: Metrics
    now: Callable[[], float]
    topics: Topics = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "topics", self.settings.topics)

    def route(self, task: str) -> Route | None:
        """The route of a task as it stands now."""
        transition = self.routes.rows.get(task)
        return None if transition is None else transition.route

    def task(self, task: str) -> Task | None:
        """A task; where it was merged, the one that it goes on as."""
        found = self.tasks.rows.get(task)
        for _ in range(16):
            if found is None or found.merged_into is None:
                break
            found = self.tasks.rows.get(found.merged_into)
        return found
