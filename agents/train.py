"""train: reads `jitr.trainings`, trains in a child process under a lease, and gives evidence."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from redis.asyncio import Redis

from jitr.agents.context import Context
from jitr.agents.delivery import Agent
from jitr.agents.handler import Delivery, Handler, Output
from jitr.agents.lease import lease
from jitr.agents.training import run_training
from jitr.schemas.events import Event
from jitr.schemas.evidence import Trained
from jitr.schemas.record import decode
from jitr.schemas.trainings import Training


def train(context: Context, redis: Redis) -> Agent[Training]:
    """Make the agent; a worker trains one thing at a time."""
    one = asyncio.Semaphore(1)
    source = context.topics.trainings
    return Agent("train", (source,), lambda place: Train(context, redis, one), batch=64, finish_s=0.2)


class Train(Handler[Training]):
    """Trains what is asked for, in order."""

    def __init__(self, context: Context, redis: Redis, one: asyncio.Semaphore) -> None:
        super().__init__()
        self._context = context
        self._redis = redis
        self._one = one

    def read(self, event: Event) -> Training:
        """Decode a training."""
        return decode(event.data, Training)

    async def handle(self, batch: Sequence[Delivery[Training]]) -> list[Output]:
        """Train; the same training twice finds its folder there and gives the same evidence.

        What waited while another training ran may have been asked for again with more data since.
        """
        settings = self._context.settings
        root = f"{settings.state.root.rstrip('/')}/{settings.kafka.prefix}surrogates"
        outputs = []
        newest = {delivery.value.task: delivery.value for delivery in batch}
        if len(newest) < len(batch):
            self.results["superseded"] += len(batch) - len(newest)
        for training in newest.values():
            name = f"jitr:{settings.kafka.prefix}lease:training:{training.id}"
            async with self._one, lease(self._redis, name):
                evidence = await run_training(training, root, settings.worker.train_memory_mb)
            result = "trained" if isinstance(evidence, Trained) else "failed"
            self._context.metrics.trainings.labels(result).inc()
            self.results[result] += 1
            topic = self._context.topics.evidence.name
            outputs.append(Output(topic, training.task, evidence.id, evidence.time, evidence, alone=True))
        return outputs
