"""A Faust app in two processes, on the development broker and on Apache Kafka."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import NewTopic

Start = Callable[[str, str], subprocess.Popen[bytes]]


@pytest.fixture
def worker(kafka_bootstrap: str, tmp_path: Path) -> Iterator[Start]:
    """Start a worker of faust_double by name."""
    running: list[subprocess.Popen[bytes]] = []

    def start(topic: str, name: str) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            "WORKER": name,
            "TOPIC": topic,
            "GROUP": f"group-{topic}",
            "BOOTSTRAP": kafka_bootstrap,
            "DATADIR": str(tmp_path / name),
        }
        with (tmp_path / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [
                    sys.executable,
                    str(Path(__file__).with_name("faust_double.py")),
                    "worker",
                    "--without-web",
                    "-l",
                    "warn",
                ],
                env=environment,
                stdout=log,
                stderr=log,
            )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.wait()


@pytest.mark.slow
async def test_no_event_is_lost_when_a_second_worker_joins_and_the_first_is_killed(
    kafka: Any, until: Any, worker: Start, tmp_path: Path
) -> None:
    topic = await kafka.topic(partitions=4)
    admin = await kafka.admin()
    await admin.create_topics([NewTopic(f"{topic}-seen", 1, 1)])
    producer = await kafka.producer()
    results = await kafka.consumer(f"{topic}-seen")
    by_worker: dict[str, set[int]] = {"first": set(), "second": set()}
    sent = 0

    async def send(count: int) -> None:
        nonlocal sent
        for _ in range(count):
            await producer.send_and_wait(topic, b"%d" % sent, partition=sent % 4)
            sent += 1

    async def read() -> None:
        ended = [process.args for process in running if process.poll() is not None]
        assert not ended, [log.read_text()[-2000:] for log in tmp_path.glob("*.log")]
        for records in (await results.getmany(timeout_ms=50)).values():
            for record in records:
                by_worker[record.key.decode()].add(int(record.value))

    async def all_seen() -> bool:
        await read()
        return by_worker["first"] | by_worker["second"] == set(range(sent))

    first = worker(topic, "first")
    running = [first]
    await send(100)
    await until(all_seen)
    assert not by_worker["second"]

    running.append(worker(topic, "second"))

    async def second_works() -> bool:
        await send(4)
        await read()
        return bool(by_worker["second"])

    await until(second_works)
    await until(all_seen)

    await send(50)
    first.send_signal(signal.SIGKILL)
    first.wait()
    running.remove(first)
    await send(50)
    await until(all_seen)
