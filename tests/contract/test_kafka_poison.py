"""Batches that a broker takes and aiokafka cannot read: what can be read is, and nothing stands still."""

import re
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cramjam
import pytest
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c
from stage.calls import calls_of
from stage.servers.kafka import Kafka, settings_for
from stage.workers import working

from jitr.sandbox.traffic.workload import Workload
from jitr.schemas.codecs import CODECS, MOST_UNPACKED
from jitr.schemas.deadletters import DeadLetter
from jitr.schemas.events import encode_batch
from jitr.schemas.fetching import UNREADABLE, install
from jitr.schemas.tasks import TaskCall

HEADER = 61
JSON = b'{"model": "m", "messages": [{"role": "user", "content": "hi"}]}'


@pytest.fixture(autouse=True)
def installed() -> None:
    install()


def batch(*values: bytes, codec: int = 0, headers: Any = (), timestamp_ms: int = 0) -> bytearray:
    builder = DefaultRecordBatchBuilder(2, codec, False, -1, -1, -1, 10_000_000)
    for n, value in enumerate(values):
        builder.append(n, timestamp_ms or int(time.time() * 1000), b"k", value, list(headers))
    return bytearray(builder.build())


def sealed(data: bytearray) -> bytes:
    """With the length and the checksum that fit what it has become."""
    data[8:12] = struct.pack(">i", len(data) - 12)
    data[17:21] = struct.pack(">I", calc_crc32c(bytes(data[21:])))
    return bytes(data)


def header_name() -> bytes:
    data = batch(JSON, JSON, JSON, headers=[("name", b"v")])
    return sealed(data.replace(b"name", b"\xff\xfen\xe4", 1))


def packed(codec: int, what: bytes) -> bytes:
    data = batch(JSON)
    data[22] |= codec
    return sealed(data[:HEADER] + what)


def bomb(codec: int) -> bytes:
    size = MOST_UNPACKED + 1000
    pack: dict[int, Callable[[bytes], Any]] = {
        1: lambda data: cramjam.gzip.compress(data, 9),
        2: cramjam.snappy.compress_raw,
        3: cramjam.lz4.compress,
        4: cramjam.zstd.compress,
    }
    return packed(codec, bytes(pack[codec](bytes(size))))


def cut_off() -> bytes:
    data = batch(JSON, JSON)
    # the second record says that it is longer than it is
    second = data.rindex(JSON) - 8
    data[second : second + 2] = b"\xfe\x7f"
    return sealed(data)


POISON = {
    "a header whose name is no UTF-8": (header_name(), 3, None),
    **{f"{c.name} that is none": (packed(n, b"\x00junk"), 0, "cannot be read") for n, c in CODECS.items()},
    "a codec that is none": (packed(5, b"junk"), 0, "cannot be read"),
    "a record that is too long": (cut_off(), 1, "cannot be read from offset 2 on"),
    "gzip that grows without end": (bomb(1), 0, "more than 128 MB"),
    "lz4 that grows without end": (bomb(3), 0, "more than 128 MB"),
    "zstd that grows without end": (bomb(4), 0, "more than 128 MB"),
    "a time before time": (sealed(batch(JSON, timestamp_ms=-(2**50))), 1, None),
    "a time without end": (sealed(batch(JSON, timestamp_ms=2**62)), 1, None),
}


async def put(kafka: Any, topic: str, data: bytes) -> int:
    response = await kafka.ask(ProduceRequest(None, -1, 30_000, [(topic, [(0, data)])]))
    ((_, ((_, code, *_),)),) = response.topics
    return int(code)


@pytest.mark.parametrize("name", POISON)
async def test_a_consumer_reads_on(kafka: Any, name: str) -> None:
    data, readable, reason = POISON[name]
    topic = await kafka.topic(max_message_bytes=10_000_000, message_timestamp_after_max_ms=2**63 - 1)
    producer = await kafka.producer()
    await producer.send_and_wait(topic, b"before")
    refused = await put(kafka, topic, data)
    await producer.send_and_wait(topic, b"after")
    records = await kafka.all_records(topic)
    values = [record.value for record in records if UNREADABLE not in dict(record.headers)]
    assert values == [b"before", *([JSON] * readable if not refused else []), b"after"]
    unreadable = [
        dict(record.headers)[UNREADABLE].decode()
        for record in records
        if len(record.headers) == 1 and UNREADABLE in dict(record.headers)
    ]
    assert len(unreadable) == (reason is not None and not refused)
    for said in unreadable:
        assert re.search(str(reason), said), said


@pytest.mark.parametrize("codec", CODECS.values(), ids=lambda codec: codec.name)
async def test_batches_of_every_codec_are_read(kafka: Any, codec: Any) -> None:
    topic = await kafka.topic()
    values = [b"a lot of the same " * 500 + b"%d" % n for n in range(200)]
    producer = await kafka.producer(compression_type=codec.name, linger_ms=100)
    for send in [await producer.send(topic, value) for value in values]:
        await send
    assert [record.value for record in await kafka.all_records(topic)] == values


@pytest.mark.parametrize("codec", CODECS.values(), ids=lambda codec: codec.name)
async def test_batches_of_librdkafka_in_every_codec_are_read(kafka: Any, codec: Any) -> None:
    confluent = pytest.importorskip("confluent_kafka")
    topic = await kafka.topic()
    values = [b"a lot of the same " * 500 + b"%d" % n for n in range(50)]
    producer = confluent.Producer(
        {"bootstrap.servers": kafka.bootstrap, "compression.type": codec.name, "linger.ms": 100}
    )
    for value in values:
        producer.produce(topic, value)
    assert producer.flush(30) == 0
    assert [record.value for record in await kafka.all_records(topic)] == values


async def test_a_worker_reads_every_codec_and_lives_on_through_poison(
    kafka: Any, kafka_bootstrap: str, tmp_path: Path
) -> None:
    settings, _ = settings_for(kafka_bootstrap, tmp_path)
    calls = calls_of(Workload(seed=1), 120, tag="codec")
    topic = settings.topics.calls.name
    expected = 0
    async with Kafka(settings) as wire, working(settings, "detect") as worker:
        for n, (codec, part) in enumerate(
            zip(["gzip", "snappy", "lz4", "zstd"], range(0, 120, 30), strict=True)
        ):
            producer = await kafka.producer(compression_type=codec)
            for call in calls[part : part + 30]:
                value, headers = encode_batch([(call.id, call.time, call)], source="/t")
                await producer.send(topic, value, headers=headers, partition=n % 2)
            await producer.flush()
            if n < 2:
                for data, _, reason in POISON.values():
                    if await put(kafka, topic, data) == 0:
                        expected += reason is not None
        await wire.done("detect")
        assert worker.runners[0].failure.done() is False
        letters = [
            DeadLetter.read(r.value, r.key, r.headers)
            for r in await wire.read(settings.topics.dead_letters.name)
        ]
        passed = {e.id for e in await wire.events(settings.topics.unmatched.name)}
        passed |= {c.id for c in await wire.rows(settings.topics.task_calls.name, TaskCall)}
    assert {call.id for call in calls} <= passed
    assert len(letters) == expected
    assert all("cannot be read" in letter.reason and letter.stage == "kafka" for letter in letters)
