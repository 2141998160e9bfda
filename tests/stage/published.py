"""What reached `llm.calls`."""

import asyncio
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer

from jitr.schemas.calls import Call
from jitr.schemas.dialects import read_call
from jitr.schemas.events import Event, decode_events
from jitr.schemas.sections import GatewaySettings, StateSettings
from jitr.schemas.settings import KafkaSettings, Settings


def settings_for(bootstrap: str, folder: Path, **gateway: Any) -> Settings:
    """Settings for a stream with its state in a folder."""
    return Settings(
        kafka=KafkaSettings(bootstrap=bootstrap),
        state=StateSettings(root=str(folder / "state")),
        gateway=GatewaySettings(publish_linger_ms=5, **gateway),
    )


async def published(bootstrap: str, count: int, topic: str = "llm.calls") -> list[Call]:
    """The calls on the topic, the first of each id, as soon as there are so many; each must be readable."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    found: dict[str, Call] = {}
    try:
        async with asyncio.timeout(60):
            while len(found) < count:
                record = await consumer.getone()
                for event in decode_events(record.value, record.headers, fallback_id="", fallback_time=0.0):
                    assert isinstance(event, Event), event
                    call = read_call(event)
                    found.setdefault(call.id, call)
    finally:
        await consumer.stop()
    return list(found.values())
