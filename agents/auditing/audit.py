"""audit: reads `jitr.task-calls`, proves candidates in shadow, keeps live promises, counts the money.

Everything it finds is evidence on `jitr.evidence`; control alone moves a route.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import msgspec

from jitr.agents.auditing.scoring import AuditScorer
from jitr.agents.auditing.watch import AuditWatch, Scored, WatchState
from jitr.agents.runtime.context import Context
from jitr.agents.runtime.faust_app import Agent
from jitr.agents.runtime.handler import IncomingEvent, Output, StatefulHandler
from jitr.schemas.errors import ArtifactError, WeightsError
from jitr.schemas.events import Event
from jitr.schemas.evidence import Evidence
from jitr.schemas.record import decode
from jitr.schemas.routes import RouteVersion, SurrogateRef
from jitr.schemas.tasks import TaskCall

_LAG_S = 5.0


def audit(context: Context, scorer: AuditScorer) -> Agent[TaskCall]:
    """Make the agent."""
    source = context.topics.task_calls
    return Agent("audit", (source,), lambda place: Audit(context, scorer), batch=500, linger_s=0.0)


class Audit(StatefulHandler[TaskCall]):
    """The watches over the tasks in one partition."""

    def __init__(self, context: Context, scorer: AuditScorer) -> None:
        super().__init__()
        self._context = context
        self._scorer = scorer
        self._watches: dict[str, AuditWatch] = {}

    def read(self, event: Event) -> TaskCall:
        """Decode a task call."""
        return decode(event.data, TaskCall)

    async def handle(self, batch: Sequence[IncomingEvent[TaskCall]]) -> list[Output]:
        """Score candidates in their process first, then learn every call in order."""
        await self._caught_up(batch)
        routes = {task: self._context.route(task) for task in {d.value.task for d in batch}}
        wanted: dict[str, tuple[SurrogateRef, list[int]]] = {}
        for at, incoming in enumerate(batch):
            call = incoming.value
            ref = self._watch(call).wants(call, incoming.offset, routes[call.task])
            if ref is not None:
                wanted.setdefault(ref.digest, (ref, []))[1].append(at)
        scored, broken = await self._score(batch, wanted)
        evidence: list[Evidence] = []
        for at, incoming in enumerate(batch):
            call = incoming.value
            ref, said = scored.get(at, (None, None))
            watch, route = self._watch(call), routes[call.task]
            if at in broken:
                evidence += watch.refuse(*broken[at])
            evidence += watch.learn(call, incoming.offset, route, ref, said)
            self.results["scored" if said is not None else _counted(call)] += 1
        return [self._output(e) for e in evidence]

    async def _caught_up(self, batch: Sequence[IncomingEvent[TaskCall]]) -> None:
        """A call may carry a decision by a row that our reader is about to read: wait for it, a little."""
        newest: dict[str, RouteVersion] = {}
        for call in (d.value for d in batch):
            if call.decision is not None and call.decision.surrogate is not None:
                version = _version(call.decision.route_version)
                newest[call.task] = max(version, newest.get(call.task, version))
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAG_S):
                for task, version in newest.items():
                    while self._is_behind(task, version):  # noqa: ASYNC110
                        await asyncio.sleep(0.02)

    def _is_behind(self, task: str, version: RouteVersion) -> bool:
        route = self._context.route(task)
        return route is None or route.version < version

    async def _score(
        self, batch: Sequence[IncomingEvent[TaskCall]], wanted: dict[str, tuple[SurrogateRef, list[int]]]
    ) -> tuple[dict[int, tuple[SurrogateRef, Scored]], dict[int, tuple[SurrogateRef, str]]]:
        scored: dict[int, tuple[SurrogateRef, Scored]] = {}
        broken: dict[int, tuple[SurrogateRef, str]] = {}
        for ref, places in wanted.values():
            try:
                answers = await self._scorer.answers(ref, [batch[at].value.input for at in places])
            except (ArtifactError, WeightsError) as error:
                broken[places[0]] = (ref, f"it cannot be run: {error}")
                continue
            for at, said in zip(places, answers, strict=True):
                scored[at] = (ref, Scored(*said))
        return scored, broken

    @property
    def waiting(self) -> bool:
        """Whether any window is open."""
        return any(watch.waiting for watch in self._watches.values())

    def flush(self) -> list[Output]:
        """Close every window."""
        return [self._output(e) for watch in self._watches.values() for e in watch.window()]

    def snapshot(self) -> bytes:
        """Every watch."""
        return msgspec.msgpack.encode({task: (w.tenant, w.state()) for task, w in self._watches.items()})

    def restore(self, state: bytes) -> None:
        """Take the watches up again."""
        saved = msgspec.msgpack.decode(state, type=dict[str, tuple[str, WatchState]])
        policy_of = self._context.settings.policy_of
        self._watches = {
            task: AuditWatch(tenant, task, policy_of(tenant, task), watch)
            for task, (tenant, watch) in saved.items()
        }

    def _watch(self, call: TaskCall) -> AuditWatch:
        watch = self._watches.get(call.task)
        if watch is None:
            policy = self._context.settings.policy_of(call.tenant, call.task)
            watch = self._watches[call.task] = AuditWatch(call.tenant, call.task, policy)
        return watch

    def _output(self, evidence: Evidence) -> Output:
        topic = self._context.topics.evidence.name
        return Output(topic, evidence.task, evidence.id, evidence.time, evidence, alone=True)


def _counted(call: TaskCall) -> str:
    """What became of a call that no candidate was scored on: an audit that is no evidence says why."""
    owed = call.decision is not None and call.decision.due
    return f"audit_{call.no_label}" if owed and call.no_label is not None else "counted"


def _version(text: str) -> RouteVersion:
    incarnation, _, offset = text.partition(".")
    try:
        return RouteVersion(incarnation=int(incarnation), offset=int(offset))
    except ValueError:
        return RouteVersion()
