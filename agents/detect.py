"""detect: reads `llm.calls` in any dialect and says of every call which task it is, or that it is none yet.

Stateless: any number of workers share the partitions. What matches goes to `jitr.task-calls`, the rest to
`jitr.unmatched`, where mine looks for new tasks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from time import monotonic

import msgspec

from jitr.agents.runtime.context import Context
from jitr.agents.runtime.faust_app import Agent
from jitr.agents.runtime.handler import Handler, IncomingEvent, Output
from jitr.agents.task_call import as_output, task_call
from jitr.models.redaction.redaction import Redaction
from jitr.models.tasks.matching.matcher import Matcher
from jitr.schemas.calls import MOST_BYTES, Call
from jitr.schemas.coins import coin
from jitr.schemas.dialects import read_call
from jitr.schemas.errors import RecordError
from jitr.schemas.events import Event
from jitr.schemas.tasks import Task

# a matched call that mine may learn from carries the task under this key of its metadata
MATCHED = "jitr_matched"
_STRANGERS = (401, 403)
# of each task's calls mine sees the first so many of each partition, then a share
_LEARN_FIRST = 64
_LEARN_SHARE = 1 / 32


def detect(context: Context) -> Agent[Call]:
    """Make the agent."""
    limiter = Limiter(context.settings.worker.unmatched_per_s)
    return Agent("detect", (context.topics.calls,), lambda place: Detect(context, limiter), batch=2000)


class Detect(Handler[Call]):
    """Matches calls against the tasks that are known now."""

    def __init__(self, context: Context, limiter: Limiter) -> None:
        super().__init__()
        self._context = context
        self._limiter = limiter
        self._redact = Redaction(context.settings)
        self._revision = -1
        self._matcher = Matcher(())
        self._matched: Counter[str] = Counter()

    def read(self, event: Event) -> Call:
        """Decode a call of any dialect."""
        settings = self._context.settings
        if len(event.data) > MOST_BYTES:
            raise RecordError(
                f"a call of {len(event.data)} bytes given, at most {MOST_BYTES} are worked on",
                stage="dialect",
            )
        call = read_call(event, tenant=settings.gateway.tenant)
        if not call.messages and not _is_unread(call):
            raise RecordError("must hold at least one message", field="$.messages", stage="dialect")
        return self._redact.call(call)

    def handle(self, batch: Sequence[IncomingEvent[Call]]) -> list[Output]:
        """Match a batch."""
        tasks, topics = self._context.tasks, self._context.topics
        if tasks.revision != self._revision:
            self._revision = tasks.revision
            self._matcher = Matcher(tasks.rows.values())
        outputs = []
        for incoming in batch:
            call = incoming.value
            if _is_unread(call):
                self.results["unread"] += 1
                continue
            if call.decision is not None and incoming.author.kind not in ("gateway", "unchecked"):
                # anybody may have written it: a call like any other, and no decision of ours
                why = "unsigned" if incoming.author.kind == "unsigned" else "forged"
                self._context.metrics.stamps.labels(why).inc()
                call = msgspec.structs.replace(call, decision=None)
            task, slots = self._task_of(call)
            if task is None and call.status in _STRANGERS:
                # nothing is found for a tenant in what those say whom its LLM does not serve
                self.results["refused"] += 1
                continue
            if task is None:
                share = self._limiter.share(call.tenant, monotonic())
                if coin(call.id, "unmatched") >= share:
                    self.results["left_out"] += 1
                    continue
                self.results["unmatched"] += 1
                kept = call if share >= 1 else msgspec.structs.replace(call, sampled=call.sampled * share)
                outputs.append(Output(topics.unmatched.name, call.tenant, call.id, call.time, kept))
                continue
            self.results["matched"] += 1
            settings = self._context.settings
            made = task_call(call, task, settings.prices, slots, settings.gateway.harmless)
            outputs.append(as_output(made, topics.task_calls.name))
            if call.response is None:
                continue
            self._matched[task.id] += 1
            if self._matched[task.id] <= _LEARN_FIRST or coin(call.id, "learn") < _LEARN_SHARE:
                told = msgspec.structs.replace(call, metadata=call.metadata | {MATCHED: task.id})
                outputs.append(Output(topics.unmatched.name, call.tenant, call.id, call.time, told))
        return outputs

    def _task_of(self, call: Call) -> tuple[Task | None, tuple[str, ...] | None]:
        """The task that our router has stamped on the call, else the one that matches, with its slots."""
        stamp = call.decision
        if stamp is not None and stamp.task is not None:
            task = self._context.task(stamp.task)
            if task is not None and task.tenant == call.tenant:
                return task, None
        match = self._matcher.match(call)
        if match is None:
            return None, None
        task = self._context.task(match.task_id)
        return task, match.slots


def _is_unread(call: Call) -> bool:
    """Whether a gateway tells of a request that it could not read: nothing is learned from it."""
    return not call.messages and call.error is not None and call.decision is not None


class Limiter:
    """Which share of a tenant's unmatched calls may go to mining, so that they are at most so many a second.

    Examples
    --------
    >>> limiter = Limiter(2.0)
    >>> [limiter.share("t", now) for now in (0.0, 0.1, 0.2, 0.3, 1.1)]
    [1.0, 1.0, 0.6666666666666666, 0.5, 0.5]
    """

    def __init__(self, per_s: float) -> None:
        self._per_s = per_s
        self._windows: dict[str, tuple[float, int, int]] = {}

    def share(self, tenant: str, now_s: float) -> float:
        """Count one call and give the probability with which it is to be kept, in (0, 1]."""
        start, count, before = self._windows.get(tenant, (now_s, 0, 0))
        if now_s >= start + 1.0:
            start, count, before = now_s, 0, count if now_s < start + 2.0 else 0
        count += 1
        self._windows[tenant] = (start, count, before)
        return min(1.0, self._per_s / max(count, before))
