"""A person's word on tasks comes through Kafka: told twice it counts once, and a restart loses none of it."""

from itertools import islice
from pathlib import Path

from stage.servers.kafka import Kafka, settings_for
from stage.workers import working

from jitr.sandbox.traffic.workload import Workload
from jitr.schemas.calls import Call, Message, Response
from jitr.schemas.tasks import Task, TaskCall, TaskCommand

ASKS = (
    "Decide whether the following remark is polite. Answer yes or no.\nRemark: ",
    "Is what this person says kind to others? Reply with yes or with no.\nPerson: ",
)


def calls_of(first: int, n: int) -> list[Call]:
    texts = [r.body["messages"][-1]["content"] for r in islice(iter(Workload(first, 0.9)), n)]
    return [
        Call(
            id=f"c{first}-{i}",
            model="m",
            time=1e9 + first + i,
            messages=(Message(role="user", content=ASKS[i % 2] + text),),
            response=Response(text=["Yes", "No"][i % 3 % 2]),
        )
        for i, text in enumerate(texts)
    ]


async def test_a_merge_told_twice_counts_once_and_lives_through_restarts_until_it_is_undone(
    dev_broker: str, tmp_path: Path
) -> None:
    settings, _ = settings_for(dev_broker, tmp_path)
    calls, unmatched = settings.topics.calls.name, settings.topics.unmatched.name

    async def rows(kafka: Kafka) -> dict[str, Task]:
        told: list[Task] = await kafka.rows(settings.topics.tasks.name, Task)
        return {task.id: task for task in told}

    async with Kafka(settings) as kafka:
        async with working(settings, "detect", "mine"):
            await kafka.publish(calls, calls_of(1, 80))
            await kafka.done("detect", "mine")
        a, b = sorted(before := await rows(kafka))
        merge = TaskCommand(id="w1", tenant="default", time=2e9, verb="merge", task=a, other=b, by="ann")
        for _ in range(2):
            # the second time to a new worker, which knows from its snapshot that it was done
            async with working(settings, "detect", "mine"):
                await kafka.publish(unmatched, [merge], key="default")
                await kafka.done("mine")
        merged = await rows(kafka)
        assert {id: task.status for id, task in merged.items()} == {a: "task", b: "merged"}
        async with working(settings, "detect", "mine"):
            await kafka.publish(calls, calls_of(2, 40))
            await kafka.done("detect", "mine")
            made: list[TaskCall] = await kafka.rows(settings.topics.task_calls.name, TaskCall)
            assert {c.task for c in made if c.id.startswith("c2-")} == {a}
            undo = TaskCommand(id="w2", tenant="default", time=2e9, verb="undo", task=a, other=b, by="ann")
            await kafka.publish(unmatched, [undo], key="default")
            await kafka.done("mine")
        after = await rows(kafka)
        assert await kafka.read(settings.topics.dead_letters.name) == []
    assert {id: t.templates for id, t in after.items()} == {id: t.templates for id, t in before.items()}
    assert {t.status for t in after.values()} == {"task"}
    assert all(after[id].version > merged[id].version > before[id].version for id in (a, b))
    assert [c.kind for c in after[b].history][-2:] == ["merged", "restored"]


async def test_a_word_that_cannot_be_followed_is_a_dead_letter_that_says_why(
    dev_broker: str, tmp_path: Path
) -> None:
    settings, _ = settings_for(dev_broker, tmp_path)
    word = TaskCommand(id="w1", tenant="default", time=2e9, verb="merge", task="nobody", other="nothing")
    async with Kafka(settings) as kafka:
        async with working(settings, "detect", "mine"):
            await kafka.publish(settings.topics.unmatched.name, [word], key="default")
            await kafka.publish(settings.topics.calls.name, calls_of(1, 80))
            await kafka.done("detect", "mine")
        (letter,) = await kafka.read(settings.topics.dead_letters.name)
        assert "nobody" in str(dict(letter.headers))
        assert len(await kafka.rows(settings.topics.tasks.name, Task)) >= 2, "the calls behind it are mined"
