"""What the development broker promises beyond the contract: data that last, bounded memory, a closed door."""

import asyncio
import socket
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import NewTopic
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.transaction import InitProducerIdRequest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jitr.sandbox.broker import Broker, BrokerLimits
from jitr.schemas.errors import ConfigError

NO_TRANSACTIONS, UNSUPPORTED_VERSION, REPLICATION, UNKNOWN_TOPIC = 53, 35, 38, 3


async def test_data_settings_and_commits_survive_a_restart(
    tmp_path: Path, kafka_at: Callable[[str], Any]
) -> None:
    broker = Broker(tmp_path)
    await broker.start()
    kafka = kafka_at(broker.bootstrap)
    topic = await kafka.topic(partitions=2, retention_ms=123456)
    producer = await kafka.producer(enable_idempotence=True)
    for i in range(20):
        await producer.send_and_wait(topic, b"%d" % i, partition=i % 2)
    member = await kafka.member("group", topic)
    await member.commit({TopicPartition(topic, 0): 7})
    await kafka.close()
    await broker.stop()

    broker = Broker(tmp_path)
    await broker.start()
    kafka = kafka_at(broker.bootstrap)
    try:
        producer = await kafka.producer()
        sent = await producer.send_and_wait(topic, b"20", partition=0)
        assert sent.offset == 10
        values = sorted(int(record.value) for record in await kafka.all_records(topic))
        assert values == list(range(21))
        member = await kafka.member("group", topic)
        assert await member.committed(TopicPartition(topic, 0)) == 7
        (described,) = await (await kafka.admin()).describe_topics([topic])
        assert len(described["partitions"]) == 2
    finally:
        await kafka.close()
        await broker.stop()


async def test_a_clean_stop_and_a_kill_both_leave_what_was_answered(tmp_path: Path, kafka_at: Any) -> None:
    command = [sys.executable, "-m", "jitr.sandbox.broker", "--port", "0", "--data", str(tmp_path)]
    topic = "t"
    for round_ in range(3):
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert process.stdout is not None
        kafka = kafka_at(process.stdout.readline().decode().strip())
        producer = await kafka.producer()
        for i in range(10):
            await producer.send_and_wait(topic, b"%d" % (10 * round_ + i))
        values = [int(record.value) for record in await kafka.all_records(topic)]
        await kafka.close()
        if round_ == 1:
            process.terminate()
            assert process.wait(20) == 0
        else:
            process.kill()
            process.wait()
        process.stdout.close()
        assert values == list(range(10 * round_ + 10))


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.com", ""])
def test_a_door_to_the_world_is_refused(host: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="loopback"):
        Broker(tmp_path, host)


async def test_transactions_are_refused_with_the_error_of_the_protocol(dev_kafka: Any) -> None:
    assert (await dev_kafka.ask(InitProducerIdRequest("mine", 1000))).error_code == NO_TRANSACTIONS
    assert (await dev_kafka.ask(FindCoordinatorRequest("mine", 1))).error_code == NO_TRANSACTIONS


async def test_more_than_one_replica_is_refused(dev_kafka: Any) -> None:
    response = await (await dev_kafka.admin()).create_topics([NewTopic(dev_kafka.name(), 1, 3)])
    assert response.topic_errors[0][1] == REPLICATION


async def test_topics_are_not_made_on_first_use_where_that_is_off(tmp_path: Path, kafka_at: Any) -> None:
    broker = Broker(tmp_path, limits=BrokerLimits(auto_create_topics=False))
    await broker.start()
    kafka = kafka_at(broker.bootstrap)
    try:
        response = await kafka.ask(MetadataRequest(["nowhere"], True))
        assert response.topics[0][0] == UNKNOWN_TOPIC
        assert await (await kafka.admin()).list_topics() == []
    finally:
        await kafka.close()
        await broker.stop()


def exchange(bootstrap: str, data: bytes, *, wait_s: float = 5.0) -> bytes:
    """Send bytes, end the sending side, and return what comes back until the broker closes."""
    host, port = bootstrap.split(":")
    with socket.create_connection((host, int(port)), timeout=wait_s) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        try:
            while chunk := connection.recv(65536):
                answer += chunk
        except (TimeoutError, ConnectionError):
            pass
        return answer


def framed(key: int, version: int, body: bytes = b"") -> bytes:
    header = struct.pack(">hhih", key, version, 99, 1) + b"x"
    return struct.pack(">i", len(header) + len(body)) + header + body


def test_a_version_of_the_future_is_answered_with_what_is_taken(dev_broker: str) -> None:
    answer = exchange(dev_broker, framed(18, 77))
    _, correlation, code, count = struct.unpack_from(">iihi", answer)
    assert (correlation, code) == (99, UNSUPPORTED_VERSION)
    taken = {struct.unpack_from(">hhh", answer, 14 + 6 * i)[0] for i in range(count)}
    assert {0, 1, 3, 11, 18} <= taken


@pytest.mark.parametrize(
    "data",
    [
        framed(28, 0),  # TxnOffsetCommit
        framed(0, 99),
        struct.pack(">i", 2_000_000_000),
        struct.pack(">i", -5),
        framed(3, 1, struct.pack(">i", 2_000_000_000)),
        b"GET / HTTP/1.1\r\n\r\n",
    ],
    ids=["unknown request", "unknown version", "huge", "negative", "huge array", "http"],
)
def test_what_is_no_request_closes_the_connection(dev_broker: str, data: bytes) -> None:
    assert exchange(dev_broker, data) == b""
    assert exchange(dev_broker, framed(18, 0)) != b""


HOSTILE = st.one_of(
    st.binary(max_size=200),
    st.builds(
        framed,
        st.integers(0, 45),
        st.integers(0, 12),
        st.binary(max_size=120)
        | st.lists(st.sampled_from([b"\0\0\0\1", b"\0\1", b"a", b"\xff\xff", b"\0\0\0\0", b"\x7f\xff"])).map(
            b"".join
        ),
    ),
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(messages=st.lists(HOSTILE, max_size=4))
def test_no_bytes_stop_the_broker(dev_broker: str, messages: list[bytes]) -> None:
    exchange(dev_broker, b"".join(messages), wait_s=0.2)
    assert exchange(dev_broker, framed(18, 0)) != b""


@pytest.mark.slow
async def test_memory_does_not_grow_with_what_is_stored(tmp_path: Path, kafka_at: Any) -> None:
    command = [sys.executable, "-m", "jitr.sandbox.broker", "--port", "0", "--data", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    kafka = kafka_at(process.stdout.readline().decode().strip())
    resident = psutil.Process(process.pid).memory_info
    try:
        topic = await kafka.topic(partitions=2)
        producer = await kafka.producer(max_batch_size=500_000)
        payload = b"z" * 20_000

        async def store(megabytes: int) -> None:
            sends = []
            for _ in range(megabytes * 50):
                sends.append(await producer.send(topic, payload))
            await asyncio.gather(*sends)

        await store(20)
        before = resident().rss
        await store(150)
        assert len(await kafka.all_records(topic)) == 170 * 50
        assert resident().rss - before < 40_000_000
    finally:
        await kafka.close()
        process.terminate()
        process.wait(20)
        process.stdout.close()
