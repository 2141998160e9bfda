"""A partition processor in the hands of a test: over a folder, with a Kafka that keeps what it is sent."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from aiokafka.errors import KafkaConnectionError, MessageSizeTooLargeError

from jitr.agents.runtime.decode import KafkaRecord
from jitr.agents.runtime.handler import Handler, IncomingEvent, Output, SourcePartition, StatefulHandler
from jitr.agents.runtime.metrics import Metrics
from jitr.agents.runtime.partition import PartitionProcessor, ProcessorSettings
from jitr.agents.runtime.snapshot_store import Outgoing
from jitr.schemas.calls import Message
from jitr.schemas.deadletters import DeadLetter
from jitr.schemas.events import Event, decode_events, encode_batch
from jitr.schemas.record import decode

TOPIC = "source"


class Kafka:
    """Keeps what is sent; may be told to be away, or to vanish with the process."""

    def __init__(self, most_bytes: int = 10**9) -> None:
        self.sent: list[Outgoing] = []
        self.away = 0
        self.most_bytes = most_bytes

    async def send(self, topic: str, key: bytes | None, value: bytes, headers: list[tuple[str, bytes]]):
        if self.away:
            self.away -= 1
            raise KafkaConnectionError("no broker")
        if len(key or b"") + len(value) + sum(len(k) + len(v) for k, v in headers) > self.most_bytes:
            raise MessageSizeTooLargeError
        self.sent.append(Outgoing(topic, key, value, headers))
        done = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    def ids(self, topic: str = "out") -> list[str]:
        events = [
            decode_events(o.value, o.headers, fallback_id="", fallback_time=0.0)
            for o in self.sent
            if o.topic == topic
        ]
        return [e.id for batch in events for e in batch if isinstance(e, Event)]

    @property
    def letters(self) -> list[DeadLetter]:
        return [DeadLetter.read(o.value, o.key, o.headers) for o in self.sent if o.topic == "dlq"]


class Echo(Handler[Message]):
    def read(self, event: Event) -> Message:
        return decode(event.data, Message)

    def handle(self, batch: Sequence[IncomingEvent[Message]]) -> list[Output]:
        if any(d.value.content == "bad" for d in batch):
            raise ValueError("a bad one")
        return [Output("out", d.value.role, d.id, d.time, d.value) for d in batch]


class Sum(StatefulHandler[Message]):
    """Adds up numbers, one by one, and tells each sum: half a batch leaves half a sum behind."""

    def __init__(self) -> None:
        super().__init__()
        self.sum = 0
        self.told = 0

    def read(self, event: Event) -> Message:
        return decode(event.data, Message)

    def handle(self, batch: Sequence[IncomingEvent[Message]]) -> list[Output]:
        outputs = []
        for d in batch:
            self.sum += int(d.value.content)
            record = Message(role="sum", content=str(self.sum))
            outputs.append(Output("out", "k", f"{d.id}={self.sum}", d.time, record))
        return outputs

    def snapshot(self) -> bytes:
        return f"{self.sum} {self.told}".encode()

    def restore(self, state: bytes) -> None:
        self.sum, self.told = map(int, state.split())

    @property
    def waiting(self) -> bool:
        return self.told != self.sum

    def flush(self) -> list[Output]:
        self.told = self.sum
        return [Output("flushed", "k", f"told={self.sum}", 0.0, Message(role="sum", content=str(self.sum)))]


class Bench:
    """A partition processor over a folder; a new one over the same folder is the next process."""

    def __init__(self, folder: Path, make: Callable[[], Handler[Message]], end: int | None = None) -> None:
        self.folder, self.make, self.end = folder, make, end
        self.kafka = Kafka()
        self.metrics = Metrics("w")
        self.asked: int | None = None
        self.acked: list[int] = []
        self.processor = self.new()

    def new(self, **changes: float) -> PartitionProcessor[Message]:
        settings = {"idle_s": 0.05, "linger_s": 0.0, **changes}
        self.processor = PartitionProcessor(
            SourcePartition(TOPIC, 0, lambda: self.end, self._ask),
            lambda place: self.make(),
            self.kafka.send,
            ProcessorSettings(agent="test", dead_letters="dlq", state_url=str(self.folder), **settings),
            self.metrics,
        )
        return self.processor

    async def _ask(self) -> int | None:
        return self.asked

    def put(self, offset: int, *contents: str, ids: Sequence[str] = ()) -> None:
        names = ids or [f"{offset}.{i}" for i in range(len(contents))]
        records = [
            (id, 1.0, Message(role="r", content=content)) for id, content in zip(names, contents, strict=True)
        ]
        value, headers = encode_batch(records, source="/test")
        self.raw(offset, value, tuple(headers))

    def raw(self, offset: int, value: bytes | None, headers: tuple[tuple[str, bytes], ...] = ()) -> None:
        ack = lambda: self.acked.append(offset)  # noqa: E731
        self.processor.put(KafkaRecord(TOPIC, 0, offset, 1.0, b"k", value, headers, ack))

    async def run(self, until: Callable[[], bool]) -> None:
        task = asyncio.create_task(self.processor.run())
        try:
            async with asyncio.timeout(60):
                while not until():
                    if task.done():
                        task.result()
                    await asyncio.sleep(0.001)
                if not task.done():
                    self.processor.finish(ack=True)
                    await task
        finally:
            task.cancel()


async def survive(processor: PartitionProcessor[Message]) -> None:
    """Run a partition processor whose handler ends the process: the test goes on as the next one."""
    try:
        await processor.run()
    except SystemExit:
        return
