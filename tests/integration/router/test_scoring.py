"""The processes that run surrogates: batches, deadlines, priorities, and what becomes of one that ends."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from stage.scorers import RUNTIME

from jitr.router.scoring import crashes
from jitr.router.scoring.process import ScorerEndedError
from jitr.router.scoring.scorer_slot import CrashError, SurrogateError
from jitr.router.scoring.scorers import BusyError, LoadingError, Scorers
from jitr.schemas.errors import ArtifactError, WeightsError

Until = Callable[[Callable[[], Any]], Awaitable[None]]
LONG_S = 30.0


@pytest.fixture
async def scorers() -> AsyncIterator[Scorers]:
    it = Scorers(runtime=RUNTIME, hung_s=LONG_S)
    yield it
    await it.close()


def served(it: Scorers, held: Any) -> bool:
    return it._is_served(held)


async def outcome(future: asyncio.Future[Any]) -> Any:
    return (await asyncio.gather(future, return_exceptions=True))[0]


async def gated(it: Scorers, tmp_path: Path, name: str = "gated") -> tuple[Any, Path]:
    """A surrogate that answers nothing until a file is there."""
    folder = tmp_path / name
    folder.mkdir()
    (folder / "go").touch()
    held = await it.load(folder, name)
    (folder / "go").unlink()
    return held, folder / "go"


async def test_no_process_runs_before_there_is_a_surrogate(scorers: Scorers) -> None:
    assert scorers.pids == []
    held = await scorers.load(Path("good"), "d")
    assert len(scorers.pids) == 1
    said = await scorers.submit(held, "hello", LONG_S)
    assert (said.label, said.score) == ("hello", 0.9)


async def test_a_text_that_is_no_utf8_comes_through(scorers: Scorers) -> None:
    held = await scorers.load(Path("good"), "d")
    future = scorers.submit(held, "lone \ud800", LONG_S)
    # the label of this surrogate is its text, and such a label is none
    assert isinstance(await outcome(future), SurrogateError)
    assert (await scorers.submit(held, "next", LONG_S)).label == "next"


async def test_what_comes_while_a_batch_runs_goes_together_in_the_next(
    scorers: Scorers, tmp_path: Path
) -> None:
    held, go = await gated(scorers, tmp_path)
    good = await scorers.load(Path("good"), "g")
    held.cost_s = good.cost_s = 1e-4
    first = scorers.submit(held, "a", LONG_S)
    await asyncio.sleep(0)
    rest = [scorers.submit((held, good)[n % 2], f"t{n}", LONG_S) for n in range(20)]
    go.touch()
    assert (await first).text == "1 of 1"
    answers = await asyncio.gather(*rest)
    assert [a.label for a in answers] == [f"t{n}" for n in range(20)]
    assert {a.text for a in answers} == {"20 of 2"}
    assert (scorers.batches, scorers.texts) == (2, 21)


async def test_a_batch_takes_no_more_than_callers_of_others_can_wait_for(
    scorers: Scorers, tmp_path: Path
) -> None:
    held, go = await gated(scorers, tmp_path)
    held.cost_s = 0.005
    texts = [scorers.submit(held, f"t{n}", LONG_S) for n in range(9)]
    go.touch()
    sizes = [answer.text for answer in await asyncio.gather(*texts)]
    assert sizes[0] == "4 of 1", "20 ms are four times what a text was forecast to take"


async def test_whoever_waits_comes_before_what_is_scored_beside_the_teacher(
    scorers: Scorers, tmp_path: Path
) -> None:
    held, go = await gated(scorers, tmp_path)
    order: list[str] = []
    futures = []
    first = scorers.submit(held, "first", LONG_S)
    await asyncio.sleep(0)
    for n in range(10):
        futures.append(scorers.submit(held, f"beside {n}"))
    for n in range(5):
        futures.append(scorers.submit(held, f"caller {n}", LONG_S))
    for future in futures:
        future.add_done_callback(lambda done: order.append(done.result().label))
    go.touch()
    await asyncio.gather(first, *futures)
    assert [label.split()[0] for label in order] == ["caller"] * 5 + ["beside"] * 10


async def test_a_score_beside_the_teacher_goes_alone_where_it_takes_long(
    scorers: Scorers, tmp_path: Path
) -> None:
    held, go = await gated(scorers, tmp_path)
    held.cost_s = 0.02  # a caller who comes in the middle waits for one such text, not for four
    futures = [scorers.submit(held, f"beside {n}") for n in range(4)]
    go.touch()
    assert (await futures[0]).text == "1 of 1"


async def test_beyond_the_bound_nothing_more_is_scored_beside_the_teacher(
    scorers: Scorers, tmp_path: Path
) -> None:
    held, go = await gated(scorers, tmp_path)
    futures = []
    with pytest.raises(BusyError):
        for n in range(70):
            futures.append(scorers.submit(held, f"beside {n}"))
            await asyncio.sleep(0)
    assert 64 <= len(futures) <= 65, "one may have gone already"
    assert not scorers.submit(held, "caller", LONG_S).done(), "callers have a bound of their own"
    go.touch()


async def test_a_deadline_ends_the_waiting_and_not_the_process(scorers: Scorers, tmp_path: Path) -> None:
    held, go = await gated(scorers, tmp_path)
    pids = scorers.pids
    assert isinstance(await outcome(scorers.submit(held, "late", 0.05)), TimeoutError)
    go.touch()
    assert (await scorers.submit(held, "next", LONG_S)).label == "next"
    assert scorers.pids == pids


async def test_who_would_be_late_is_told_at_once_and_who_would_not_waits(
    scorers: Scorers, tmp_path: Path
) -> None:
    held, go = await gated(scorers, tmp_path)
    held.cost_s = 0.1
    running = scorers.submit(held, "running", LONG_S)
    await asyncio.sleep(0.01)
    waiting = [scorers.submit(held, f"t{n}", LONG_S) for n in range(4)]
    with pytest.raises(BusyError):
        scorers.submit(held, "five ahead and its own", 0.45)
    admitted = scorers.submit(held, "room for six", 0.7)
    waiting[0].cancel()
    waiting[1].cancel()
    gone = scorers.submit(held, "those who left do not count", 0.55)
    go.touch()
    await asyncio.gather(running, *waiting[2:])
    assert admitted is not gone
    for future in (admitted, gone):
        future.cancel()


async def test_who_finds_nothing_at_work_is_never_refused(scorers: Scorers) -> None:
    held = await scorers.load(Path("good"), "d")
    held.cost_s = 60.0  # however wrong a forecast is, it must find its way back
    for n in range(60):
        await scorers.submit(held, f"t{n}", 0.5)
    assert held.cost_s < 0.5


async def test_a_forecast_learns_what_texts_take(scorers: Scorers) -> None:
    held = await scorers.load(Path("sleepy"), "d")
    for wrong in (1e-4, 10.0):
        held.cost_s = wrong
        for n in range(60):
            await scorers.submit(held, f"t{n}", LONG_S)
        assert 0.01 < held.cost_s < 2.0


async def test_an_error_on_one_text_is_its_own(scorers: Scorers, tmp_path: Path) -> None:
    held, go = await gated(scorers, tmp_path)
    held.cost_s = 1e-4
    first = scorers.submit(held, "first", LONG_S)
    await asyncio.sleep(0)
    futures = [scorers.submit(held, text, LONG_S) for text in ("a", "fail", "b")]
    go.touch()
    await first
    said = [await outcome(future) for future in futures]
    assert (said[0].label, said[2].label) == ("a", "b")
    assert isinstance(said[1], SurrogateError) and "it fails" in str(said[1])


@pytest.mark.parametrize(
    ("name", "error"),
    [("refused", ArtifactError), ("weightless", WeightsError), ("odd", RuntimeError)],
)
async def test_what_cannot_be_loaded_says_why(scorers: Scorers, name: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        await scorers.load(Path(name), "d")
    assert (await scorers.load(Path("good"), "g")).ready.done()


async def test_a_load_holds_up_no_answer(scorers: Scorers, tmp_path: Path) -> None:
    held = await scorers.load(Path("good"), "d")
    (tmp_path / "slow").mkdir()
    loading = asyncio.create_task(scorers.load(tmp_path / "slow", "s"))
    await asyncio.sleep(0)
    for n in range(20):
        assert (await scorers.submit(held, f"t{n}", LONG_S)).label == f"t{n}"
    assert not loading.done()
    (tmp_path / "slow" / "go").touch()
    new = await loading
    assert (await scorers.submit(new, "new", LONG_S)).label == "new"


async def test_a_killed_process_is_started_again_and_nobody_waits_meanwhile(
    scorers: Scorers, tmp_path: Path, until: Until
) -> None:
    held, go = await gated(scorers, tmp_path)
    [pid] = scorers.pids
    running = scorers.submit(held, "running", LONG_S)
    await asyncio.sleep(0.05)
    waiting, beside = scorers.submit(held, "waiting", LONG_S), scorers.submit(held, "beside")
    os.kill(pid, signal.SIGKILL)
    assert isinstance(await outcome(running), ScorerEndedError)
    assert isinstance(await outcome(waiting), LoadingError)
    assert isinstance(await outcome(beside), LoadingError)
    with pytest.raises(LoadingError):
        scorers.submit(held, "at once", LONG_S)
    go.touch()
    await until(lambda: served(scorers, held))
    assert (await scorers.submit(held, "again", LONG_S)).label == "again"
    assert scorers.pids != [pid] and scorers.loops.states["scorer 1"].restarts == 1


async def test_a_hung_process_is_killed_and_started_again(until: Until) -> None:
    it = Scorers(runtime=RUNTIME, hung_s=0.3)
    held = await it.load(Path("good"), "d")
    [pid] = it.pids
    assert isinstance(await outcome(it.submit(held, "hang", LONG_S)), ScorerEndedError)
    await until(lambda: not psutil.pid_exists(pid))
    await until(lambda: served(it, held))
    assert (await it.submit(held, "again", LONG_S)).label == "again"
    await it.close()


async def test_an_artifact_that_hangs_as_it_is_loaded_costs_the_others_a_restart(until: Until) -> None:
    it = Scorers(runtime=RUNTIME, load_s=1.0)
    held = await it.load(Path("good"), "d")
    with pytest.raises(CrashError):
        await it.load(Path("stuck"), "s")
    await until(lambda: served(it, held))
    assert (await it.submit(held, "again", LONG_S)).label == "again"
    await it.close()


async def test_an_artifact_that_ends_the_process_as_it_is_loaded_is_refused_and_the_others_go_on(
    scorers: Scorers, until: Until
) -> None:
    held = await scorers.load(Path("good"), "d")
    with pytest.raises(CrashError):
        await scorers.load(Path("deadly"), "x")
    await until(lambda: served(scorers, held))
    assert (await scorers.submit(held, "again", LONG_S)).label == "again"
    assert scorers.loops.states["scorer 1"].restarts == crashes.MOST


async def test_of_two_at_work_the_one_at_fault_is_found(
    scorers: Scorers, tmp_path: Path, until: Until
) -> None:
    """Both are suspected at first; run alone, only one of them does it again."""
    refused: list[str] = []
    scorers.refused = lambda held, error: refused.append(held.digest)
    good = await scorers.load(Path("good"), "innocent")
    bad, go = await gated(scorers, tmp_path)
    good.cost_s = bad.cost_s = 1e-4
    for n in range(crashes.MOST):
        await until(lambda: served(scorers, good) and served(scorers, bad))
        if n == 0:
            first = scorers.submit(bad, "first", LONG_S)
            await asyncio.sleep(0)
        futures = [scorers.submit(good, "fine", LONG_S), scorers.submit(bad, "die", LONG_S)]
        go.touch()
        said = [await outcome(future) for future in futures]
        assert isinstance(said[1], ScorerEndedError | LoadingError)
    await first
    assert refused == ["gated"]
    await until(lambda: served(scorers, good))
    assert (await scorers.submit(good, "fine", LONG_S)).label == "fine"
    with pytest.raises(LoadingError):
        scorers.submit(bad, "fine", LONG_S)


async def test_a_process_killed_while_idle_is_nobodys_fault(scorers: Scorers, until: Until) -> None:
    held = await scorers.load(Path("good"), "d")
    for n in range(crashes.MOST + 1):
        [pid] = scorers.pids
        os.kill(pid, signal.SIGKILL)
        await until(lambda pid=pid: scorers.pids not in ([], [pid]) and served(scorers, held))
        assert (await scorers.submit(held, f"t{n}", LONG_S)).label == f"t{n}"


async def test_two_processes_share_what_waits(tmp_path: Path, until: Until) -> None:
    it = Scorers(2, runtime=RUNTIME, hung_s=LONG_S)
    (tmp_path / "gated").mkdir()
    go = tmp_path / "gated" / "go"
    go.touch()
    held, good = await it.load(tmp_path / "gated", "x"), await it.load(Path("good"), "g")
    await until(lambda: all(len(slot.loaded) == 2 for slot in it._slots))
    go.unlink()
    blocked = it.submit(held, "blocked", LONG_S)
    await asyncio.sleep(0.01)
    for n in range(5):
        assert (await it.submit(good, f"t{n}", LONG_S)).label == f"t{n}"
    assert not blocked.done()
    go.touch()
    await blocked
    await it.close()


FORKS = """
import asyncio, os, signal, sys
from pathlib import Path
from jitr.router.scoring.scorers import Scorers
from stage.scorers import RUNTIME

