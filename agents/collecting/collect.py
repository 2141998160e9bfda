"""collect: reads `jitr.task-calls`, writes the teacher's answers to Parquet, and says when training pays.

A training starts at sizes of the dataset, never at times.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec
from mode.utils.logging import get_logger

from jitr.agents.collecting.dataset import CollectedDataset
from jitr.agents.runtime.context import Context
from jitr.agents.runtime.faust_app import Agent
from jitr.agents.runtime.handler import IncomingEvent, Output, SourcePartition, StatefulHandler
from jitr.models import lifecycle
from jitr.models.datasets.examples import Example
from jitr.models.datasets.parts import GRID, cell_of, digest_of, since_of, write_parts
from jitr.models.economics.worth import said, worth
from jitr.schemas.errors import TrainingError
from jitr.schemas.events import Event
from jitr.schemas.evidence import Tick, Withheld
from jitr.schemas.policy import Policy
from jitr.schemas.prices import price_for
from jitr.schemas.record import decode, encode
from jitr.schemas.routes import Route, WithheldCause
from jitr.schemas.tasks import Task, TaskCall
from jitr.schemas.trainings import Training

log = get_logger(__name__)
TRAINABLE = ("label", "labels", "json", "number")
_TICK = 10
# a training that did not pay is asked for again when the dataset has grown by so much
_ASK_AGAIN = 1.25


def collect(context: Context) -> Agent[TaskCall]:
    """Make the agent."""
    return Agent(
        "collect", (context.topics.task_calls,), lambda place: Collect(context, place), snapshot_s=1.0
    )


class Collect(StatefulHandler[TaskCall]):
    """The datasets of the tasks in one partition."""

    def __init__(self, context: Context, place: SourcePartition) -> None:
        super().__init__()
        self._context = context
        self._place = place
        self._root = f"{context.settings.state.root.rstrip('/')}/{context.settings.kafka.prefix}datasets"
        self._datasets: dict[str, tuple[str, CollectedDataset]] = {}
        self._unwritten: dict[str, list[tuple[int, Example]]] = {}

    def read(self, event: Event) -> TaskCall:
        """Decode a task call."""
        return decode(event.data, TaskCall)

    def handle(self, batch: Sequence[IncomingEvent[TaskCall]]) -> list[Output]:
        """Keep the teacher's answers; ask for a training at the very label that makes it due, if it pays."""
        outputs: list[Output] = []
        for incoming in batch:
            if self._keep(incoming):
                outputs += self._told(incoming.value, incoming.offset)
        return outputs

    def _keep(self, incoming: IncomingEvent[TaskCall]) -> bool:
        """Count a call; whether it brought a label."""
        call, settings = incoming.value, self._context.settings
        _, dataset = self._datasets.setdefault(call.task, (call.tenant, CollectedDataset()))
        answered = call.response.model if call.response is not None else ""
        priced = call.cost_usd > 0 or price_for(call.model, answered, settings.prices) is not None
        # a training is to pay by the calls that a surrogate may answer
        if not call.only_teacher:
            dataset.called(call, priced)
        if call.label is None or call.response is None:
            self.results[f"no_label_{call.no_label or 'unparsed'}"] += 1
            return False
        self.results["label"] += 1
        policy = settings.policy_of(call.tenant, call.task)
        dataset.answered(call, incoming.offset, call.label, call.response.text, policy)
        answer, teacher = call.response, call.response.model or call.model
        example = Example(
            call.id, call.time, call.input, call.label, call.weight, teacher, answer.text, answer.opening
        )
        self._unwritten.setdefault(call.task, []).append((incoming.offset, example))
        return True

    def _told(self, call: TaskCall, offset: int) -> list[Output]:
        """What the labels of a task are worth telling now: a training or why not, or how many they are."""
        dataset = self._datasets[call.task][1]
        route, task = self._context.route(call.task), self._context.task(call.task)
        outputs = []
        if route is not None and route.demotions != dataset.demotions:
            self._begin_anew(call.task, dataset, route)
        if task is not None and task.kind in TRAINABLE:
            outputs = self._training(call, task, dataset, route, offset)
        if outputs or dataset.labels - dataset.ticked_at >= max(_TICK, dataset.labels // 20):
            outputs.append(self._tick(call.tenant, call.task, dataset))
        return outputs

    @property
    def waiting(self) -> bool:
        """Whether labels were counted that no tick has told yet."""
        return any(d.labels != d.ticked_at for _, d in self._datasets.values())

    def flush(self) -> list[Output]:
        """Tell every count that was not told."""
        return [
            self._tick(tenant, task, dataset)
            for task, (tenant, dataset) in self._datasets.items()
            if dataset.labels != dataset.ticked_at
        ]

    def snapshot(self) -> bytes:
        """The parts are written first, so that what is acknowledged is on disk."""
        for task in tuple(self._unwritten):
            self._write(task)
        return msgspec.msgpack.encode(self._datasets)

    def restore(self, state: bytes) -> None:
        """Take the datasets up again."""
        self._datasets = msgspec.msgpack.decode(state, type=dict[str, tuple[str, CollectedDataset]])

    def _write(self, task: str) -> None:
        rows = self._unwritten.get(task)
        if not rows:
            return
        examples, offsets = [e for _, e in rows], [o for o, _ in rows]
        parts = self._datasets[task][1].parts
        for part in write_parts(self._root, task, self._place.partition, examples, offsets):
            parts[part.url] = part
        # only now: on a full disk they are written later
        del self._unwritten[task]

    def _begin_anew(self, task: str, dataset: CollectedDataset, route: Route) -> None:
        """A promise was broken: what the teacher said before the break teaches no more."""
        since, end = route.since_offset, self._place.end()
        if not dataset.trained_at and end is not None and since >= end:
            # the break lies on an older topic of this name: everything here came after it
            since = 0
        self._write(task)
        try:
            later, fresh = since_of(dataset.parts.values(), since)
        except TrainingError:
            # the part that the break falls into is lost: what comes after that part is not
            since = cell_of(since) + GRID
            later, fresh = since_of(dataset.parts.values(), since)
        dataset.begin_anew({part.url: part for part in later}, fresh, since, route.demotions)

    def _training(
        self, call: TaskCall, task: Task, dataset: CollectedDataset, route: Route | None, offset: int
    ) -> list[Output]:
        policy = self._context.settings.policy_of(call.tenant, call.task)
        if not lifecycle.training_due(dataset.labels, dataset.trained_at, route, policy, dataset.old):
            return []
        if dataset.trained_at and not _in_hand(route) and (reason := dataset.contradicted(policy)):
            told = dataset.withheld == "self_agreement"
            return [] if told else [self._withheld(call, dataset, "self_agreement", reason)]
        if dataset.asked_at and dataset.labels < _ASK_AGAIN * dataset.asked_at:
            return []
        if not dataset.pace.times:
            dataset.asked_at = dataset.labels
            reason = (
                f"no surrogate may answer any of these calls ({call.only_teacher}): nothing can be earned"
            )
            return [self._withheld(call, dataset, "cost", reason)]
        bill_usd, figures = dataset.mean_bill_usd, "nothing stands against a training now"
        # without a price nothing can be forecast: it is for people to say whether they want it
        if bill_usd is not None:
            payback = worth(dataset.pace, bill_usd, dataset.labels - dataset.old, route, policy)
            figures = said(payback, dataset.pace, bill_usd, policy)
            if not payback.pays:
                dataset.asked_at = dataset.labels
                return [self._withheld(call, dataset, "cost", figures)]
        self._write(call.task)
        if lost := dataset.forget_lost(f"{self._root}/{call.task}"):
            log.warning("collect: task %s: %d parts are gone, first %s", call.task, len(lost), lost[0])
            # the next label says whether what is left is enough
            return []
        outputs = [self._withheld(call, dataset, None, figures)] if dataset.withheld else []
        dataset.trained_at, dataset.asked_at = dataset.labels, 0
        training = _request(call, task, dataset, policy, offset)
        dataset.training = training.id
        topic = self._context.topics.trainings.name
        return [*outputs, Output(topic, call.task, training.id, call.time, training, alone=True)]

    def _withheld(
        self, call: TaskCall, dataset: CollectedDataset, cause: WithheldCause | None, reason: str
    ) -> Output:
        dataset.withheld = cause or ""
        id = f"withheld/{call.task}/{dataset.labels}/{dataset.withheld}"
        again = f"; {dataset.labels} labels, asked again at {_ASK_AGAIN:g} times as many"
        evidence = Withheld(
            id=id,
            tenant=call.tenant,
            task=call.task,
            time=call.time,
            cause=cause,
            reason=reason + again if cause == "cost" else reason,
            labels=dataset.labels,
        )
        return Output(self._context.topics.evidence.name, call.task, id, call.time, evidence, alone=True)

    def _tick(self, tenant: str, task: str, dataset: CollectedDataset) -> Output:
        dataset.ticked_at = dataset.labels
        id = f"tick/{task}/{dataset.labels}"
        noise = dataset.noise
        tick = Tick(
            id=id,
            tenant=tenant,
            task=task,
            time=dataset.time,
            labels=dataset.labels,
            repeats=noise.repeats if noise is not None else 0,
            repeats_agreed=noise.agreed if noise is not None else 0,
        )
        return Output(self._context.topics.evidence.name, task, id, dataset.time, tick, alone=True)


def _in_hand(route: Route | None) -> bool:
    """Whether a version is live, proved or being proved: on calls that it accepts, it tells what is true."""
    if route is None:
        return False
    return bool(lifecycle.live(route) or lifecycle.on_offer(route) or lifecycle.shadowed(route))


def _request(call: TaskCall, task: Task, dataset: CollectedDataset, policy: Policy, offset: int) -> Training:
    """A training whose id is the digest of its data and recipe: the same is asked for once.

    What came before is known from the calls alone: which version is live by now depends on who was faster.
    """
    parts = tuple(part for _, part in sorted(dataset.parts.items()))
    renderings, since = dataset.renderings, dataset.since_offset
    recipe = (renderings, policy.target, policy.tolerance, policy.limits)
    whole = encode((call.task, task.kind, digest_of(parts), since, *recipe))
    return Training(
        id=hashlib.sha256(whole).hexdigest()[:32],
        tenant=call.tenant,
        task=call.task,
        task_version=task.version,
        kind=task.kind,
        parts=parts,
        labels=dataset.labels,
        renderings=renderings,
        target=policy.target,
        delta=policy.delta,
        tolerance=policy.tolerance,
        limits=policy.limits,
        previous=dataset.training,
        since_offset=since,
        until_offset=offset,
        demotions=dataset.demotions,
        requested_at=call.time,
    )
