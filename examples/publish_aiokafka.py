"""Publish several calls in one Kafka record with aiokafka, as a batch of CloudEvents.

`jitr.Publisher` does this for you, with redaction, and with a spool on disk while Kafka is away. By hand:

    python examples/publish_aiokafka.py 127.0.0.1:9092
"""

import asyncio
import json
import sys
import time
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaProducer

BATCH = [("content-type", b"application/cloudevents-batch+json")]


def event(number: int, text: str, answer: str) -> dict[str, Any]:
    asked = f"Is this review positive or negative? Review: {text}"
    return {
        "specversion": "1.0",
        "id": f"reviews-{time.time_ns()}-{number}",
        "type": "dev.jitr.llm.call.v1",
        "source": "/reviews",
        "time": datetime.now(UTC).isoformat(),
        "data": {
            "model": "gpt-4o-mini",
            "messages": [{"role": "user", "content": asked}],
            "response": {"text": answer},
        },
    }


async def main(bootstrap: str) -> None:
    events = [event(0, "superb", "Positive."), event(1, "dull", "Negative.")]
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        await producer.send_and_wait("llm.calls", json.dumps(events).encode(), headers=BATCH)
    print(f"published {len(events)} calls in one record")


asyncio.run(main(sys.argv[1]))
