"""What goes wrong with one call, with Kafka or with the disk costs that call at most, and is counted."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from stage.published import published, settings_for

from jitr.models.redaction.redaction import Redaction
from jitr.router.publisher import Publisher
from jitr.router.publishing import events as rooms
from jitr.router.publishing import link
from jitr.router.publishing.drops import Drop
from jitr.router.publishing.events import PUMP, EventStream
from jitr.sandbox.broker import Broker, BrokerLimits
from jitr.sandbox.broker.log import PartitionLog
from jitr.sandbox.broker.wire.codes import Code, RefusalError
from jitr.sandbox.processes import Child, Processes
from jitr.schemas.calls import Call, Message
from jitr.schemas.events import encode_batch

Until = Callable[[Callable[[], Any]], Awaitable[None]]
TOPIC_AUTHORIZATION_FAILED = 29
INVALID_RECORD = 87


def call(n: int, text: str = "hello", **fields: Any) -> Call:
    known = {"id": f"c{n:05d}", "model": "m", "messages": (Message(role="user", content=text),), "time": 1.0}
    return Call(**{**known, **fields})


def refusal(code: int) -> RefusalError:
    """An answer that the development broker has no reason of its own to give."""
    error = RefusalError(Code.UNKNOWN_SERVER_ERROR, "no")
    error.code = code  # type: ignore[assignment]
    return error


def ids(numbers: Any) -> list[str]:
    return [f"c{n:05d}" for n in numbers]


def settled(stream: EventStream) -> bool:
    return stream.taken == stream.published + stream.dropped.total() + stream.waiting


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "SEND_TIMEOUT_S", 1.0)
    for module in (link, rooms):
        monkeypatch.setattr(module, "RETRY_S", 0.05)


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    broker = Broker(tmp_path / "broker")
    await broker.start()
    yield broker
    await broker.stop()


@pytest.fixture
async def streams() -> AsyncIterator[Callable[..., Awaitable[EventStream]]]:
    begun: list[EventStream] = []

    async def begin(bootstrap: str, folder: Path, **gateway: Any) -> EventStream:
        stream = EventStream(settings_for(bootstrap, folder, **gateway))
        begun.append(stream)
        await stream.start()
        return stream

    yield begin
    for stream in begun:
        await stream.stop()
        assert settled(stream) and stream.queued == 0


@pytest.fixture
def broker_process(tmp_path: Path) -> Iterator[Callable[[int], tuple[Child, int]]]:
    processes = Processes(tmp_path / "logs")

    def start(port: int = 0) -> tuple[Child, int]:
        command = [sys.executable, "-m", "jitr.sandbox.broker", "--port", str(port)]
        child = processes.start("broker", [*command, "--data", str(tmp_path / "broker")])
        processes.wait_until(child, lambda: bool(re.search(r":(\d+)$", child.said(), re.M)))
        found = re.search(r":(\d+)$", child.said(), re.M)
        assert found
        return child, int(found[1])

    yield start
    for child in processes.children:
        if child.process.poll() is None:
            child.process.send_signal(signal.SIGCONT)
    processes.stop()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("file systems cannot be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


BAD = [
    {"text": "caf\ud800"},
    {"task": "\udcff"},
    {"time": 1e300},
    {"time": float("nan")},
    {"metadata": {"\udc00": "\udc01"}},
]
LOST = [{"id": ""}, {"id": 7}, {"logprobs": "many"}, {"messages": ("hi",)}, {"model": None}]


async def test_a_bad_call_is_mended_or_dropped_alone_and_the_loop_lives(
    broker: Broker, streams: Any, tmp_path: Path, until: Until
) -> None:
    stream = await streams(broker.bootstrap, tmp_path)
    for n, fields in enumerate([*BAD, *LOST, {}, {}]):
        stream.publish(call(n, **fields))
    assert not stream.publish(None)  # type: ignore[arg-type]
    await until(lambda: stream.published == len(BAD) + 2)
    found = await published(broker.bootstrap, len(BAD) + 2)
    assert [c.id for c in found] == ids([*range(len(BAD)), len(BAD) + len(LOST), len(BAD) + len(LOST) + 1])
    assert found[0].messages[0].content == "caf\ufffd" and found[1].task == "\ufffd"
    assert stream.dropped == {Drop.UNENCODABLE: len(LOST) + 1} and settled(stream)
    assert stream.loops.states[PUMP].restarts == 0
    assert stream.keeping  # a caller's own bad calls do not take the surrogates away


async def test_a_fault_of_ours_is_not_counted_as_the_callers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: Redaction, call: Call) -> Call:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Redaction, "call", fails)
    stream = EventStream(settings_for("127.0.0.1:9", tmp_path))
    for one in (call(0), call(1, messages=("hi",))):
        stream.publish(one)
    await stream._pack()
    assert stream.dropped == {Drop.FAILED: 1, Drop.UNENCODABLE: 1}


async def test_a_loop_that_dies_goes_on_with_what_it_held(
    broker: Broker, streams: Any, tmp_path: Path, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = await streams(broker.bootstrap, tmp_path)
    await until(lambda: stream.connected)
    whole, deaths = link.KafkaLink.send, iter(range(3))

    async def send(self: link.KafkaLink, record: bytes) -> link.Sent:
        if next(deaths, None) is not None:
            raise RuntimeError("a bug")
        return await whole(self, record)

    monkeypatch.setattr(link.KafkaLink, "send", send)
    for n in range(250):
        stream.publish(call(n))
    await until(lambda: stream.loops.states[PUMP].restarts)
    assert not stream.keeping
    await until(lambda: stream.published == 250)
    assert [c.id for c in await published(broker.bootstrap, 250)] == ids(range(250))
    assert stream.loops.states[PUMP].restarts == 3 and stream.loops.alive(PUMP)
    assert not stream.dropped and settled(stream)


@pytest.mark.parametrize("spooled", [False, True])
async def test_a_batch_refused_for_one_call_is_split_until_that_call_is_alone(
    spooled: bool, broker: Broker, streams: Any, tmp_path: Path, until: Until
) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    config = {"max.message.bytes": "30000"}
    await admin.create_topics([NewTopic("llm.calls", 1, 1, topic_configs=config)])
    await admin.close()
    if spooled:
        await broker.stop()
    stream = await streams(broker.bootstrap, tmp_path)
    if not spooled:
        await until(lambda: stream.connected)
    for n in range(40):
        stream.publish(call(n, "word " * (10_000 if n in (7, 8, 39) else 10)))
    if spooled:
        await until(lambda: stream.spool_bytes and not stream.queued)
        await broker.start()
    await until(lambda: stream.published == 37)
    await until(lambda: stream.dropped == {Drop.TOO_LARGE: 3})
    found = [c.id for c in await published(broker.bootstrap, 37)]
    assert found == ids(n for n in range(40) if n not in (7, 8, 39))
    assert settled(stream) and stream.keeping and not stream.waiting


async def test_a_record_that_kafka_refuses_for_what_it_is_is_counted(
    broker: Broker, streams: Any, tmp_path: Path, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = PartitionLog.append

    # aiokafka does not know this code, and raises what it raises for a broker that is in trouble
    def picky(self: PartitionLog, data: bytes) -> int:
        if b"c00003" in data:
            raise refusal(INVALID_RECORD)
        return append(self, data)

    monkeypatch.setattr(PartitionLog, "append", picky)
    stream = await streams(broker.bootstrap, tmp_path)
    for n in range(10):
        stream.publish(call(n))
    await until(lambda: stream.published == 9 and stream.dropped == {Drop.REFUSED: 1})
    assert [c.id for c in await published(broker.bootstrap, 9)] == ids(n for n in range(10) if n != 3)


async def test_without_rights_calls_wait_and_go_when_they_are_given(
    broker: Broker, streams: Any, tmp_path: Path, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = PartitionLog.append

    def denied(self: PartitionLog, data: bytes) -> int:
        raise refusal(TOPIC_AUTHORIZATION_FAILED)

    monkeypatch.setattr(PartitionLog, "append", denied)
    stream = await streams(broker.bootstrap, tmp_path)
    for n in range(150):
        stream.publish(call(n))
    await until(lambda: stream.spool_bytes and not stream.queued)
    await until(lambda: "does not give us: Write on topic llm.calls" in stream.state()["kafka"])
    assert stream.waiting == 150 and stream.keeping and settled(stream)
    monkeypatch.setattr(PartitionLog, "append", append)
    await until(lambda: stream.published == 150)
    assert [c.id for c in await published(broker.bootstrap, 150)] == ids(range(150))
    assert stream.state()["kafka"] == "ok" and not stream.dropped


async def test_without_the_topic_calls_wait_until_it_is_made(
    streams: Any, tmp_path: Path, until: Until
) -> None:
    broker = Broker(tmp_path / "broker", limits=BrokerLimits(auto_create_topics=False))
    await broker.start()
    stream = await streams(broker.bootstrap, tmp_path)
    for n in range(10):
        stream.publish(call(n))
    await until(lambda: stream.spool_bytes and not stream.queued)
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic("llm.calls", 1, 1)])
    await admin.close()
    await until(lambda: stream.published == 10)
    assert [c.id for c in await published(broker.bootstrap, 10)] == ids(range(10))
    await stream.stop()
    await broker.stop()


async def test_a_broker_that_hangs_holds_nothing_up(
    broker_process: Any, streams: Any, tmp_path: Path, until: Until
) -> None:
    child, port = broker_process()
    stream = await streams(f"127.0.0.1:{port}", tmp_path)
    stream.publish(call(0))
    await until(lambda: stream.published == 1)
    child.process.send_signal(signal.SIGSTOP)
    for n in range(1, 200):
        stream.publish(call(n))
    await until(lambda: stream.spool_bytes and not stream.queued)
    assert stream.keeping and settled(stream)
    begun = len(asyncio.all_tasks())
    trouble = stream.state()["kafka"]
    assert trouble != "ok"
    for _ in range(3):  # tried again and again, and nothing heaps up
        await stream._link.close()
        stream._link.tried.clear()
        await stream._link.tried.wait()
    assert len(asyncio.all_tasks()) <= begun + 4
    child.process.send_signal(signal.SIGCONT)
    await until(lambda: stream.published == 200)
    found = {c.id for c in await published(f"127.0.0.1:{port}", 200)}
    assert found == set(ids(range(200)))


async def test_a_broker_that_is_killed_costs_nothing(
    broker_process: Any, streams: Any, tmp_path: Path, until: Until
) -> None:
    child, port = broker_process()
    stream = await streams(f"127.0.0.1:{port}", tmp_path)
    for n in range(100):
        stream.publish(call(n))
    await until(lambda: stream.published)
    child.process.kill()
    child.process.wait()
    for n in range(100, 200):
        stream.publish(call(n))
    await until(lambda: stream.spool_bytes and not stream.queued)
    broker_process(port)
    await until(lambda: stream.published == 200)
    assert {c.id for c in await published(f"127.0.0.1:{port}", 200)} == set(ids(range(200)))
    assert not stream.dropped


async def test_with_a_full_disk_calls_wait_in_memory_and_beyond_it_are_counted(
    small_disk: Path, tmp_path: Path, streams: Any, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "MOST_CALLS", 50)
    broker = Broker(tmp_path / "broker")
    await broker.start()
    await broker.stop()
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 200_000)
    stream = await streams(broker.bootstrap, small_disk)
    taken = 0
    while Drop.DISK_FULL not in stream.dropped:
        assert stream.keeping
        stream.publish(call(taken, "words " * 100))
        taken += 1
        if stream.queued > 49:
            await asyncio.sleep(0.01)
    assert not stream.keeping
    assert "disk_full" in stream.state()["spool"] and settled(stream)
    assert stream.waiting == taken - 1
    ballast.unlink()
    await until(lambda: not stream.queued)
    await broker.start()
    await until(lambda: stream.published == taken - 1)
    found = [c.id for c in await published(broker.bootstrap, taken - 1)]
    assert found == ids(range(taken - 1))
    assert stream.dropped == {Drop.DISK_FULL: 1} and settled(stream)
    assert stream.state()["spool"] == "ok"
    await stream.stop()
    await broker.stop()


async def test_it_starts_and_works_without_a_spool_and_has_one_as_soon_as_it_can(
    broker: Broker, streams: Any, tmp_path: Path, until: Until
) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    stream = await streams(broker.bootstrap, tmp_path)
    assert "FileExistsError" in stream.state()["spool"] or "NotADirectory" in stream.state()["spool"]
    stream.publish(call(0))
    await until(lambda: stream.published == 1)
    await broker.stop()
    stream.publish(call(1))
    await until(lambda: stream.state()["kafka"] != "ok")
    assert stream.queued == 1 and not stream.dropped and stream.keeping
    (tmp_path / "state").unlink()
    await until(lambda: stream.spool_bytes)
    assert stream.state()["spool"] == "ok" and not stream.queued
    await broker.start()
    await until(lambda: stream.published == 2)


async def test_what_an_earlier_run_left_on_disk_is_taken_over_and_damage_is_counted(
    broker: Broker, streams: Any, tmp_path: Path, until: Until
) -> None:
    await broker.stop()
    first = EventStream(settings_for(broker.bootstrap, tmp_path))
    await first.start()
    for n in range(250):
        first.publish(call(n))
    await first.stop()
    assert first.waiting == 250 and first.published == 0 and not first.dropped
    [segment] = tmp_path.rglob("*.spool")
    data = bytearray(segment.read_bytes())
    data[100] ^= 1  # in the first of three batches
    segment.write_bytes(data)
    again = await streams(broker.bootstrap, tmp_path)
    assert again.taken == again.waiting == 250
    await broker.start()
    await until(lambda: again.published == 150 and not again.waiting)
    await until(lambda: again.dropped == {Drop.DAMAGED: 100})
    assert settled(again)


@pytest.mark.parametrize(("yield_s", "yields"), [(1e9, 0), (-1.0, 100)])
async def test_packing_gives_way_by_time_and_not_by_call(
    yield_s: float, yields: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a full event loop lets every request go first each time: a hundred times a batch is far too often
    monkeypatch.setattr(rooms, "YIELD_S", yield_s)
    stream = EventStream(settings_for("127.0.0.1:9", tmp_path))
    for n in range(100):
        stream.publish(call(n))
    sleep, slept = asyncio.sleep, []

    async def counted(seconds: float) -> None:
        slept.append(seconds)
        await sleep(seconds)

    monkeypatch.setattr(asyncio, "sleep", counted)
    await stream._pack()
    assert stream.queued == 100 and len(slept) == yields


@pytest.mark.parametrize(("waiting", "packed"), [(1000, 100), (1001, 1000)])
async def test_where_many_wait_a_record_takes_more(waiting: int, packed: int, tmp_path: Path) -> None:
    stream = EventStream(settings_for("127.0.0.1:9", tmp_path))
    for n in range(waiting):
        stream.publish(call(n))
    await stream._pack()
    assert len(stream._hand) == packed and stream.queued == waiting


async def test_what_is_private_is_not_written_to_disk_either(
    broker: Broker, streams: Any, tmp_path: Path, until: Until
) -> None:
    await broker.stop()
    stream = await streams(broker.bootstrap, tmp_path)
    stream.publish(call(0, "write to ann@example.org"))
    await until(lambda: stream.spool_bytes)
    for path in (tmp_path / "state").rglob("*"):
        assert path.is_dir() or b"ann@example" not in path.read_bytes()
        assert path.stat().st_mode & 0o077 == 0, path
    await broker.start()
    await until(lambda: stream.published == 1)


async def test_the_publisher_counts_what_comes_after_its_close(broker: Broker, tmp_path: Path) -> None:
    def program() -> Publisher:
        publisher = Publisher(settings_for(broker.bootstrap, tmp_path))
        publisher.publish(call(0))
        publisher.publish(call(1, id=7))
        publisher.close()
        publisher.publish(call(2))
        return publisher

    publisher = await asyncio.to_thread(program)
    assert publisher.taken == 3 and publisher.published == 1 and publisher.waiting == 0
    assert publisher.dropped == {Drop.UNENCODABLE: 1, Drop.CLOSED: 1}


FORKS = """
import os, sys
from jitr.router.publisher import Publisher
from jitr.schemas.settings import Settings

