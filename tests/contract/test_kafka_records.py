"""Records, on the development broker and on Apache Kafka: what goes in comes out, in order, or is refused."""

import asyncio
import time
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import MessageSizeTooLargeError
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.transaction import InitProducerIdRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder

# a broker may delete what is older than the topic's retention at any moment
AN_HOUR_AGO_MS = int(time.time() * 1000) - 3_600_000
CORRUPT, COORDINATOR_LOADS, OUT_OF_ORDER, INVALID_RECORD = 2, 14, 45, 87


async def test_a_partition_keeps_the_order_and_counts_offsets_from_zero(kafka: Any) -> None:
    topic = await kafka.topic(partitions=3)
    producer = await kafka.producer()
    for i in range(300):
        await producer.send(topic, b"%d" % i, partition=i % 3)
    await producer.flush()
    records = await kafka.all_records(topic)
    for partition in range(3):
        mine = [record for record in records if record.partition == partition]
        assert [record.offset for record in mine] == list(range(100))
        assert [int(record.value) for record in mine] == list(range(partition, 300, 3))


async def test_key_value_headers_and_timestamp_come_back(kafka: Any) -> None:
    topic = await kafka.topic()
    producer = await kafka.producer()
    headers = [("content-type", b"application/json"), ("empty", b""), ("content-type", b"twice")]
    sent = await producer.send_and_wait(
        topic, value="größe".encode(), key=b"\x00k", headers=headers, timestamp_ms=AN_HOUR_AGO_MS + 123
    )
    (record,) = await kafka.all_records(topic)
    assert sent.offset == record.offset == 0
    assert (record.key, record.value) == (b"\x00k", "größe".encode())
    assert list(record.headers) == headers
    assert record.timestamp == AN_HOUR_AGO_MS + 123


async def test_a_null_value_is_not_an_empty_one(kafka: Any) -> None:
    topic = await kafka.topic()
    producer = await kafka.producer()
    await producer.send_and_wait(topic, value=None, key=b"k")
    await producer.send_and_wait(topic, value=b"", key=b"k")
    assert [record.value for record in await kafka.all_records(topic)] == [None, b""]


async def test_a_message_up_to_the_limit_passes_and_one_above_is_refused(kafka: Any) -> None:
    topic = await kafka.topic(max_message_bytes=2_000_000)
    producer = await kafka.producer(max_request_size=5_000_000)
    large = b"x" * 1_990_000
    await producer.send_and_wait(topic, large)
    with pytest.raises(MessageSizeTooLargeError):
        await producer.send_and_wait(topic, b"x" * 2_000_001)
    await producer.send_and_wait(topic, b"after")
    assert [record.value for record in await kafka.all_records(topic)] == [large, b"after"]


async def test_a_message_larger_than_what_the_consumer_asks_for_is_delivered(kafka: Any) -> None:
    topic = await kafka.topic()
    producer = await kafka.producer()
    await producer.send_and_wait(topic, b"y" * 500_000)
    consumer = await kafka.consumer(topic, max_partition_fetch_bytes=1000, fetch_max_bytes=1000)
    assert len((await consumer.getone()).value) == 500_000


async def test_gzip_batches_pass_untouched(kafka: Any) -> None:
    topic = await kafka.topic()
    producer = await kafka.producer(compression_type="gzip", linger_ms=50)
    sends = [await producer.send(topic, b"a lot of the same " * 50 + b"%d" % i) for i in range(50)]
    for send in sends:
        await send
    records = await kafka.all_records(topic)
    assert [record.value.rsplit(b" ", 1)[1] for record in records] == [b"%d" % i for i in range(50)]


async def test_a_waiting_consumer_gets_a_record_long_before_its_wait_is_over(kafka: Any) -> None:
    topic = await kafka.topic()
    producer = await kafka.producer()
    consumer = await kafka.consumer(topic, auto_offset_reset="latest", fetch_max_wait_ms=30_000)
    await consumer.position(TopicPartition(topic, 0))
    async with asyncio.timeout(25):
        for i in range(20):
            await producer.send_and_wait(topic, b"%d" % i)
            assert (await consumer.getone()).value == b"%d" % i