scorers = Scorers(runtime=RUNTIME)  # made before the fork, as a server does that loads its app first

async def serve():
    held = await scorers.load(Path("good"), "d")
    said = await scorers.submit(held, "hello", 30.0)
    print(said.label, *scorers.pids, flush=True)
    copy = os.fork()  # a child of the program's own, which keeps a copy of every open file
    if not copy:
        os.execvp("sleep", ["sleep", "60"]) if sys.argv[1] == "exec" else signal.pause()
    print(copy, flush=True)
    await asyncio.sleep(60)

workers = [os.fork() for _ in range(1)]
if workers == [0]:
    asyncio.run(serve())
os.wait()
"""


@pytest.mark.parametrize("copied", ["exec", "fork"])
async def test_in_a_server_that_forks_a_process_ends_with_its_worker(
    copied: str, tmp_path: Path, until: Until
) -> None:
    script = tmp_path / "server.py"
    script.write_text(FORKS)
    path = os.pathsep.join(path for path in sys.path if path)
    command = [sys.executable, str(script), copied]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path}) as server:
        assert server.stdout is not None
        said, pid = (await asyncio.to_thread(server.stdout.readline)).decode().split()
        assert said == "hello"
        scorer = psutil.Process(int(pid))
        copy = psutil.Process(int(await asyncio.to_thread(server.stdout.readline)))
        psutil.Process(scorer.ppid()).kill()
        await until(lambda: not scorer.is_running() or scorer.status() == psutil.STATUS_ZOMBIE)
        assert copy.is_running()
        copy.kill()


async def test_closing_waits_for_nothing_that_hangs() -> None:
    it = Scorers(runtime=RUNTIME, hung_s=3600)
    held = await it.load(Path("good"), "d")
    [pid] = it.pids
    hung = it.submit(held, "hang", LONG_S)
    await asyncio.sleep(0.05)
    await it.close()
    assert isinstance(await outcome(hung), ScorerEndedError)
    deadline = time.monotonic() + 60
    while psutil.pid_exists(pid):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def test_a_process_that_does_not_start_is_no_surrogates_fault(until: Until) -> None:
    it = Scorers(runtime="stage.scorers:Nothing")
    loading = asyncio.create_task(it.load(Path("good"), "d"))
    await until(lambda: it.loops.states and it.loops.states["scorer 1"].restarts > crashes.MOST)
    assert not loading.done(), "once it starts, it loads"
    loading.cancel()
    await it.close()
