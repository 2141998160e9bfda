"""Calls reach Kafka in packs; without Kafka they wait on disk, in order, and nobody waits for them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer

from jitr.router.publisher import Publisher
from jitr.router.publishing import events as rooms
from jitr.router.publishing import link
from jitr.router.publishing.events import EventStream
from jitr.sandbox.broker import Broker
from jitr.schemas.calls import Call, Message
from jitr.schemas.dialects import read_call
from jitr.schemas.events import Event, decode_events
from jitr.schemas.sections import GatewaySettings, StateSettings
from jitr.schemas.settings import KafkaSettings, Settings

Until = Callable[[Callable[[], Any]], Awaitable[None]]


def call(n: int, text: str = "hello") -> Call:
    return Call(id=f"c{n:05d}", model="m", messages=(Message(role="user", content=text),), time=1.0)


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    broker = Broker(tmp_path / "broker")
    await broker.start()
    yield broker
    await broker.stop()


def settings_for(bootstrap: str, tmp_path: Path, **gateway: Any) -> Settings:
    return Settings(
        kafka=KafkaSettings(bootstrap=bootstrap),
        state=StateSettings(root=str(tmp_path / "state")),
        gateway=GatewaySettings(publish_linger_ms=5, **gateway),
    )


async def records(bootstrap: str, count: int) -> list[list[Call]]:
    """The calls on the topic, record by record, as soon as there are so many."""
    consumer = AIOKafkaConsumer("llm.calls", bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    found: list[list[Call]] = []
    try:
        async with asyncio.timeout(60):
            while sum(map(len, found)) < count:
                record = await consumer.getone()
                read = decode_events(record.value, record.headers, fallback_id="-", fallback_time=0.0)
                assert all(isinstance(event, Event) for event in read)
                found.append([read_call(event) for event in read])  # type: ignore[arg-type]
    finally:
        await consumer.stop()
    return found


async def test_calls_are_packed_and_arrive_in_order(broker: Broker, tmp_path: Path, until: Until) -> None:
    stream = EventStream(settings_for(broker.bootstrap, tmp_path))
    await stream.start()
    await until(lambda: stream.connected)
    for n in range(250):
        assert stream.publish(call(n))
    found = await records(broker.bootstrap, 250)
    await stream.stop()
    assert [c.id for pack in found for c in pack] == [f"c{n:05d}" for n in range(250)]
    assert len(found) <= 5
    assert stream.published == 250 and not stream.dropped


async def test_what_is_private_does_not_reach_kafka(broker: Broker, tmp_path: Path) -> None:
    stream = EventStream(settings_for(broker.bootstrap, tmp_path))
    await stream.start()
    stream.publish(call(0, "write to ann@example.org"))
    await stream.stop()
    [[found]] = await records(broker.bootstrap, 1)
    assert found.messages[0].content == "write to [email]"


async def test_stopping_sends_what_waits(broker: Broker, tmp_path: Path, until: Until) -> None:
    stream = EventStream(settings_for(broker.bootstrap, tmp_path))
    await stream.start()
    await until(lambda: stream.connected)
    for n in range(30):
        stream.publish(call(n))
    await stream.stop()
    assert stream.published == 30 and stream.queued == 0


async def test_without_kafka_calls_wait_on_disk_over_a_restart_and_come_in_order(
    tmp_path: Path, until: Until
) -> None:
    first = Broker(tmp_path / "broker")
    await first.start()
    port = first.port
    await first.stop()
    settings = settings_for(f"127.0.0.1:{port}", tmp_path)

    away = EventStream(settings)
    await away.start()
    for n in range(300):
        assert away.publish(call(n))
    await until(lambda: away.spool_bytes and not away.queued)
    await away.stop()
    assert away.published == 0 and not away.dropped

    again = EventStream(settings)
    await again.start()
    assert again.spool_bytes > 0
    for n in range(300, 320):
        again.publish(call(n))
    back = Broker(tmp_path / "broker", port=port)
    await back.start()
    try:
        found = await records(f"127.0.0.1:{port}", 320)
        await until(lambda: again.spool_bytes == 0)
        assert [c.id for pack in found for c in pack] == [f"c{n:05d}" for n in range(320)]
        again.publish(call(999))
        await until(lambda: again.published == 321)
    finally:
        await again.stop()
        await back.stop()


async def test_kafka_may_go_away_in_between_and_no_call_is_lost(
    tmp_path: Path, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "SEND_TIMEOUT_S", 1.0)
    broker = Broker(tmp_path / "broker")
    await broker.start()
    port = broker.port
    stream = EventStream(settings_for(broker.bootstrap, tmp_path))
    await stream.start()
    await until(lambda: stream.connected)
    stream.publish(call(0))
    await until(lambda: stream.published == 1)
    await broker.stop()
    for n in range(1, 50):
        stream.publish(call(n))
    await until(lambda: stream.spool_bytes)
    broker = Broker(tmp_path / "broker", port=port)
    await broker.start()
    try:
        await until(lambda: stream.published >= 50)
        found = await records(f"127.0.0.1:{port}", 50)
        assert {c.id for pack in found for c in pack} == {f"c{n:05d}" for n in range(50)}
    finally:
        await stream.stop()
        await broker.stop()


async def test_beyond_its_bounds_calls_are_dropped_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "MOST_CALLS", 100)
    stream = EventStream(settings_for("127.0.0.1:9", tmp_path, spool_mb=0))
    await stream.start()
    assert stream.keeping
    taken = [stream.publish(call(n)) for n in range(130)]  # no await: nothing is sent meanwhile
    assert taken == [True] * 100 + [False] * 30
    await stream.stop()
    assert stream.dropped == {"queue_full": 30, "spool_full": 100}
    assert stream.taken == 130 and not stream.waiting and not stream.keeping


async def test_a_call_too_large_for_a_record_is_dropped_and_the_rest_is_not(
    broker: Broker, tmp_path: Path, until: Until
) -> None:
    stream = EventStream(settings_for(broker.bootstrap, tmp_path))
    await stream.start()
    await until(lambda: stream.connected)
    for n in range(3):
        stream.publish(call(n, "x" * (2_000_000 if n == 1 else 10)))
    await until(lambda: stream.published == 2)
    await stream.stop()
    assert stream.dropped == {"too_large": 1}


async def test_the_publisher_needs_no_event_loop_and_does_not_wait(broker: Broker, tmp_path: Path) -> None:
    settings = settings_for(broker.bootstrap, tmp_path)
    request = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "metadata": {"a": "b"}}
    response = {"model": "m-1", "choices": [{"message": {"content": "yo"}}], "usage": {"prompt_tokens": 3}}

    def program() -> list[str]:
        with Publisher(settings, source="/shop") as publisher:
            ids = [publisher.publish(request=request, response=response, task="greet") for _ in range(3)]
            ids.append(publisher.publish(call(7)))
        assert publisher.published == 4 and not publisher.dropped and publisher.taken == 4
        return ids

    ids = await asyncio.to_thread(program)
    [found] = await records(broker.bootstrap, 4)
    assert [c.id for c in found] == ids
    assert found[0].task == "greet" and found[0].response is not None and found[0].response.text == "yo"
    assert found[0].usage.input_tokens == 3 and found[0].metadata == {"a": "b"}
    assert len(set(ids)) == 4


async def test_a_gateways_calls_reach_kafka_as_read_by_the_agents(
    broker: Broker, settings: Settings, table: Any, teacher: Any, until: Until
) -> None:
    import aiohttp

    from jitr.router.gateway.server import Gateway

    gateway = Gateway(
        msgspec.structs.replace(
            settings,
            kafka=KafkaSettings(bootstrap=broker.bootstrap),
            gateway=msgspec.structs.replace(settings.gateway, upstream=teacher.url),
        )
    )
    await gateway.start()
    request = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{gateway.base_url}/chat/completions", data=json.dumps(request)) as answer,
    ):
        decision = answer.headers["x-jitr-decision-id"]
    await gateway.stop()
    [[found]] = await records(broker.bootstrap, 1)
    assert found.id == decision and found.decision is not None and found.decision.id == decision
    assert found.response is not None and found.response.text == "Positive."
