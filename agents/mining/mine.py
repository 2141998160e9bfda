"""mine: reads `jitr.unmatched` by tenant, finds tasks, and is the one writer of `jitr.tasks`.

The calls that a new task was found in are handed to `jitr.task-calls`, so that no early example is lost. A
person's word on tasks (`jitr tasks merge`, `split`) comes the same way, so that it has its place among the
calls and is replayed with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from jitr.agents.detect import MATCHED
from jitr.agents.mining.proposals import Embedder, Likening
from jitr.agents.runtime.context import Context
from jitr.agents.runtime.faust_app import Agent
from jitr.agents.runtime.handler import IncomingEvent, Output, StatefulHandler
from jitr.agents.task_call import as_output, task_call
from jitr.models.tasks.finder import FinderPolicy, TaskFinder
from jitr.models.tasks.records.lineage import Found
from jitr.schemas.calls import Call
from jitr.schemas.events import Event
from jitr.schemas.evidence import Command
from jitr.schemas.record import decode
from jitr.schemas.tasks import MergeProposal, Task, TaskCommand

# who pauses the route of a task that is no more, and unpauses it when that is undone
BY = "mine"
# a snapshot of the first version was the finders alone
_State = tuple[dict[str, bytes], dict[str, tuple[MergeProposal, ...]]]


def mine(context: Context) -> Agent[Call | TaskCommand]:
    """Make the agent."""
    embedder = Embedder()
    return Agent(
        "mine",
        (context.topics.unmatched,),
        lambda place: Mine(context, Likening(embedder)),
        snapshot_s=0.25,
    )


class Mine(StatefulHandler[Call | TaskCommand]):
    """The finders of the tenants in one partition."""

    def __init__(self, context: Context, likening: Likening | None = None) -> None:
        super().__init__()
        self._context = context
        self._finders: dict[str, TaskFinder] = {}
        self._likening = likening or Likening()

    def read(self, event: Event) -> Call | TaskCommand:
        """Decode a call, canonical as detect writes it, or a person's word."""
        if event.type == TaskCommand.event_type:
            word = decode(event.data, TaskCommand)
            event.author.must_be("person", by=word.by)
            return word
        event.author.must_be("worker")
        return decode(event.data, Call)

    def handle(self, batch: Sequence[IncomingEvent[Call | TaskCommand]]) -> list[Output]:
        """Learn from each call; hand on tasks and the calls they were found in."""
        outputs: list[Output] = []
        for incoming in batch:
            value = incoming.value
            finder = self._finder(value.tenant)
            if isinstance(value, TaskCommand):
                found = finder.obey(value)
                self.results["obeyed"] += 1
            elif MATCHED in value.metadata:
                self.results["observed"] += 1
                found = finder.observe(value)
            else:
                self.results["learned"] += 1
                found = finder.learn(value)
            place = f"{incoming.partition}.{incoming.offset}.{incoming.index}"
            for number, one in enumerate(found):
                outputs += self._told(one, f"{place}.{number}", value)
        return outputs + self.flush()

    def _told(self, found: Found, place: str, cause: Call | TaskCommand) -> list[Output]:
        """A task on its way, and its calls; the route of a task that is no more is paused."""
        topics, settings = self._context.topics, self._context.settings
        task = found.task
        outputs: list[Output] = []
        if found.changed:
            outputs.append(self._row(task, place, cause.time))
            self._likening.learn(task)
            paused = self._paused(task, place, cause)
            if paused is not None:
                outputs.append(
                    Output(topics.evidence.name, task.id, paused.id, paused.time, paused, alone=True)
                )
        if task.status == "task":
            harmless = settings.gateway.harmless
            made = [task_call(c, task, settings.prices, harmless=harmless) for c in found.calls]
            outputs += [as_output(one, topics.task_calls.name) for one in made]
        return outputs

    def _row(self, task: Task, place: str, time: float) -> Output:
        row = msgspec.structs.replace(task, proposals=self._likening.proposals(task.id))
        return Output(self._context.topics.tasks.name, task.id, f"{task.id}/{place}", time, row)

    def _paused(self, task: Task, place: str, cause: Call | TaskCommand) -> Command | None:
        """The word to its route of a task that went on in another or is gone, or that came back.

        A pause keeps all there is, so that undoing a merge brings the surrogate back too; one that a person
        made before is left alone.
        """
        route = self._context.route(task.id)
        if route is None:
            return None
        if task.status != "task":
            if route.state == "paused":
                return None
            where = f"it goes on as {task.merged_into}" if task.merged_into else "its template is gone"
            by = f" ({cause.by})" if isinstance(cause, TaskCommand) and cause.by else ""
            verb: Literal["pause", "unpause"] = "pause"
            note = where + by
        elif task.history and task.history[-1].kind == "restored":
            ours = route.reason.startswith(f"pause by {BY}:")
            # told right after the merge, the row that we read may not be paused yet
            if not (ours if route.state == "paused" else isinstance(cause, TaskCommand)):
                return None
            verb, note = "unpause", "the merge was undone"
        else:
            return None
        return Command(
            id=f"{verb}/{task.id}/{place}",
            tenant=task.tenant,
            task=task.id,
            time=cause.time,
            verb=verb,
            by=BY,
            note=note,
        )

    @property
    def waiting(self) -> bool:
        """Whether templates are being embedded, or proposals are to be told."""
        return self._likening.busy

    def flush(self) -> list[Output]:
        """Rows of tasks whose proposals have changed."""
        changed = self._likening.take()
        if not changed:
            return []
        rows = {t.id: t for finder in self._finders.values() for t in finder.tasks}
        return [
            self._row(rows[id], f"proposals.{number}", rows[id].first_seen)
            for id, number in changed.items()
            if id in rows
        ]

    def snapshot(self) -> bytes:
        """Every finder, whole, and what was proposed."""
        finders = {tenant: f.snapshot() for tenant, f in self._finders.items()}
        return msgspec.msgpack.encode((finders, self._likening.found))

    def restore(self, state: bytes) -> None:
        """Take the finders up again."""
        held = msgspec.msgpack.decode(state, type=dict[str, bytes] | _State)
        saved, found = (held, {}) if isinstance(held, dict) else held
        self._finders = {
            tenant: TaskFinder.restore(data, self._policy(tenant)) for tenant, data in saved.items()
        }
        self._likening.resume([t for f in self._finders.values() for t in f.tasks], found)

    def _finder(self, tenant: str) -> TaskFinder:
        finder = self._finders.get(tenant)
        if finder is None:
            finder = self._finders[tenant] = TaskFinder(tenant, self._policy(tenant))
        return finder

    def _policy(self, tenant: str) -> FinderPolicy:
        return FinderPolicy(support=self._context.settings.policy_of(tenant, "").support)
