"""Consumer groups, on the development broker and on Apache Kafka: sharing, taking over, committing."""

import asyncio
import signal
import subprocess
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.protocol.commit import OffsetCommitRequest

ILLEGAL_GENERATION, UNKNOWN_MEMBER = 22, 25


def held(*members: Any) -> list[int]:
    return sorted(partition.partition for member in members for partition in member.assignment())


async def test_two_members_share_the_partitions_and_one_takes_over_when_the_other_leaves(
    kafka: Any, until: Any
) -> None:
    topic = await kafka.topic(partitions=4)
    group = kafka.name()
    first = await kafka.member(group, topic)

    async def alone() -> bool:
        return held(first) == [0, 1, 2, 3]

    await until(alone)
    second = await kafka.member(group, topic)

    async def shared() -> bool:
        return len(held(first)) == len(held(second)) == 2 and held(first, second) == [0, 1, 2, 3]

    await until(shared)
    await second.stop()
    await until(alone)


async def test_every_record_is_read_once_over_a_rebalance_with_commits(kafka: Any, until: Any) -> None:
    topic = await kafka.topic(partitions=4)
    group = kafka.name()
    producer = await kafka.producer()
    seen: list[int] = []

    async def consume(member: Any) -> None:
        async for record in member:
            seen.append(int(record.value))
            await member.commit({TopicPartition(topic, record.partition): record.offset + 1})

    first = await kafka.member(group, topic)
    tasks = [asyncio.create_task(consume(first))]
    for i in range(50):
        await producer.send_and_wait(topic, b"%d" % i, partition=i % 4)

    async def read(count: int) -> bool:
        return len(set(seen)) == count

    await until(lambda: read(50))
    second = await kafka.member(group, topic)
    tasks.append(asyncio.create_task(consume(second)))

    async def shared() -> bool:
        return len(held(first)) == len(held(second)) == 2

    await until(shared)
    for i in range(50, 100):
        await producer.send_and_wait(topic, b"%d" % i, partition=i % 4)
    await until(lambda: read(100))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert sorted(seen) == list(range(100))


@pytest.mark.slow
async def test_a_member_that_is_killed_loses_its_partitions_after_its_session(
    kafka: Any, until: Any, kcat: str
) -> None:
    topic = await kafka.topic(partitions=4)
    group = kafka.name()
    first = await kafka.member(group, topic, partition_assignment_strategy=_range())
    settings = ["session.timeout.ms=2000", "heartbeat.interval.ms=200", "partition.assignment.strategy=range"]
    other = subprocess.Popen(
        [
            kcat,
            "-q",
            "-b",
            kafka.bootstrap,
            *[part for s in settings for part in ("-X", s)],
            "-G",
            group,
            topic,
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:

        async def shared() -> bool:
            return len(held(first)) == 2

        await until(shared)
    finally:
        other.send_signal(signal.SIGKILL)
        other.wait()

    async def alone() -> bool:
        return held(first) == [0, 1, 2, 3]

    await until(alone)


def _range() -> Any:
    from aiokafka.coordinator.assignors.range import RangePartitionAssignor

    return [RangePartitionAssignor]


async def test_a_group_goes_on_where_it_committed(kafka: Any) -> None:
    topic = await kafka.topic()
    group = kafka.name()
    producer = await kafka.producer()
    for i in range(10):
        await producer.send_and_wait(topic, b"%d" % i)
    first = await kafka.member(group, topic)
    for _ in range(6):
        last = await first.getone()
    partition = TopicPartition(topic, 0)
    await first.commit({partition: (last.offset + 1, "by the first")})
    await first.stop()
    second = await kafka.member(group, topic)
    assert (await second.getone()).offset == 6
    assert await second.committed(partition) == 6
    offsets = await (await kafka.admin()).list_consumer_group_offsets(group)
    assert offsets[partition].offset == 6
    assert offsets[partition].metadata == "by the first"


async def test_groups_do_not_share_commits(kafka: Any) -> None:
    topic = await kafka.topic()
    producer = await kafka.producer()
    await producer.send_and_wait(topic, b"x")
    partition = TopicPartition(topic, 0)
    first = await kafka.member(kafka.name(), topic)
    await first.getone()
    await first.commit({partition: 1})
    second = await kafka.member(kafka.name(), topic)
    assert await second.committed(partition) is None
    assert (await second.getone()).offset == 0


async def test_a_commit_of_another_generation_or_a_stranger_is_refused(kafka: Any, until: Any) -> None:
    topic = await kafka.topic()
    group = kafka.name()
    member = await kafka.member(group, topic)

    async def stable() -> Any:
        (described,) = await (await kafka.admin()).describe_consumer_groups([group])
        (state,) = described.groups
        return state if state[2] == "Stable" else None

    state = await until(stable)
    member_id = state[5][0][0]
    generation = member._coordinator.generation

    async def commit(generation: int, member_id: str) -> int:
        request = OffsetCommitRequest(group, generation, member_id, -1, [(topic, [(0, 5, "")])])
        response = await kafka.ask(request)
        code: int = response.topics[0][1][0][1]
        return code

    assert await commit(generation + 1, member_id) == ILLEGAL_GENERATION
    assert await commit(generation, "stranger") == UNKNOWN_MEMBER
    assert await commit(-1, "") == UNKNOWN_MEMBER
    assert await commit(generation, member_id) == 0
    assert await member.committed(TopicPartition(topic, 0)) == 5


async def test_groups_are_listed_and_described(kafka: Any, until: Any) -> None:
    topic = await kafka.topic(partitions=2)
    group = kafka.name()
    member = await kafka.member(group, topic, client_id="me")

    async def described() -> Any:
        (answer,) = await (await kafka.admin()).describe_consumer_groups([group])
        (state,) = answer.groups
        return state if state[2] == "Stable" else None

    state = await until(described)
    assert state[1] == group and state[3] == "consumer"
    ((member_id, client_id, *_),) = state[5]
    assert client_id == "me" and member_id.startswith("me-")
    assert (group, "consumer") in await (await kafka.admin()).list_consumer_groups()
    await member.stop()


async def test_members_with_nothing_in_common_do_not_join_one_group(kafka: Any) -> None:
    from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
    from aiokafka.errors import InconsistentGroupProtocolError

    topic = await kafka.topic()
    group = kafka.name()
    await kafka.member(group, topic, partition_assignment_strategy=_range())
    with pytest.raises(InconsistentGroupProtocolError):
        other = await kafka.member(group, topic, partition_assignment_strategy=[RoundRobinPartitionAssignor])
        await asyncio.wait_for(other.getone(), 60)
