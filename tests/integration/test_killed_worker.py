"""A worker is killed while another joins, on both brokers: the agents that find and collect lose nothing."""

from pathlib import Path

from stage.calls import calls_of
from stage.servers.kafka import Kafka, settings_for
from stage.workers import WorkerProcess, working

from jitr.sandbox.traffic.workload import Workload
from jitr.schemas.tasks import Task


async def test_a_killed_worker_loses_no_call_and_another_finds_the_same_tasks(
    kafka_bootstrap: str, tmp_path: Path
) -> None:
    agents = ("detect", "mine", "collect")
    workload = Workload(seed=5, noise=0.3)
    calls = calls_of(workload, 1500)
    third = len(calls) // 3

    calm, _ = settings_for(kafka_bootstrap, tmp_path / "calm")
    async with Kafka(calm) as kafka:
        async with working(calm, *agents):
            await kafka.publish(calm.topics.calls.name, calls)
            await kafka.done("detect", "mine", "collect")
        without = await kafka.rows(calm.topics.tasks.name, Task)

    wild, environ = settings_for(kafka_bootstrap, tmp_path / "wild")
    async with Kafka(wild) as kafka:
        with WorkerProcess(environ, agents) as first:
            await first.ready()
            await kafka.publish(wild.topics.calls.name, calls[:third])
            with WorkerProcess(environ, agents) as second:
                await kafka.publish(wild.topics.calls.name, calls[third : 2 * third])
                # in the middle: some of it is worked on, none of it may be lost
                first.kill()
                await second.ready()
                await kafka.publish(wild.topics.calls.name, calls[2 * third :])
                await kafka.done("detect", "mine", "collect")
                assert await second.stop() == 0
        matched = await kafka.events(wild.topics.task_calls.name)
        unmatched = await kafka.events(wild.topics.unmatched.name)
        assert await kafka.read(wild.topics.dead_letters.name) == []
        assert {event.id for event in matched + unmatched} == {call.id for call in calls}
        tasks = await kafka.rows(wild.topics.tasks.name, Task)

    def found(rows: list[Task]) -> set[str]:
        last = {task.id: task for task in rows}
        return {task.name for task in last.values() if task.status == "task"}

    assert found(tasks) == found(without)
    assert len(found(tasks)) == len(workload.names)
