"""Publish calls with any Kafka client: here confluent-kafka, as plain JSON, a call a record.

jitr reads an OpenAI request beside its response, or its own form; `id` makes a repetition count once. kcat
does the same from a shell (`kcat -P -b HOST:PORT -t llm.calls calls.jsonl` sends a line a record):

    python examples/publish_confluent.py 127.0.0.1:9092
"""

import json
import sys
import time

from confluent_kafka import Producer

call = {
    "id": "order-4711-summary",
    "time": time.time(),
    "request": {
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": "Is this review positive or negative? Review: superb"}],
    },
    "response": {"model": "gpt-4o-mini", "choices": [{"message": {"content": "Positive."}}]},
}
producer = Producer({"bootstrap.servers": sys.argv[1]})
producer.produce("llm.calls", json.dumps(call))
left = producer.flush(10)
print("Kafka did not take it" if left else f"published {call['id']}")
