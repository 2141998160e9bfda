"""mine: reads `jitr.unmatched` by tenant, finds tasks, and is the one writer of `jitr.tasks`.

The calls that a new task was found in are handed to `jitr.task-calls`, so that no early example is lost.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from jitr.agents.context import Context
from jitr.agents.delivery import Agent
from jitr.agents.detect import MATCHED
from jitr.agents.handler import Delivery, Output, StatefulHandler
from jitr.agents.taskcalls import as_output, task_call
from jitr.models.tasks.finder import Finder, FinderPolicy
from jitr.schemas.calls import Call
from jitr.schemas.events import Event
from jitr.schemas.record import decode


def mine(context: Context) -> Agent[Call]:
    """Make the agent."""
    return Agent("mine", (context.topics.unmatched,), lambda place: Mine(context), snapshot_s=0.25)


class Mine(StatefulHandler[Call]):
    """The finders of the tenants in one partition."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self._finders: dict[str, Finder] = {}

    def read(self, event: Event) -> Call:
        """Decode a call, canonical as detect writes it."""
        return decode(event.data, Call)

    def handle(self, batch: Sequence[Delivery[Call]]) -> list[Output]:
        """Learn from each call; hand on tasks and the calls they were found in."""
        topics, prices = self._context.topics, self._context.settings.prices
        outputs: list[Output] = []
        for delivery in batch:
            call = delivery.value
            finder = self._finder(call.tenant)
            if MATCHED in call.metadata:
                self.results["observed"] += 1
                found = finder.observe(call)
            else:
                self.results["learned"] += 1
                found = finder.learn(call)
            for number, (task, calls, changed) in enumerate((f.task, f.calls, f.changed) for f in found):
                if changed:
                    id = f"{task.id}/{delivery.partition}.{delivery.offset}.{delivery.index}.{number}"
                    outputs.append(Output(topics.tasks.name, task.id, id, call.time, task))
                if task.status == "task":
                    outputs += [as_output(task_call(c, task, prices), topics.task_calls.name) for c in calls]
        return outputs

    def snapshot(self) -> bytes:
        """Every finder, whole."""
        return msgspec.msgpack.encode({tenant: f.snapshot() for tenant, f in self._finders.items()})

    def restore(self, state: bytes) -> None:
        """Take the finders up again."""
        saved = msgspec.msgpack.decode(state, type=dict[str, bytes])
        self._finders = {tenant: Finder.restore(data, self._policy(tenant)) for tenant, data in saved.items()}

    def _finder(self, tenant: str) -> Finder:
        finder = self._finders.get(tenant)
        if finder is None:
            finder = self._finders[tenant] = Finder(tenant, self._policy(tenant))
        return finder

    def _policy(self, tenant: str) -> FinderPolicy:
        return FinderPolicy(support=self._context.settings.policy_of(tenant, "").support)
