"""train: reads `jitr.trainings`, trains in a child process under a lease, and gives evidence."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from redis.asyncio import Redis

from jitr.agents.runtime.context import Context
from jitr.agents.runtime.faust_app import Agent
from jitr.agents.runtime.handler import Handler, IncomingEvent, Output
from jitr.agents.runtime.lease import lease
from jitr.agents.training.child import run_training
from jitr.schemas.events import Event
from jitr.schemas.evidence import Trained, TrainingFailed
from jitr.schemas.record import decode
from jitr.schemas.trainings import Training

_REMEMBERED = 1000


def train(context: Context, redis: Redis, newest: Mapping[str, Training]) -> Agent[Training]:
    """Make the agent; a worker trains one thing at a time.

    ``newest`` holds the last training that was asked for, by task.
    """
    one = asyncio.Semaphore(1)
    source = context.topics.trainings
    return Agent("train", (source,), lambda place: Train(context, redis, one, newest), batch=1, finish_s=0.2)


class Train(Handler[Training]):
    """Trains what is asked for, in order."""

    def __init__(
        self, context: Context, redis: Redis, one: asyncio.Semaphore, newest: Mapping[str, Training]
    ) -> None:
        super().__init__()
        self._context = context
        self._redis = redis
        self._one = one
        self._newest = newest
        # what an event gave: the same event gives it again, a later one that asks for the same nothing
        self._done: dict[str, tuple[tuple[int, int], Trained | TrainingFailed]] = {}

    def read(self, event: Event) -> Training:
        """Decode a training."""
        return decode(event.data, Training)

    async def handle(self, batch: Sequence[IncomingEvent[Training]]) -> list[Output]:
        """Train; the same training twice finds its folder there and gives the same evidence."""
        settings = self._context.settings
        root = f"{settings.state.root.rstrip('/')}/{settings.kafka.prefix}surrogates"
        outputs = []
        for incoming in batch:
            training = incoming.value
            name = f"{settings.redis.prefix}jitr:{settings.kafka.prefix}lease:training:{training.task}"
            async with self._one, lease(self._redis, name):
                newest = self._newest.get(training.task, training)
                if newest.labels > training.labels:
                    # asked for again with more data while this waited: the newest takes its turn
                    training = newest
                route = self._context.route(training.task)
                if route is not None and training.demotions < route.demotions:
                    # the promise was broken while it waited: its labels are another teacher's
                    self.results["superseded"] += 1
                    continue
                place = (incoming.partition, incoming.offset)
                asked, evidence = self._done.get(training.id, (place, None))
                if asked != place:
                    self.results["superseded"] += 1
                    continue
                if evidence is None:
                    evidence = await run_training(training, root, settings.worker.train_memory_mb)
                    self._remember(training.id, place, evidence)
            result = "trained" if isinstance(evidence, Trained) else "failed"
            self._context.metrics.trainings.labels(result).inc()
            self.results[result] += 1
            topic = self._context.topics.evidence.name
            outputs.append(Output(topic, training.task, evidence.id, evidence.time, evidence, alone=True))
        return outputs

    def _remember(self, id: str, place: tuple[int, int], evidence: Trained | TrainingFailed) -> None:
        self._done[id] = (place, evidence)
        if len(self._done) > _REMEMBERED:
            del self._done[next(iter(self._done))]
