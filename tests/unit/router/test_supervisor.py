"""What runs in the background is begun again when it dies, and everybody can see that it did."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from jitr.router.supervisor import Loops


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.001)


async def test_a_loop_that_dies_is_begun_again_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    loops, begun = Loops(first_s=0.001), 0

    async def body() -> None:
        nonlocal begun
        begun += 1
        if begun < 4:
            raise ValueError(f"death {begun}")
        await asyncio.Event().wait()

    loops.run("pump", body)
    await until(lambda: begun == 4)
    assert loops.alive("pump") and loops.states["pump"].restarts == 3
    assert loops.states["pump"].error == "ValueError: death 3"
    assert "death 1" in caplog.text and "'pump'" in caplog.text
    await loops.stop("pump")
    assert loops.states["pump"].state == "ended"


async def test_pauses_double_up_to_the_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def slept(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", slept)

    async def body() -> None:
        raise ValueError

    loops = Loops(first_s=1.0, longest_s=4.0)
    loops.run("pump", body)
    async with asyncio.timeout(60):
        while len(pauses) < 5:
            await sleep(0)
    await loops.stop("pump")
    assert pauses[:5] == [1.0, 2.0, 4.0, 4.0, 4.0]


async def test_a_cancellation_that_nobody_asked_for_is_a_death_too() -> None:
    loops, begun = Loops(first_s=0.001), 0

    async def body() -> None:
        nonlocal begun
        begun += 1
        if begun == 1:
            broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            broken.cancel()
            await broken
        await asyncio.Event().wait()

    loops.run("link", body)
    await until(lambda: begun == 2)
    assert loops.states["link"].restarts == 1
    await loops.stop("link")


async def test_while_it_waits_to_be_begun_again_it_is_not_alive() -> None:
    loops = Loops(first_s=60.0)

    async def body() -> None:
        raise OSError("gone")

    loops.run("pump", body)
    await until(lambda: loops.states["pump"].state == "waiting")
    assert not loops.alive("pump")
    await loops.stop("pump")


async def test_a_loop_that_returns_has_ended() -> None:
    loops = Loops()

    async def body() -> None:
        return

    loops.run("once", body)
    await until(lambda: loops.states["once"].state == "ended")
    assert loops.states["once"].restarts == 0


async def test_stopping_ends_a_loop_that_loses_a_cancellation(monkeypatch: pytest.MonkeyPatch) -> None:
    from jitr.router import supervisor

    monkeypatch.setattr(supervisor, "_CANCEL_AGAIN_S", 0.01)
    loops, lost, begun = Loops(), 0, asyncio.Event()

    async def body() -> None:
        nonlocal lost
        while True:
            try:
                begun.set()
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                lost += 1
                if lost > 2:
                    raise

    loops.run("follower", body)
    await begun.wait()
    await loops.stop("follower")
    assert lost == 3


async def test_with_grace_a_loop_ends_by_itself() -> None:
    loops, ended = Loops(), []

    async def body() -> None:
        await asyncio.sleep(0.01)
        ended.append(True)

    loops.run("pump", body)
    await loops.stop("pump", grace_s=10.0)
    assert ended


async def test_work_that_fails_is_logged_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    loops = Loops()

    async def work() -> None:
        raise RuntimeError("no artifact")

    async def good() -> None:
        return

    await asyncio.wait({loops.once("artifact", work()), loops.once("audit", good())})
    await until(lambda: loops.failures["artifact"])
    assert loops.failures == {"artifact": 1, "audit": 0}
    assert "no artifact" in caplog.text
