"""Follows the loop from outside, as any consumer could: the topics of tasks and routes."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer

from jitr.router.servers.kafka import client_options
from jitr.schemas.errors import RecordError
from jitr.schemas.events import Event, decode_events
from jitr.schemas.record import decode
from jitr.schemas.routes import Route, Transition
from jitr.schemas.settings import Settings
from jitr.schemas.tasks import Task


@dataclass(frozen=True, slots=True)
class Moment:
    """Something worth telling, and when (seconds since the first call)."""

    at_s: float
    task: str
    kind: str
    text: str


@dataclass
class DemoWatch:
    """What is known of every task now, and the story so far."""

    settings: Settings
    tasks: dict[str, Task] = field(default_factory=dict)
    routes: dict[str, Route] = field(default_factory=dict)
    moments: list[Moment] = field(default_factory=list)
    started: float = 0.0

    async def run(self) -> None:
        """Follow the topics until cancelled."""
        topics = self.settings.topics
        consumer: Any = AIOKafkaConsumer(
            topics.tasks.name,
            topics.routes.name,
            **client_options(self.settings.kafka),
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            metadata_max_age_ms=2000,
        )
        await consumer.start()
        try:
            async for record in consumer:
                if record.value is None:
                    continue
                with suppress(RecordError):
                    for event in decode_events(
                        record.value, record.headers, fallback_id="", fallback_time=0.0
                    ):
                        if isinstance(event, Event):
                            self._take(event, record.topic == topics.tasks.name)
        finally:
            await asyncio.shield(consumer.stop())

    def at_s(self) -> float:
        """Seconds since the first call."""
        return time.monotonic() - self.started if self.started else 0.0

    def name(self, task: str) -> str:
        """The task's name, or the beginning of its id; empty for no task."""
        known = self.tasks.get(task)
        return known.name if known and known.name else task[:8]

    def tell_all(self, text: str) -> None:
        """Note something that concerns no one task."""
        self._tell("", "change", text)

    def _take(self, event: Event, is_task: bool) -> None:
        if is_task:
            task = decode(event.data, Task)
            before = self.tasks.get(task.id)
            self.tasks[task.id] = task
            if task.status == "task" and (before is None or before.status != "task"):
                self._tell(task.id, "found", f"found after {task.calls} calls, answers: {task.kind}")
            return
        step = decode(event.data, Transition)
        row, before_row = step.route, self.routes.get(step.route.task)
        if before_row is not None and row.version <= before_row.version:
            return
        self.routes[row.task] = row
        candidate = row.candidate
        known = before_row.candidate if before_row else None
        if candidate is not None and (known is None or known.version != candidate.version):
            text = (
                f"{candidate.encoders} won the race on {candidate.labels} labels in {candidate.train_s:.1f} s"
            )
            self._tell(row.task, "trained", f"{text}; in shadow now")
        if step.previous != row.state:
            self._tell(row.task, row.state, step.reason)
        told = before_row.withheld if before_row is not None else None
        if row.withheld is not None and (told is None or told.cause != row.withheld.cause):
            self._tell(row.task, "withheld", row.withheld.reason)

    def _tell(self, task: str, kind: str, text: str) -> None:
        self.moments.append(Moment(self.at_s(), task, kind, text))
