"""control: reads `jitr.evidence` by task; one pure function moves rows, on `jitr.routes` and `jitr.ledger`.

The version of a row is where the evidence stands that caused it, so that two writers write the same rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from aiokafka.partitioner import DefaultPartitioner

from jitr.agents.runtime.context import Context
from jitr.agents.runtime.faust_app import Agent
from jitr.agents.runtime.handler import IncomingEvent, Output, SourcePartition, StatefulHandler
from jitr.models import lifecycle
from jitr.schemas.authors import Author
from jitr.schemas.events import Event
from jitr.schemas.evidence import Command, Evidence
from jitr.schemas.record import decode, encode, record_error
from jitr.schemas.routes import Route, RouteVersion, Transition


def control(context: Context) -> Agent[Evidence]:
    """Make the agent."""
    return Agent(
        "control",
        (context.topics.evidence,),
        lambda place: RouteController(context, place),
        batch_s=0.005,
        linger_s=0.0,
    )


_decode = msgspec.json.Decoder(Evidence).decode


class RouteController(StatefulHandler[Evidence]):
    """The routes of the tasks in one partition."""

    def __init__(self, context: Context, place: SourcePartition) -> None:
        super().__init__()
        self._context = context
        self._place = place
        self._routes: dict[str, Route] = {}
        self._incarnation: int | None = None

    def read(self, event: Event) -> Evidence:
        """Decode evidence of any kind."""
        try:
            evidence: Evidence = _decode(event.data)
            if isinstance(evidence, Command):
                # of those that a merge or a split brings, a worker signs, and says whose word that was
                event.author.must_be("person", "worker", by=evidence.by)
            else:
                event.author.must_be("worker")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise record_error(error, "control") from error
        return evidence

    def handle(self, batch: Sequence[IncomingEvent[Evidence]]) -> list[Output]:
        """Apply evidence to rows, in order."""
        topics = self._context.topics
        outputs: list[Output] = []
        # several pieces of evidence in one record have one version: only their last row may be seen
        rows: dict[tuple[str, int], Output] = {}
        for incoming in batch:
            evidence = incoming.value
            route = self._route(evidence)
            version = RouteVersion(incarnation=self._now(), offset=incoming.offset)
            if version == route.version and incoming.index > 0:
                # the same record moved the row just now
                before = msgspec.structs.replace(version, offset=version.offset - 1)
                route = msgspec.structs.replace(route, version=before)
            policy = self._context.settings.policy_of(evidence.tenant, evidence.task)
            step = lifecycle.next(route, evidence, policy, version)
            if step.route == route:
                self.results["copy"] += 1
                continue
            transition = Transition(
                route=step.route,
                previous=route.state,
                evidence=evidence.id,
                evidence_kind=str(type(evidence).__struct_config__.tag),
                reason=step.reason,
                time=evidence.time,
                step=step.moved,
                by=_by(evidence, incoming.author),
            )
            # a row that leaves its bounds, by sums that do, would be read by nobody
            decode(encode(transition), Transition, stage="control")
            self.results["moved" if step.moved else "counted"] += 1
            self._routes[evidence.task] = step.route
            id = f"{evidence.task}/{version}/{incoming.index}"
            rows.pop((evidence.task, incoming.offset), None)
            rows[evidence.task, incoming.offset] = Output(
                topics.routes.name, evidence.task, id, evidence.time, transition
            )
            if step.moved or step.refused:
                outputs.append(Output(topics.ledger.name, evidence.task, id, evidence.time, transition))
        return [*rows.values(), *outputs]

    def snapshot(self) -> bytes:
        """Every row, and the incarnation of the topic."""
        return msgspec.msgpack.encode((self._incarnation, self._routes))

    def restore(self, state: bytes) -> None:
        """Take the rows up again."""
        self._incarnation, self._routes = msgspec.msgpack.decode(
            state, type=tuple[int | None, dict[str, Route]]
        )

    def _route(self, evidence: Evidence) -> Route:
        """The row so far: ours, or the one on `jitr.routes` where that is newer (our state was lost)."""
        own = self._routes.get(evidence.task)
        told = self._context.route(evidence.task)
        if own is not None and (told is None or told.version <= own.version):
            return own
        return told or Route(tenant=evidence.tenant, task=evidence.task)

    def _now(self) -> int:
        """The incarnation of our partition of `jitr.evidence`.

        A row whose version lies at or beyond the partition's end was moved by evidence on an older topic of
        this name: the topic was made anew, and what is on it now is newer than every row.
        """
        if self._incarnation is None:
            rows = self._context.routes.rows.values()
            known = [t.route.version for t in rows if self._is_ours(t.route.task)]
            latest = max(known, default=RouteVersion())
            end = self._place.end()
            self._incarnation = latest.incarnation + (end is not None and latest.offset >= end)
        return self._incarnation

    def _is_ours(self, task: str) -> bool:
        partitions = list(range(self._context.topics.evidence.partitions))
        return bool(DefaultPartitioner()(task.encode(), partitions, partitions) == self._place.partition)


def _by(evidence: Evidence, author: Author) -> str:
    """Who made evidence: by its signature, and where a worker handed on a person's word, whose that was."""
    said = evidence.by if isinstance(evidence, Command) else ""
    if not author.key:
        return f"{said} (not signed)" if said else ""
    return f"{said}, by {author}" if said and author.kind == "worker" else str(author)
