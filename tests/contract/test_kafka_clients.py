"""Clients on librdkafka, unchanged, on the development broker and on Apache Kafka."""

import subprocess
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic


@pytest.mark.parametrize("compression", ["none", "gzip", "lz4", "snappy", "zstd"])
def test_confluent_kafka_produces_and_consumes_in_a_group(kafka: Any, compression: str) -> None:
    topic = kafka.name()
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    admin.create_topics([NewTopic(topic, 3, 1)])[topic].result(20)
    producer = Producer(
        {
            "bootstrap.servers": kafka.bootstrap,
            "enable.idempotence": True,
            "compression.type": compression,
            "linger.ms": 5,
        }
    )
    failed = []
    for i in range(500):
        producer.produce(
            topic, b"%d" % i, b"k%d" % i, on_delivery=lambda error, _: error and failed.append(error)
        )
    assert producer.flush(20) == 0 and not failed
    consumer = Consumer(
        {"bootstrap.servers": kafka.bootstrap, "group.id": topic, "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([topic])
    values = set()
    while len(values) < 500:
        message = consumer.poll(20)
        assert message is not None and message.error() is None
        values.add(int(message.value()))
    consumer.commit(asynchronous=False)
    consumer.close()
    assert values == set(range(500))
    assert topic in {group.group_id for group in admin.list_consumer_groups().result(20).valid}
    deleted = admin.delete_consumer_groups([topic])
    deleted[topic].result(20)
    assert topic not in {group.group_id for group in admin.list_consumer_groups().result(20).valid}


def test_confluent_kafka_reads_and_changes_settings(kafka: Any) -> None:
    from confluent_kafka.admin import AlterConfigOpType, ConfigEntry

    topic = kafka.name()
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    admin.create_topics([NewTopic(topic, 1, 1, config={"retention.ms": "1000"})])[topic].result(20)
    change = ConfigResource("topic", topic)
    change.add_incremental_config(
        ConfigEntry("retention.bytes", "77", incremental_operation=AlterConfigOpType.SET)
    )
    admin.incremental_alter_configs([change])[change].result(20)
    resource = ConfigResource("topic", topic)
    told = admin.describe_configs([resource])[resource].result(20)
    assert (told["retention.ms"].value, told["retention.bytes"].value) == ("1000", "77")


def test_kcat_produces_lists_and_consumes(kafka: Any, kcat: str) -> None:
    topic = kafka.name()

    def run(*arguments: str, stdin: str = "") -> str:
        done = subprocess.run(
            [kcat, "-b", kafka.bootstrap, *arguments], input=stdin, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("-P", "-t", topic, "-K:", "-H", "h=1", stdin="a:1\nb:2\n")
    assert f'topic "{topic}" with 1 partitions' in run("-L", "-t", topic)
    consumed = run("-q", "-C", "-t", topic, "-o", "beginning", "-e", "-f", "%k=%s@%o %h\\n")
    assert consumed.splitlines() == ["a=1@0 h=1", "b=2@1 h=1"]