async def test_offsets_are_found_by_time(kafka: Any) -> None:
    topic = await kafka.topic()
    producer = await kafka.producer()
    for i in range(10):
        await producer.send_and_wait(topic, b"%d" % i, timestamp_ms=AN_HOUR_AGO_MS + 1000 * i)
    partition = TopicPartition(topic, 0)
    consumer = await kafka.consumer(topic)
    assert await consumer.beginning_offsets([partition]) == {partition: 0}
    assert await consumer.end_offsets([partition]) == {partition: 10}

    async def at(timestamp_ms: int) -> Any:
        return (await consumer.offsets_for_times({partition: timestamp_ms}))[partition]

    assert (await at(0)).offset == 0
    exact, between = await at(AN_HOUR_AGO_MS + 4000), await at(AN_HOUR_AGO_MS + 4001)
    assert (exact.offset, exact.timestamp) == (4, AN_HOUR_AGO_MS + 4000)
    assert (between.offset, between.timestamp) == (5, AN_HOUR_AGO_MS + 5000)
    assert await at(AN_HOUR_AGO_MS + 9001) is None


async def test_a_time_inside_a_batch_finds_its_record(kafka: Any) -> None:
    topic = await kafka.topic()
    producer = await kafka.producer(linger_ms=100)
    sends = [await producer.send(topic, b"x", timestamp_ms=AN_HOUR_AGO_MS + i) for i in range(10)]
    for send in sends:
        await send
    consumer = await kafka.consumer(topic)
    partition = TopicPartition(topic, 0)
    found = await consumer.offsets_for_times({partition: AN_HOUR_AGO_MS + 7})
    assert found[partition].offset == 7


def batch(producer_id: int, sequence: int, value: bytes, epoch: int = 0, key: bytes | None = b"k") -> bytes:
    builder = DefaultRecordBatchBuilder(2, 0, False, producer_id, epoch, sequence, 100_000)
    # of now: retention by time drops what is older than a week
    builder.append(0, int(time.time() * 1000), key, value, [])
    return bytes(builder.build())


async def put(kafka: Any, topic: str, data: bytes) -> tuple[int, int]:
    response = await kafka.ask(ProduceRequest(None, -1, 5000, [(topic, [(0, data)])]))
    ((_, ((_, code, offset, *_),)),) = response.topics
    return code, offset


async def producer_id(kafka: Any, until: Any) -> int:
    async def told() -> Any:
        answer = await kafka.ask(InitProducerIdRequest(None, 60_000))
        return answer if answer.error_code != COORDINATOR_LOADS else None

    answer = await until(told)
    assert answer.error_code == 0
    given: int = answer.producer_id
    return given


async def test_a_retried_batch_of_an_idempotent_producer_is_stored_once(kafka: Any, until: Any) -> None:
    topic = await kafka.topic()
    mine = await producer_id(kafka, until)
    first, second = batch(mine, 0, b"0"), batch(mine, 1, b"1")
    assert await put(kafka, topic, first) == (0, 0)
    assert await put(kafka, topic, second) == (0, 1)
    assert await put(kafka, topic, first) == (0, 0)
    assert [record.value for record in await kafka.all_records(topic)] == [b"0", b"1"]


async def test_a_gap_in_the_sequence_is_refused(kafka: Any, until: Any) -> None:
    topic = await kafka.topic()
    mine = await producer_id(kafka, until)
    assert await put(kafka, topic, batch(mine, 0, b"0")) == (0, 0)
    assert (await put(kafka, topic, batch(mine, 2, b"2")))[0] == OUT_OF_ORDER


async def test_every_producer_gets_an_id_of_its_own(kafka: Any, until: Any) -> None:
    assert len({await producer_id(kafka, until) for _ in range(3)}) == 3


async def test_an_idempotent_producer_of_aiokafka_works(kafka: Any) -> None:
    topic = await kafka.topic()
    producer = await kafka.producer(enable_idempotence=True)
    for i in range(100):
        await producer.send(topic, b"%d" % i)
    await producer.flush()
    assert [int(record.value) for record in await kafka.all_records(topic)] == list(range(100))


async def test_a_batch_with_a_wrong_crc_is_refused(kafka: Any) -> None:
    topic = await kafka.topic()
    damaged = bytearray(batch(-1, -1, b"value", epoch=-1))
    damaged[-2] ^= 0xFF
    assert (await put(kafka, topic, bytes(damaged)))[0] == CORRUPT
    assert await kafka.all_records(topic) == []


async def test_a_compacted_topic_takes_no_record_without_a_key(kafka: Any) -> None:
    topic = await kafka.topic(cleanup_policy="compact")
    assert (await put(kafka, topic, batch(-1, -1, b"value", epoch=-1, key=None)))[0] == INVALID_RECORD
    assert await put(kafka, topic, batch(-1, -1, b"value", epoch=-1)) == (0, 0)