publisher = Publisher(Settings.load())
request = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
ids = [publisher.publish(request=request)]
child = os.fork()
if not child:
    print(publisher.publish(request=request), flush=True)
    sys.exit(0)  # runs atexit, which must not wait for a thread that only the parent has
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
ids.append(publisher.publish(request=request))
publisher.close()
assert publisher.published == 2, publisher.published
print(*ids, sep="\\n")
"""


async def test_a_forked_child_publishes_by_itself_and_harms_its_parent_not(
    broker: Broker, tmp_path: Path
) -> None:
    environ = {
        "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap,
        "JITR_STATE__ROOT": str(tmp_path / "state"),
        "PYTHONPATH": ":".join(sys.path),
    }
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-c", FORKS, env=environ, stdout=subprocess.PIPE
    )
    async with asyncio.timeout(60):
        said, _ = await program.communicate()
    assert program.returncode == 0
    found = await published(broker.bootstrap, 3)
    assert sorted(c.id for c in found) == sorted(said.decode().split())


FORGETS = """
from jitr.router.publisher import Publisher
from jitr.schemas.settings import Settings

publisher = Publisher(Settings.load())
for n in range(150):
    publisher.publish(request={"model": "m", "messages": [{"role": "user", "content": str(n)}]})
"""


async def test_a_program_that_forgets_to_close_leaves_its_calls_on_disk(
    broker: Broker, tmp_path: Path, streams: Any, until: Until
) -> None:
    await broker.stop()
    environ = {
        "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap,
        "JITR_STATE__ROOT": str(tmp_path / "state"),
        "PYTHONPATH": ":".join(sys.path),
    }
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-c", FORGETS, env=environ, stderr=subprocess.PIPE
    )
    async with asyncio.timeout(60):
        _, said = await program.communicate()
    assert program.returncode == 0 and b"Traceback" not in said, said.decode()
    again = await streams(broker.bootstrap, tmp_path)
    assert again.taken == 150
    await broker.start()
    await until(lambda: again.published == 150)


def test_an_event_is_one_item_of_a_batch() -> None:
    one = call(0)
    batch, _ = encode_batch([("a", 1.0, one), ("b", 2.0, one)], source="/x")
    assert batch.startswith(b'[{"specversion"') and batch.count(b'"specversion"') == 2
