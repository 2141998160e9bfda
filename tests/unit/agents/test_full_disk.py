"""A full disk under the state is waited for, counted and seen; when there is space again, nothing is lost."""

import asyncio
import errno
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from stage.calls import calls_of
from stage.partition_processors import Bench, Sum
from stage.servers.kafka import Kafka, eventually, settings_for
from stage.workers import WorkerProcess, working

from jitr.agents.collecting.collect import Collect
from jitr.agents.runtime.handler import IncomingEvent, SourcePartition
from jitr.models.datasets.parts import list_parts
from jitr.sandbox.traffic.workload import Workload
from jitr.schemas.tasks import Task, TaskCall


@contextmanager
def small_disk(folder: Path, size: str = "2m") -> Iterator[Path]:
    """A file system of its own, which may really be full."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"no right to mount a file system: {mounted.stderr.decode()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def fill(folder: Path) -> Path:
    """Take all the space that there is."""
    file = folder / "filler"
    with file.open("ab", buffering=0) as out:
        for step in (65_536, 1):
            try:
                while True:
                    out.write(b"x" * step)
            except OSError as error:
                assert error.errno == errno.ENOSPC
    return file


@contextmanager
def full_by_size(folder: Path) -> Iterator[Callable[[], None]]:
    """No file of this process may grow: the same error path where nothing may be mounted."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    end = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))  # noqa: E731
    try:
        yield end
    finally:
        end()


@contextmanager
def full_disk(folder: Path) -> Iterator[Callable[[], None]]:
    filler = fill(folder)
    yield filler.unlink


@pytest.mark.parametrize("how", ["disk", "size"])
@pytest.mark.parametrize("begun", [True, False])
async def test_a_lane_waits_and_goes_on(tmp_path: Path, how: str, begun: bool) -> None:
    with small_disk(tmp_path / "disk") if how == "disk" else _as_it_is(tmp_path) as folder:
        bench = Bench(folder / "state", Sum)
        if begun:
            bench.put(0, "1")
            await bench.run(lambda: bench.acked == [0])
            bench.new()
        task = asyncio.create_task(bench.processor.run())
        with full_disk(folder) if how == "disk" else full_by_size(folder) as mend:
            bench.put(1, "2", "4")
            bench.put(2, "8")
            await eventually(lambda: bench.processor.waits_for)
            assert bench.processor.waits_for.startswith("disk: ")
            await eventually(lambda: 'jitr_waits_total{agent="test",cause="disk"} 3.0' in page(bench))
            assert 'jitr_waiting{agent="test"} 1.0' in page(bench)
            assert not task.done()
            assert bench.acked == [0] * begun
            # half of a snapshot that is tried again and again must not take what space there is
            assert len([*folder.rglob("*.tmp")]) == 0
            mend()
            await eventually(lambda: bench.acked == [0] * begun + [1, 2])
        assert bench.kafka.ids()[-1] == f"2.0={14 + begun}"
        assert (bench.processor.waits_for, bench.kafka.letters) == ("", [])
        assert 'jitr_waiting{agent="test"} 0.0' in page(bench)
        bench.processor.finish(ack=True)
        await task
        bench.new()
        bench.put(3, "16")
        await bench.run(lambda: bench.acked[-1] == 3)
        assert bench.kafka.ids()[-1] == f"3.0={30 + begun}"


@contextmanager
def _as_it_is(folder: Path) -> Iterator[Path]:
    yield folder


def page(bench: Bench) -> str:
    return bench.metrics.page().decode()


async def test_a_worker_on_a_full_disk_says_so_and_loses_no_call(dev_broker: str, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "8m") as folder:
        settings, _ = settings_for(dev_broker, folder)
        calls = calls_of(Workload(seed=3), 300, tag="full")
        async with Kafka(settings) as kafka, working(settings, "detect", "mine", "collect") as worker:
            await kafka.publish(kafka.topics.calls.name, calls[:150])
            await kafka.done("detect", "mine", "collect")
            filler = fill(folder)
            await kafka.publish(kafka.topics.calls.name, calls[150:])
            async with aiohttp.ClientSession(f"http://127.0.0.1:{worker.port}") as client:

                async def says() -> bool:
                    async with client.get("/ready") as answer:
                        return answer.status == 503 and "waits for disk: [Errno 28]" in await answer.text()

                await eventually(says)
                filler.unlink()
                await kafka.done("detect", "mine", "collect")

                async def ready() -> bool:
                    async with client.get("/ready") as answer:
                        return answer.status == 200

                await eventually(ready)
            letters = await kafka.read(settings.topics.dead_letters.name)
            of_tasks = {c.id for c in await kafka.rows(settings.topics.task_calls.name, TaskCall)}
            unmatched = {e.id for e in await kafka.events(settings.topics.unmatched.name)}
        assert letters == []
        assert {c.id for c in calls} == of_tasks | unmatched


async def test_labels_that_a_full_disk_did_not_take_are_written_later(
    bench: Any, mood: Task, task_call: Callable[..., TaskCall], tmp_path: Path
) -> None:
    bench.know(mood)
    collect = Collect(bench.context, SourcePartition("calls", 0))
    collect.handle([IncomingEvent(f"c{n}", float(n), task_call(n), 0, n) for n in range(10)])
    with full_by_size(tmp_path) as mend:
        for _ in range(2):
            with pytest.raises(OSError, match="File too large"):
                collect.snapshot()
        mend()
        collect.snapshot()
    (part,) = list_parts(f"{tmp_path}/datasets", "mood")
    assert part.rows == 10


async def test_the_files_of_a_worker_are_nobody_elses_to_read(dev_broker: str, tmp_path: Path) -> None:
    settings, environ = settings_for(dev_broker, tmp_path)
    async with Kafka(settings) as kafka:
        with WorkerProcess(environ, ("detect", "mine", "collect")) as worker:
            await worker.ready()
            await kafka.publish(kafka.topics.calls.name, calls_of(Workload(seed=3), 200, tag="own"))
            await kafka.done("detect", "mine", "collect")
            await worker.stop()
    paths = [*(tmp_path / "state").rglob("*")]
    kinds = {path.suffix for path in paths if path.is_file()}
    assert {".snapshot", ".claim", ".parquet"} <= kinds
    assert {oct(path.stat().st_mode & 0o777) for path in paths if path.is_file()} == {"0o600"}
    assert {oct(path.stat().st_mode & 0o777) for path in paths if path.is_dir()} == {"0o700"}
