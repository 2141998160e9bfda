"""What a lane promises: nothing is lost, nothing blocks, a crash anywhere repeats and does not double."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from aiokafka.errors import KafkaConnectionError, MessageSizeTooLargeError

from jitr.agents.handler import Delivery, Handler, Output, Place, StatefulHandler
from jitr.agents.lane import Lane, LaneSettings
from jitr.agents.metrics import Metrics
from jitr.agents.state import Outgoing, SnapshotStore
from jitr.agents.unpack import Source
from jitr.schemas.calls import Message
from jitr.schemas.deadletters import DeadLetter
from jitr.schemas.errors import UnavailableError
from jitr.schemas.events import Event, decode_events, encode_batch
from jitr.schemas.record import decode

TOPIC = "source"


class Kafka:
    """Keeps what is sent; may be told to be away, or to vanish with the process."""

    def __init__(self) -> None:
        self.sent: list[Outgoing] = []
        self.away = 0

    async def send(self, topic: str, key: bytes | None, value: bytes, headers: list[tuple[str, bytes]]):
        if self.away:
            self.away -= 1
            raise KafkaConnectionError("no broker")
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

    def handle(self, batch: Sequence[Delivery[Message]]) -> list[Output]:
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

    def handle(self, batch: Sequence[Delivery[Message]]) -> list[Output]:
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
    """A lane over a folder; a new one over the same folder is the next process."""

    def __init__(self, folder: Path, make: Callable[[], Handler[Message]], end: int | None = None) -> None:
        self.folder, self.make, self.end = folder, make, end
        self.kafka = Kafka()
        self.metrics = Metrics("w")
        self.asked: int | None = None
        self.acked: list[int] = []
        self.lane = self.new()

    def new(self, **changes: float) -> Lane[Message]:
        settings = {"idle_s": 0.05, "linger_s": 0.0, **changes}
        self.lane = Lane(
            Place(TOPIC, 0, lambda: self.end, self._ask),
            lambda place: self.make(),
            self.kafka.send,
            LaneSettings(agent="test", dead_letters="dlq", state_url=str(self.folder), **settings),
            self.metrics,
        )
        return self.lane

    async def _ask(self) -> int | None:
        return self.asked

    def put(self, offset: int, *contents: str, ids: Sequence[str] = ()) -> None:
        names = ids or [f"{offset}.{i}" for i in range(len(contents))]
        records = [
            (id, 1.0, Message(role="r", content=content)) for id, content in zip(names, contents, strict=True)
        ]
        value, headers = encode_batch(records, source="/test")
        self.raw(offset, value, tuple(headers))

    def raw(self, offset: int, value: bytes, headers: tuple[tuple[str, bytes], ...] = ()) -> None:
        ack = lambda: self.acked.append(offset)  # noqa: E731
        self.lane.put(Source(TOPIC, 0, offset, 1.0, b"k", value, headers, ack))

    async def run(self, until: Callable[[], bool]) -> None:
        task = asyncio.create_task(self.lane.run())
        try:
            async with asyncio.timeout(10):
                while not until():
                    if task.done():
                        task.result()
                    await asyncio.sleep(0.001)
                if not task.done():
                    self.lane.finish(ack=True)
                    await task
        finally:
            task.cancel()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


async def test_a_bad_event_in_a_packed_record_is_dead_lettered_alone(folder: Path) -> None:
    bench = Bench(folder, Echo)
    bench.put(0, "a", "b")
    bench.put(1, "c", "bad", "d")
    bench.put(2, "e")
    await bench.run(lambda: bench.acked == [0, 1, 2])
    assert sorted(bench.kafka.ids()) == ["0.0", "0.1", "1.0", "1.2", "2.0"]
    (letter,) = bench.kafka.letters
    assert (letter.offset, letter.stage, letter.reason) == (1, "test", "a bad one")
    replayed = decode_events(letter.value, letter.original_headers, fallback_id="", fallback_time=0.0)
    assert [e.id for e in replayed if isinstance(e, Event)] == ["1.1"]


async def test_a_value_that_is_no_event_keeps_its_bytes(folder: Path) -> None:
    bench = Bench(folder, Echo)
    bench.raw(0, b"\xff{", (("content-type", b"application/cloudevents-batch+json"),))
    bench.put(1, "a")
    await bench.run(lambda: bench.acked == [0, 1])
    (letter,) = bench.kafka.letters
    assert (letter.value, letter.key, letter.stage) == (b"\xff{", b"k", "envelope")
    assert letter.reason
    assert bench.kafka.ids() == ["1.0"]


async def test_a_handler_that_fails_once_loses_nothing(folder: Path) -> None:
    class FailsOnce(Echo):
        failed = False

        def handle(self, batch: Sequence[Delivery[Message]]) -> list[Output]:
            if not FailsOnce.failed:
                FailsOnce.failed = True
                raise RuntimeError("once")
            return super().handle(batch)

    bench = Bench(folder, FailsOnce)
    bench.put(0, "a", "b", "c")
    await bench.run(lambda: bench.acked == [0])
    assert sorted(bench.kafka.ids()) == ["0.0", "0.1", "0.2"]
    assert not bench.kafka.letters


async def test_a_server_that_is_away_is_waited_for_and_nothing_is_acknowledged(folder: Path) -> None:
    class Away(Echo):
        left = 2

        def handle(self, batch: Sequence[Delivery[Message]]) -> list[Output]:
            if Away.left:
                Away.left -= 1
                assert bench.acked == []
                raise UnavailableError("redis is away")
            return super().handle(batch)

    bench = Bench(folder, Away)
    bench.kafka.away = 1
    bench.put(0, "a")
    await bench.run(lambda: bench.acked == [0])
    assert bench.kafka.ids() == ["0.0"]
    assert not bench.kafka.letters


async def test_state_is_as_if_the_bad_event_had_never_come(folder: Path) -> None:
    bench = Bench(folder, Sum)
    bench.put(0, "1", "2")
    await bench.run(lambda: bench.acked == [0])
    bench.new(snapshot_s=60.0)
    bench.put(1, "3")
    bench.put(2, "4", "x", "5")
    bench.put(3, "6")
    await bench.run(lambda: bench.lane.queued == 0 and bench.lane.durable.position == 3)
    # what the last snapshot sent goes out again when the lane opens; then it goes on
    assert list(dict.fromkeys(bench.kafka.ids())) == ["0.0=1", "0.1=3", "1.0=6", "2.0=10", "2.2=15", "3.0=21"]
    (letter,) = bench.kafka.letters
    assert "invalid literal" in letter.reason
    assert bench.acked == [0, 1, 2, 3]


async def test_a_replay_of_what_the_snapshot_includes_changes_nothing(folder: Path) -> None:
    bench = Bench(folder, Sum)
    bench.put(0, "1")
    bench.put(1, "2")
    await bench.run(lambda: bench.acked == [0, 1])
    before = bench.kafka.ids()
    bench.acked.clear()
    bench.new()
    bench.put(0, "1")
    bench.put(1, "2")
    bench.put(2, "4")
    await bench.run(lambda: bench.acked == [0, 1, 2])
    assert list(dict.fromkeys(bench.kafka.ids())) == [*before, "2.0=7"]


async def test_the_same_id_twice_counts_once(folder: Path) -> None:
    bench = Bench(folder, Sum)
    bench.put(0, "1", ids=["a"])
    bench.put(1, "1", "2", ids=["a", "b"])
    await bench.run(lambda: bench.acked == [0, 1])
    bench.new()
    bench.put(2, "2", "4", ids=["b", "c"])
    await bench.run(lambda: bench.acked == [0, 1, 2])
    assert bench.kafka.ids()[-1] == "c=7"


async def test_a_crash_between_snapshot_and_sending_sends_the_same_again(folder: Path) -> None:
    bench = Bench(folder, Sum)
    bench.kafka.away = 1_000_000
    bench.put(0, "1")
    task = asyncio.create_task(bench.lane.run())
    store = SnapshotStore(f"{folder}/{TOPIC}/p00000")
    async with asyncio.timeout(10):
        while store.latest() is None:
            await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert bench.acked == []
    bench.kafka.away = 0
    bench.new()
    bench.put(0, "1")
    bench.put(1, "2")
    await bench.run(lambda: bench.acked == [0, 1])
    assert bench.kafka.ids() == ["0.0=1", "1.0=3"]


async def test_what_a_dead_worker_held_back_is_told_by_the_next_though_nothing_comes(folder: Path) -> None:
    bench = Bench(folder, Sum)
    bench.new(idle_s=60.0)
    bench.put(0, "5")
    await bench.run(lambda: bench.acked == [0])
    assert bench.kafka.ids("flushed") == []
    bench.new()
    await bench.run(lambda: bench.kafka.ids("flushed") == ["told=5"])


async def test_what_was_sent_before_a_silence_is_not_sent_again(folder: Path) -> None:
    bench = Bench(folder, Sum)
    bench.put(0, "5")
    await bench.run(lambda: bench.kafka.ids("flushed") != [] and not bench.lane.durable.unsettled)
    sent = len(bench.kafka.sent)
    bench.new()
    bench.put(1, "2")
    await bench.run(lambda: bench.acked == [0, 1])
    assert bench.kafka.ids() == ["0.0=5", "1.0=7"]
    assert len(bench.kafka.sent) == sent + 1


async def test_a_worker_that_was_held_up_sends_nothing_once_another_has_taken_over(folder: Path) -> None:
    late, other = Bench(folder, Sum), Bench(folder, Sum)
    late.put(0, "1")
    running = asyncio.create_task(late.lane.run())
    async with asyncio.timeout(10):
        while late.acked != [0]:
            await asyncio.sleep(0.001)
    other.put(1, "2")
    await other.run(lambda: other.acked == [1])
    late.put(1, "2")
    late.put(2, "8")
    await asyncio.wait_for(running, 10)
    assert (late.kafka.ids(), late.acked) == (["0.0=1"], [0])
    bench = Bench(folder, Sum)
    bench.put(2, "4")
    await bench.run(lambda: bench.acked == [2])
    assert bench.kafka.ids()[-1] == "2.0=7"


async def test_where_a_topic_ends_is_asked_after_the_snapshot_was_read(folder: Path) -> None:
    bench = Bench(folder, Sum, end=100)
    bench.put(90, "5")
    await bench.run(lambda: bench.acked == [90])
    # what is known of the end may be older than the snapshot: that alone says nothing
    bench.end, bench.asked = 90, 91
    bench.new()
    bench.put(91, "7")
    await bench.run(lambda: bench.acked == [90, 91])
    assert bench.kafka.ids()[-1] == "91.0=12"


async def test_silence_flushes_what_was_held_back(folder: Path) -> None:
    bench = Bench(folder, Sum)
    bench.put(0, "5")
    await bench.run(lambda: bench.kafka.ids("flushed") == ["told=5"])
    restored = Sum()
    latest = SnapshotStore(f"{folder}/{TOPIC}/p00000").latest()
    assert latest is not None
    restored.restore(latest.state)
    assert (restored.sum, restored.waiting) == (5, False)


async def test_a_topic_that_was_made_anew_drops_the_old_state(folder: Path) -> None:
    bench = Bench(folder, Sum, end=100)
    bench.put(90, "5")
    await bench.run(lambda: bench.acked == [90])
    bench.end = 1
    bench.new()
    bench.put(0, "7")
    await bench.run(lambda: bench.acked == [90, 0])
    assert bench.kafka.ids()[-1] == "0.0=7"


@pytest.mark.parametrize("make", [Echo, Sum])
async def test_an_event_that_kills_its_process_three_times_is_dead_lettered(
    folder: Path, make: type[Handler[Message]]
) -> None:
    deaths = 0

    class Deadly(make):  # type: ignore[misc, valid-type]
        def handle(self, batch: Sequence[Delivery[Message]]) -> list[Output]:
            if any(d.id == "deadly" for d in batch):
                raise SystemExit("killed")  # not an Exception: nothing in the lane survives it
            return super().handle(batch)

    bench = Bench(folder, Deadly)
    while not bench.acked:
        bench.new()
        bench.put(0, "1", "2", "3", ids=["a", "deadly", "b"])
        task = asyncio.get_running_loop().create_task(_survive(bench.lane))
        async with asyncio.timeout(10):
            while not task.done() and not bench.acked:
                await asyncio.sleep(0.001)
        deaths += task.done()
        task.cancel()
        assert deaths <= 3
    assert deaths == 3
    (letter,) = bench.kafka.letters
    assert "three times" in letter.reason
    assert {i.partition("=")[0] for i in bench.kafka.ids()} == {"a", "b"}


async def test_a_batch_that_was_cut_off_by_a_stop_is_no_suspect(folder: Path) -> None:
    started = asyncio.Event()

    class Slow(Echo):
        async def handle(self, batch: Sequence[Delivery[Message]]) -> list[Output]:  # type: ignore[override]
            started.set()
            await asyncio.sleep(60 if stops else 0)
            return super().handle(batch)

    bench = Bench(folder, Slow)
    stops = 5
    while stops:
        bench.new()
        bench.put(0, "a")
        task = asyncio.create_task(bench.lane.run())
        await started.wait()
        started.clear()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        stops -= 1
    bench.new()
    bench.put(0, "a")
    await bench.run(lambda: bench.acked == [0])
    assert bench.kafka.ids() == ["0.0"]
    assert not bench.kafka.letters


async def test_a_dead_letter_that_is_replayed_is_not_taken_for_a_copy(folder: Path) -> None:
    bench = Bench(folder, Sum)
    bench.put(0, "x", "1", ids=["a", "b"])
    bench.put(1, "2", ids=["a"])
    await bench.run(lambda: bench.acked == [0, 1])
    assert len(bench.kafka.letters) == 1
    bench.new()
    bench.put(2, "2", ids=["a"])
    await bench.run(lambda: bench.acked == [0, 1, 2])
    assert bench.kafka.ids()[-1] == "a=3"


async def test_a_record_that_kafka_finds_too_large_is_cut_and_holds_up_nothing(folder: Path) -> None:
    class Small(Kafka):
        async def send(self, topic: str, key: bytes | None, value: bytes, headers: list[tuple[str, bytes]]):
            if len(value) > 1_000_000:
                raise MessageSizeTooLargeError
            return await super().send(topic, key, value, headers)

    bench = Bench(folder, Echo)
    bench.kafka = Small()
    bench.new()
    bench.put(0, "a" * 2_000_000)
    bench.put(1, "b")
    await bench.run(lambda: bench.acked == [0, 1])
    (cut,) = [o for o in bench.kafka.sent if "jitr-cut-from-bytes" in dict(o.headers)]
    assert len(cut.value) == 400_000
    assert any(o is not cut and b'"1.0"' in o.value for o in bench.kafka.sent)


async def _survive(lane: Lane[Message]) -> None:
    try:
        await lane.run()
    except SystemExit:
        return
