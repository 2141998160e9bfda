"""What a processor promises: nothing is lost or blocked, a crash anywhere repeats and does not double."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from stage.partition_processors import TOPIC, Bench, Echo, Sum, survive

from jitr.agents.runtime.handler import Handler, IncomingEvent, Output
from jitr.agents.runtime.snapshot_store import SnapshotStore
from jitr.schemas.calls import Message
from jitr.schemas.errors import UnavailableError
from jitr.schemas.events import Event, decode_events


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

        def handle(self, batch: Sequence[IncomingEvent[Message]]) -> list[Output]:
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

        def handle(self, batch: Sequence[IncomingEvent[Message]]) -> list[Output]:
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
    await bench.run(lambda: bench.processor.queued == 0 and bench.processor.durable.position == 3)
    # what the last snapshot sent goes out again when the processor opens; then it goes on
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
    task = asyncio.create_task(bench.processor.run())
    store = SnapshotStore(f"{folder}/{TOPIC}/p00000")
    async with asyncio.timeout(60):
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
    await bench.run(lambda: bench.kafka.ids("flushed") != [] and not bench.processor.durable.unsettled)
    sent = len(bench.kafka.sent)
    bench.new()
    bench.put(1, "2")
    await bench.run(lambda: bench.acked == [0, 1])
    assert bench.kafka.ids() == ["0.0=5", "1.0=7"]
    assert len(bench.kafka.sent) == sent + 1


async def test_a_worker_that_was_held_up_sends_nothing_once_another_has_taken_over(folder: Path) -> None:
    late, other = Bench(folder, Sum), Bench(folder, Sum)
    late.put(0, "1")
    running = asyncio.create_task(late.processor.run())
    async with asyncio.timeout(60):
        while late.acked != [0]:
            await asyncio.sleep(0.001)
    other.put(1, "2")
    await other.run(lambda: other.acked == [1])
    late.put(1, "2")
    late.put(2, "8")
    await asyncio.wait_for(running, 60)
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
        def handle(self, batch: Sequence[IncomingEvent[Message]]) -> list[Output]:
            if any(d.id == "deadly" for d in batch):
                raise SystemExit("killed")  # not an Exception: nothing in the processor survives it
            return super().handle(batch)

    bench = Bench(folder, Deadly)
    while not bench.acked:
        bench.new()
        bench.put(0, "1", "2", "3", ids=["a", "deadly", "b"])
        task = asyncio.get_running_loop().create_task(survive(bench.processor))
        async with asyncio.timeout(60):
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
        async def handle(self, batch: Sequence[IncomingEvent[Message]]) -> list[Output]:  # type: ignore[override]
            started.set()
            await asyncio.sleep(60 if stops else 0)
            return super().handle(batch)

    bench = Bench(folder, Slow)
    stops = 5
    while stops:
        bench.new()
        bench.put(0, "a")
        task = asyncio.create_task(bench.processor.run())
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
