"""What cannot be kept or sent is found at the checkpoint, and is a dead letter; it ends no processor."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from stage.partition_processors import TOPIC, Bench, Echo, Kafka, Sum, survive

from jitr.agents.runtime.handler import IncomingEvent, Output
from jitr.agents.runtime.snapshot_store import SnapshotStore, StateSnapshot
from jitr.schemas.calls import Message
from jitr.schemas.errors import UnavailableError
from jitr.schemas.events import Event, decode_events


class Keeper(Sum):
    """Keeps its sum as msgpack, which ends at 64 bits."""

    def snapshot(self) -> bytes:
        return msgspec.msgpack.encode((self.sum, self.told))

    def restore(self, state: bytes) -> None:
        self.sum, self.told = msgspec.msgpack.decode(state, type=tuple[int, int])


class Spoiler(Echo):
    """Makes of one event what is no Unicode."""

    def handle(self, batch: Sequence[IncomingEvent[Message]]) -> list[Output]:
        return [
            Output(
                "out", "k", d.id, d.time, Message(role="r", content=d.value.content.replace("half", "\ud83d"))
            )
            for d in batch
        ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


async def test_an_event_that_makes_the_state_too_large_to_encode_is_dead_lettered_alone(folder: Path) -> None:
    bench = Bench(folder, Keeper)
    bench.put(0, "1", "2")
    await bench.run(lambda: bench.acked == [0])
    bench.new(snapshot_s=60.0)
    bench.put(1, "3", "4")
    bench.put(2, "5", str(2**70), "6", str(2**80))
    bench.put(3, "7")
    await bench.run(lambda: bench.processor.queued == 0 and bench.processor.durable.position == 3)
    assert bench.acked == [0, 1, 2, 3]
    assert [letter.stage for letter in bench.kafka.letters] == ["test", "test"]
    assert all("serialize" in letter.reason and letter.offset == 2 for letter in bench.kafka.letters)
    bench.new()
    bench.put(4, "100")
    await bench.run(lambda: bench.acked[-1] == 4)
    assert bench.kafka.ids()[-1] == f"4.0={1 + 2 + 3 + 4 + 5 + 6 + 7 + 100}"


async def test_an_event_that_makes_an_output_that_is_no_unicode_is_dead_lettered_alone(folder: Path) -> None:
    bench = Bench(folder, Spoiler)
    bench.put(0, "a", "half", "b")
    bench.put(1, "c", "d", "half")
    await bench.run(lambda: bench.acked == [0, 1])
    assert sorted(bench.kafka.ids()) == ["0.0", "0.2", "1.0", "1.1"]
    replayed = [
        decode_events(x.value, x.original_headers, fallback_id="", fallback_time=0.0)
        for x in bench.kafka.letters
    ]
    assert [e.id for events in replayed for e in events if isinstance(e, Event)] == ["0.1", "1.2"]
    assert all("surrogates not allowed" in letter.reason for letter in bench.kafka.letters)


async def test_a_whole_batch_of_such_events_ends_nothing(folder: Path) -> None:
    bench = Bench(folder, Keeper)
    bench.put(0, *[str(2**70)] * 20)
    bench.put(1, "1")
    await bench.run(lambda: bench.acked == [0, 1])
    assert len(bench.kafka.letters) == 20
    assert bench.kafka.ids() == ["1.0=1"]


@pytest.mark.parametrize("most", [10, 1000])
async def test_a_server_that_goes_while_a_poison_message_is_looked_for_loses_nothing(
    folder: Path, most: int
) -> None:
    class Shaky(Keeper):
        left = 5

        def handle(self, batch: Sequence[IncomingEvent[Message]]) -> list[Output]:
            outputs = super().handle(batch)
            if Shaky.left and self.sum > most:
                # after half of the work: what was done must not be done twice
                Shaky.left -= 1
                raise UnavailableError("away")
            return outputs

    bench = Bench(folder, Shaky)
    bench.new(snapshot_s=60.0)
    bench.put(0, "1", "2", "8")
    bench.put(1, "x", str(2**70), "4")
    await bench.run(lambda: bench.processor.queued == 0 and bench.processor.durable.position == 1)
    assert bench.acked == [0, 1]
    assert len(bench.kafka.letters) == 2
    assert bench.kafka.ids() == ["0.0=1", "0.1=3", "0.2=11", "1.2=15"]


async def test_what_is_held_back_and_cannot_be_told_ends_nothing(folder: Path) -> None:
    class Holds(Sum):
        def flush(self) -> list[Output]:
            self.told = self.sum
            return [Output("flushed", "k", "f", 0.0, Message(role="sum", content="\ud83d"))]

    class Raises(Sum):
        def flush(self) -> list[Output]:
            raise ValueError("no")

    for make in (Holds, Raises):
        bench = Bench(folder / make.__name__, make)
        bench.put(0, "5")

        await bench.run(lambda bench=bench: 'result="lost"' in bench.metrics.page().decode())
        bench.new()
        bench.put(1, "2")
        await bench.run(lambda bench=bench: bench.acked[-1] == 1)
        assert bench.kafka.ids()[-1] == "1.0=7"


async def test_a_snapshot_that_cannot_be_taken_up_is_passed_over_for_the_one_before(folder: Path) -> None:
    bench = Bench(folder, Sum)
    bench.put(0, "5")
    await bench.run(lambda: bench.acked == [0])
    store = SnapshotStore(f"{folder}/{TOPIC}/p00000")
    store.claim()
    store.write(StateSnapshot(7, 99, b"", b"no sum", []))
    bench.new()
    bench.put(8, "2")
    await bench.run(lambda: bench.acked == [0, 8])
    assert bench.kafka.ids()[-1] == "8.0=7"
    assert 'jitr_events_total{agent="test",result="snapshot_lost"} 1.0' in bench.metrics.page().decode()


@pytest.mark.parametrize("junk", [b"", b"\xff" * 40, b"\xdb\xff\xff\xff\xff", b"\x00"])
async def test_files_of_state_that_are_junk_end_nothing(folder: Path, junk: bytes) -> None:
    bench = Bench(folder, Sum)
    bench.put(0, "5")
    await bench.run(lambda: bench.acked == [0])
    for file in folder.rglob("*"):
        if file.is_file():
            file.write_bytes(junk)
    marker = folder / "crash-markers" / TOPIC / "p00000.json"
    marker.write_bytes(junk)
    bench.new()
    bench.put(1, "2")
    await bench.run(lambda: bench.acked == [0, 1])
    assert bench.kafka.ids()[-1] == "1.0=2"


@pytest.mark.parametrize("most", [1_000_000, 300_000, 8_000])
async def test_a_record_that_kafka_finds_too_large_is_a_dead_letter_and_holds_up_nothing(
    folder: Path, most: int
) -> None:
    bench = Bench(folder, Echo)
    bench.kafka = Kafka(most)
    bench.new()
    bench.put(0, "a" * 2_000_000)
    bench.put(1, "b")
    await bench.run(lambda: bench.acked == [0, 1])
    assert bench.kafka.ids() == ["1.0"]
    (letter,) = bench.kafka.letters
    assert "larger than out takes (max.message.bytes)" in letter.reason
    assert len(letter.value) in (400_000, 10_000, 0)
    assert 'result="too_large"} 1.0' in bench.metrics.page().decode()


async def test_a_letter_whose_headers_are_too_large_goes_without_them(folder: Path) -> None:
    bench = Bench(folder, Echo)
    bench.kafka = Kafka(5_000)
    bench.new()
    bench.raw(0, b"no event", (("x" * 6_000, b"y" * 6_000),))
    bench.put(1, "b")
    await bench.run(lambda: bench.acked == [0, 1])
    (letter,) = bench.kafka.letters
    assert (letter.value, letter.offset, letter.topic) == (b"no event", 0, TOPIC)
    assert "malformed" in letter.reason


async def test_a_letter_whose_headers_or_reason_are_no_unicode_is_sent(folder: Path) -> None:
    class Refuses(Sum):
        def read(self, event: Event) -> Message:
            raise ValueError("no \ud83d")

    bench = Bench(folder, Refuses)
    bench.raw(0, b"no event", (("\ud800", b"\xff"),))
    await bench.run(lambda: bench.acked == [0])
    (letter,) = bench.kafka.letters
    assert letter.reason == "no \\ud83d"
    assert letter.original_headers == (("\\ud800", b"\xff"),)


async def test_not_even_a_letter_that_fits_nowhere_holds_anything_up(folder: Path) -> None:
    bench = Bench(folder, Echo)
    bench.kafka = Kafka(100)
    bench.new()
    bench.raw(0, b"no event" * 1000)
    bench.raw(1, b"no event" * 1000)
    await bench.run(lambda: bench.acked == [0, 1])
    assert bench.kafka.sent == []


async def test_a_tombstone_is_nothing(folder: Path) -> None:
    bench = Bench(folder, Sum)
    bench.raw(0, None)
    bench.put(1, "1")
    await bench.run(lambda: bench.acked == [0, 1])
    assert not bench.kafka.letters
    assert bench.kafka.ids() == ["1.0=1"]


async def test_an_event_that_kills_while_it_is_encoded_is_dead_lettered(folder: Path) -> None:
    class Deadly(Keeper):
        def snapshot(self) -> bytes:
            if self.sum >= 1000:
                raise SystemExit("killed")
            return super().snapshot()

    bench = Bench(folder, Deadly)
    deaths = 0
    while not bench.acked:
        bench.new(snapshot_s=60.0)
        bench.put(0, "1", "1000", ids=["a", "deadly"])
        bench.put(1, "3", ids=["c"])
        task = asyncio.create_task(survive(bench.processor))
        async with asyncio.timeout(60):
            while not task.done() and not bench.acked:
                await asyncio.sleep(0.001)
        deaths += task.done()
        task.cancel()
        assert deaths <= 3
    assert deaths == 3
    (letter,) = bench.kafka.letters
    assert "killed its process" in letter.reason
    assert b'"deadly"' in letter.value
    assert {i.partition("=")[0] for i in bench.kafka.ids()} == {"a", "c"}
