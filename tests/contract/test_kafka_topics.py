"""Topics, on the development broker and on Apache Kafka: made, grown, trimmed, compacted, deleted."""

import asyncio
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.admin.records_to_delete import RecordsToDelete
from aiokafka.errors import InvalidPartitionsError, OffsetOutOfRangeError
from aiokafka.protocol.metadata import MetadataRequest

UNKNOWN_TOPIC, INVALID_TOPIC, EXISTS, BAD_PARTITIONS, BAD_CONFIG = 3, 17, 36, 37, 40


async def create(kafka: Any, name: str, partitions: int = 1, **config: str) -> int:
    admin = await kafka.admin()
    topic = NewTopic(name, partitions, 1, topic_configs=config)
    code: int = (await admin.create_topics([topic])).topic_errors[0][1]
    return code


async def settings(kafka: Any, topic: str) -> dict[str, str]:
    admin = await kafka.admin()
    (response,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    ((code, _, _, _, entries),) = response.resources
    assert code == 0
    return {entry[0]: entry[1] for entry in entries}


async def test_a_topic_keeps_the_settings_it_was_given(kafka: Any) -> None:
    topic = await kafka.topic(partitions=5, cleanup_policy="compact", retention_ms=12345)
    told = await settings(kafka, topic)
    assert (told["cleanup.policy"], told["retention.ms"]) == ("compact", "12345")
    assert told["max.message.bytes"] == "1048588"
    (described,) = await (await kafka.admin()).describe_topics([topic])
    assert sorted(p["partition"] for p in described["partitions"]) == list(range(5))


async def test_a_topic_that_exists_is_not_made_again(kafka: Any) -> None:
    topic = await kafka.topic()
    assert await create(kafka, topic) == EXISTS


async def test_what_cannot_be_made_is_refused_with_the_reason(kafka: Any) -> None:
    assert await create(kafka, "a/b") == INVALID_TOPIC
    assert await create(kafka, "..") == INVALID_TOPIC
    assert await create(kafka, kafka.name(), partitions=0) == BAD_PARTITIONS
    assert await create(kafka, kafka.name(), **{"no.such.setting": "1"}) == BAD_CONFIG
    assert await create(kafka, kafka.name(), **{"retention.ms": "soon"}) == BAD_CONFIG


async def test_settings_can_be_changed(kafka: Any) -> None:
    topic = await kafka.topic(retention_ms=1000)
    admin = await kafka.admin()
    change = ConfigResource(ConfigResourceType.TOPIC, topic, {"retention.ms": "99000"})
    await admin.alter_configs([change])
    assert (await settings(kafka, topic))["retention.ms"] == "99000"


async def test_a_topic_can_get_more_partitions_and_not_fewer(kafka: Any) -> None:
    topic = await kafka.topic(partitions=2)
    admin = await kafka.admin()
    grown = await admin.create_partitions({topic: NewPartitions(4)})
    assert grown.topic_errors[0][1] == 0
    with pytest.raises(InvalidPartitionsError):
        await admin.create_partitions({topic: NewPartitions(3)})


async def test_a_deleted_topic_is_gone_and_a_new_one_of_its_name_is_empty(kafka: Any, until: Any) -> None:
    topic = await kafka.topic()
    producer = await kafka.producer()
    await producer.send_and_wait(topic, b"old")
    await producer.stop()
    admin = await kafka.admin()
    assert (await admin.delete_topics([topic])).topic_error_codes[0][1] == 0

    async def gone() -> bool:
        return topic not in await admin.list_topics()

    await until(gone)
    assert (await admin.delete_topics([topic])).topic_error_codes[0][1] == UNKNOWN_TOPIC
    assert await create(kafka, topic) == 0
    assert await kafka.all_records(topic) == []


async def test_metadata_of_an_unknown_topic_says_so_unless_it_may_be_made(kafka: Any, until: Any) -> None:
    name = kafka.name()

    async def code(may_create: bool) -> int:
        response = await kafka.ask(MetadataRequest([name], may_create))
        answer: int = response.topics[0][0]
        return answer

    assert await code(False) == UNKNOWN_TOPIC
    await code(True)

    async def made() -> bool:
        return await code(False) == 0

    await until(made)


async def test_records_can_be_deleted_up_to_an_offset(kafka: Any) -> None:
    topic = await kafka.topic()
    producer = await kafka.producer()
    for i in range(10):
        await producer.send_and_wait(topic, b"%d" % i)
    partition = TopicPartition(topic, 0)
    await (await kafka.admin()).delete_records({partition: RecordsToDelete(before_offset=6)})
    assert [record.offset for record in await kafka.all_records(topic)] == [6, 7, 8, 9]
    strict = await kafka.consumer(auto_offset_reset="none")
    strict.assign([partition])
    strict.seek(partition, 2)
    with pytest.raises(OffsetOutOfRangeError):
        await strict.getone()


@pytest.mark.slow
async def test_compaction_keeps_the_last_record_of_each_key_at_its_offset(kafka: Any, until: Any) -> None:
    topic = await kafka.topic(
        cleanup_policy="compact", segment_bytes=1_048_576, segment_ms=500, min_cleanable_dirty_ratio=0.01
    )
    producer = await kafka.producer()
    padding = b"." * 40_000
    for i in range(60):
        await producer.send_and_wait(topic, b"%d" % i + padding, key=b"k%d" % (i % 6))
    gone = await producer.send_and_wait(topic, None, key=b"k0")

    async def compacted() -> bool:
        # the active segment is never compacted: each of these gives it a chance to be followed by another
        await producer.send_and_wait(topic, b"tick", key=b"tick")
        await asyncio.sleep(0.3)
        keys = [record.key for record in await kafka.all_records(topic) if record.key != b"tick"]
        return len(keys) == len(set(keys))

    await until(compacted)
    kept = {r.key: r for r in await kafka.all_records(topic) if r.key not in (b"tick", b"k0")}
    assert {key: int(r.value.rstrip(b".")) for key, r in kept.items()} == {
        b"k%d" % k: 54 + k for k in range(1, 6)
    }
    assert {key: r.offset for key, r in kept.items()} == {b"k%d" % k: 54 + k for k in range(1, 6)}
    tombstones = [r.offset for r in await kafka.all_records(topic) if r.key == b"k0"]
    assert tombstones in ([], [gone.offset])


@pytest.mark.slow
async def test_retention_by_time_moves_the_start_of_the_log(kafka: Any, until: Any) -> None:
    topic = await kafka.topic(retention_ms=500, segment_ms=500)
    producer = await kafka.producer()
    for i in range(5):
        await producer.send_and_wait(topic, b"%d" % i)
    partition = TopicPartition(topic, 0)
    consumer = await kafka.consumer(topic)

    async def start_moved() -> bool:
        start: int = (await consumer.beginning_offsets([partition]))[partition]
        return start == 5

    await until(start_moved)
    assert (await producer.send_and_wait(topic, b"next")).offset == 5


@pytest.mark.slow
async def test_retention_by_size_keeps_the_newest(kafka: Any, until: Any) -> None:
    topic = await kafka.topic(retention_bytes=1_500_000, segment_bytes=1_048_576)
    producer = await kafka.producer()
    for i in range(50):
        await producer.send_and_wait(topic, b"%d" % i + b"." * 100_000)

    async def short() -> bool:
        records = await kafka.all_records(topic)
        return len(records) < 30 and records[-1].offset == 49

    await until(short)
