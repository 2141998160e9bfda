"""collect: reads `jitr.task-calls`, writes the teacher's answers to Parquet, and says when training pays.

A training starts at sizes of the dataset, never at times.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import zip_longest

import msgspec

from jitr.agents.context import Context
from jitr.agents.delivery import Agent
from jitr.agents.handler import Delivery, Output, StatefulHandler
from jitr.models import lifecycle
from jitr.models.datasets.examples import Example
from jitr.models.datasets.parts import write_parts
from jitr.schemas.events import Event
from jitr.schemas.evidence import Tick
from jitr.schemas.policy import Policy
from jitr.schemas.record import decode, encode
from jitr.schemas.tasks import Task, TaskCall
from jitr.schemas.trainings import PartRef, Training

TRAINABLE = ("label", "json", "number")
_MOST_LABELS = 300
_MOST_TEXTS = 6
_TICK = 10


def collect(context: Context) -> Agent[TaskCall]:
    """Make the agent."""
    return Agent(
        "collect",
        (context.topics.task_calls,),
        lambda place: Collect(context, place.partition),
        snapshot_s=1.0,
    )


class Dataset(msgspec.Struct):
    """What is collected of one task: its parts, and how the teacher writes each label."""

    labels: int = 0
    trained_at: int = 0
    ticked_at: int = 0
    time: float = 0.0
    parts: dict[str, PartRef] = {}
    texts: dict[str, dict[str, int]] = {}

    def count(self, label: str, text: str) -> None:
        """Count an answer and, within bounds, how it was written."""
        self.labels += 1
        texts = self.texts.get(label)
        if texts is None:
            if len(self.texts) >= _MOST_LABELS:
                return
            texts = self.texts[label] = {}
        if text in texts or len(texts) < _MOST_TEXTS:
            texts[text] = texts.get(text, 0) + 1

    @property
    def renderings(self) -> dict[str, str]:
        """The usual text of each label; of two as usual, the one that sorts first."""
        return {
            label: min(texts, key=lambda t: (-texts[t], t)) for label, texts in sorted(self.texts.items())
        }


class Collect(StatefulHandler[TaskCall]):
    """The datasets of the tasks in one partition."""

    def __init__(self, context: Context, partition: int) -> None:
        super().__init__()
        self._context = context
        self._partition = partition
        self._root = f"{context.settings.state.root.rstrip('/')}/{context.settings.kafka.prefix}datasets"
        self._datasets: dict[str, tuple[str, Dataset]] = {}
        self._unwritten: dict[str, list[tuple[int, Example]]] = {}

    def read(self, event: Event) -> TaskCall:
        """Decode a task call."""
        return decode(event.data, TaskCall)

    def handle(self, batch: Sequence[Delivery[TaskCall]]) -> list[Output]:
        """Keep the teacher's answers; ask for a training when it is due."""
        outputs: list[Output] = []
        labelled: dict[str, TaskCall] = {}
        for delivery, after in zip_longest(batch, batch[1:]):
            self._keep(delivery, labelled)
            # rows of one record stand together in a part: none may be missing when it is referred to
            if delivery.end if after is None else delivery.offset != after.offset:
                for call in labelled.values():
                    outputs += self._told(call, delivery.offset)
                labelled.clear()
        return outputs

    def _keep(self, delivery: Delivery[TaskCall], labelled: dict[str, TaskCall]) -> None:
        call = delivery.value
        if call.label is None or call.response is None:
            self.results["no_label"] += 1
            return
        self.results["label"] += 1
        _, dataset = self._datasets.setdefault(call.task, (call.tenant, Dataset()))
        dataset.count(call.label, call.response.text)
        dataset.time = call.time
        teacher = call.response.model or call.model
        example = Example(call.id, call.time, call.input, call.label, call.weight, teacher)
        self._unwritten.setdefault(call.task, []).append((delivery.offset, example))
        labelled[call.task] = call

    def _told(self, call: TaskCall, offset: int) -> list[Output]:
        """What the labels of a task are worth telling now: a training, or how many they are."""
        dataset = self._datasets[call.task][1]
        outputs = self._training(call, dataset, offset)
        if dataset.labels - dataset.ticked_at >= max(_TICK, dataset.labels // 20):
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
        self._datasets = msgspec.msgpack.decode(state, type=dict[str, tuple[str, Dataset]])

    def _write(self, task: str) -> None:
        rows = self._unwritten.pop(task, None)
        if not rows:
            return
        examples, offsets = [e for _, e in rows], [o for o, _ in rows]
        parts = self._datasets[task][1].parts
        for part in write_parts(self._root, task, self._partition, examples, offsets, max(offsets)):
            parts[part.url] = part

    def _training(self, call: TaskCall, dataset: Dataset, offset: int) -> list[Output]:
        settings = self._context.settings
        policy = settings.policy_of(call.tenant, call.task)
        route, task = self._context.route(call.task), self._context.task(call.task)
        if task is None or task.kind not in TRAINABLE:
            return []
        if not lifecycle.training_due(dataset.labels, dataset.trained_at, route, policy):
            return []
        self._write(call.task)
        dataset.trained_at = dataset.labels
        previous = lifecycle.live(route) if route is not None else None
        training = _request(call, task, dataset, policy, offset, previous.version if previous else None)
        topic = self._context.topics.trainings.name
        return [
            Output(topic, call.task, training.id, call.time, training, alone=True),
            self._tick(call.tenant, call.task, dataset),
        ]

    def _tick(self, tenant: str, task: str, dataset: Dataset) -> Output:
        dataset.ticked_at = dataset.labels
        id = f"tick/{task}/{dataset.labels}"
        tick = Tick(id=id, tenant=tenant, task=task, time=dataset.time, labels=dataset.labels)
        return Output(self._context.topics.evidence.name, task, id, dataset.time, tick, alone=True)


def _request(
    call: TaskCall, task: Task, dataset: Dataset, policy: Policy, offset: int, previous: str | None
) -> Training:
    """A training whose id is the digest of its data and recipe: the same is asked for once."""
    parts = tuple(part for _, part in sorted(dataset.parts.items()))
    renderings = dataset.renderings
    whole = encode(
        (call.task, task.kind, [(p.digest, p.rows) for p in parts], renderings, policy.target, policy.limits)
    )
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
        limits=policy.limits,
        previous=previous,
        until_offset=offset,
        requested_at=call.time,
    )
