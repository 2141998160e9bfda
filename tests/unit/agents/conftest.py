"""A context without servers: rows are plain dictionaries."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from jitr.agents.runtime.context import Context
from jitr.agents.runtime.handler import IncomingEvent
from jitr.agents.runtime.metrics import Metrics
from jitr.schemas.calls import Message, Response
from jitr.schemas.policy import Policy
from jitr.schemas.routes import Route, Transition
from jitr.schemas.settings import Settings
from jitr.schemas.tasks import Signature, Task, TaskCall, Template


@dataclass
class Rows:
    rows: dict[str, Any] = field(default_factory=dict)
    revision: int = 0


class Bench:
    def __init__(self, folder: Path) -> None:
        settings = Settings.load(environ={"JITR_STATE__ROOT": str(folder)})
        policy = Policy(approval="auto", target=0.9, first_labels=20, audit_floor=0.05, shadow_cap=1000)
        settings = msgspec.structs.replace(settings, policy=policy)
        self.tasks, self.routes = Rows(), Rows()
        self.context = Context(settings, self.tasks, self.routes, Metrics("w"), lambda: 0.0)  # type: ignore[arg-type]

    def know(self, task: Task) -> Task:
        self.tasks.rows[task.id] = task
        self.tasks.revision += 1
        return task

    def route(self, route: Route) -> None:
        self.routes.rows[route.task] = Transition(
            route=route, previous="teacher", evidence="e", evidence_kind="tick", reason="", time=0.0
        )


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def mood() -> Task:
    return Task(
        id="mood",
        tenant="t",
        signature=Signature(model="m", shape="user"),
        status="task",
        kind="label",
        labels=("good", "bad"),
        renderings={"good": "Good", "bad": "Bad"},
        templates=(Template(prefix="Mood of:"),),
    )


@pytest.fixture
def task_call() -> Callable[..., TaskCall]:
    def make(n: int, label: str | None = "good", **fields: Any) -> TaskCall:
        base = {
            "id": f"c{n}",
            "tenant": "t",
            "task": "mood",
            "task_version": 1,
            "time": float(n),
            "model": "m",
            "input": f"text {n}",
            "label": label,
            "response": Response(text=label.title(), model="m") if label else None,
            "cost_usd": 0.01 if label else 0.0,
        }
        return TaskCall(**(base | fields))

    return make


@pytest.fixture
def delivered() -> Callable[[Iterable[Any]], list[IncomingEvent[Any]]]:
    def make(values: Iterable[Any], first: int = 0) -> list[IncomingEvent[Any]]:
        return [
            IncomingEvent(getattr(v, "id", str(i)), getattr(v, "time", 0.0), v, 0, i)
            for i, v in enumerate(values, first)
        ]

    return make


@pytest.fixture
def message() -> Callable[[str], tuple[Message, ...]]:
    return lambda text: (Message(role="user", content=text),)
