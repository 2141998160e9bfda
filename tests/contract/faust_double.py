"""A Faust worker for test_kafka_faust: reads numbers, writes each with its worker's name."""

import os

import faust

name = os.environ["WORKER"]
topic = os.environ["TOPIC"]
app = faust.App(
    os.environ["GROUP"],
    broker=f"kafka://{os.environ['BOOTSTRAP']}",
    datadir=os.environ["DATADIR"],
    topic_disable_leader=True,
    broker_session_timeout=3.0,
    broker_heartbeat_interval=0.3,
    broker_commit_interval=0.2,
    consumer_auto_offset_reset="earliest",
    producer_linger=0.0,
)
numbers = app.topic(topic, value_serializer="raw")
seen = app.topic(f"{topic}-seen", value_serializer="raw")


@app.agent(numbers)
async def double(stream):  # type: ignore[no-untyped-def]
    async for event in stream.noack().events():
        await (await seen.send(value=event.value, key=name.encode()))
        event.ack()


if __name__ == "__main__":
    app.main()
