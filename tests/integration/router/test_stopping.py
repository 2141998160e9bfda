"""The gateway as a process: what it loads, and that nothing that hangs holds up its end."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from jitr.schemas.routes import Route

Make = Callable[..., Route]
Until = Callable[[Callable[[], Any]], Awaitable[None]]
CODE = """
from jitr.router.gateway.server import serve
from jitr.schemas.settings import Settings
serve(Settings.load())
"""
HUNG = """
import threading, time
threading.Thread(target=time.sleep, args=(10_000,)).start()
"""


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        yield session


class Program:
    """A gateway in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process, url: str, http: aiohttp.ClientSession) -> None:
        self.process, self.url, self._http = process, url, http

    async def ask(self, body: dict[str, Any]) -> str:
        try:
            url = f"{self.url}/v1/chat/completions"
            async with self._http.post(url, json=body, headers={"x-jitr-debug": "1"}) as answer:
                assert answer.status == 200
                return answer.headers["x-jitr-reason"]
        except aiohttp.ClientConnectionError:
            return "not there"

    def scorer(self) -> psutil.Process:
        [child] = psutil.Process(self.process.pid).children()
        return child


@pytest.fixture
async def program(
    request: pytest.FixtureRequest, settings: Any, teacher: Any, world: Any, http: aiohttp.ClientSession
) -> AsyncIterator[Program]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    ours = {
        "JITR_GATEWAY__PORT": str(port),
        "JITR_GATEWAY__UPSTREAM": teacher.url,
        "JITR_STATE__ROOT": settings.state.root,
        "REDIS_URL": settings.redis.url,
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9",
        "JITR_GATEWAY__STOP_TIMEOUT_S": "2",
    }
    code = getattr(request, "param", "") + CODE
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, env={**os.environ, **ours})
    yield Program(process, f"http://127.0.0.1:{port}", http)
    if process.returncode is None:
        process.kill()
        await process.wait()


def maps(pid: int) -> str:
    return Path(f"/proc/{pid}/maps").read_text()


@pytest.mark.parametrize("state", ["active", "hold"])
async def test_a_surrogate_that_hangs_does_not_hold_up_the_stop(
    state: str, program: Program, world: Any, route: Make, until: Until
) -> None:
    assert await world.table.apply_route(route(state, surrogate={"p99_ms": 500.0}))
    wanted = {"active": "accepted", "hold": "hold"}[state]

    async def serves() -> bool:
        return await program.ask(world.request()) == wanted

    await until(serves)
    child = program.scorer()
    child.suspend()
    late = await program.ask(world.request())
    assert late in ("surrogate_late", "hold")
    program.process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(program.process.wait(), 60) == 0
    await until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


@pytest.mark.parametrize("program", ["", HUNG], ids=["upstream", "thread"], indirect=True)
async def test_an_upstream_or_a_thread_that_hangs_does_not_hold_up_the_stop(
    program: Program, teacher: Any, settings: Any, world: Any, until: Until
) -> None:
    async def up() -> bool:
        return await program.ask(world.request()) != "not there"

    await until(up)
    answered = len(teacher.asked)
    teacher.wait = asyncio.Event()
    asking = asyncio.gather(*(program.ask(world.request()) for _ in range(3)))
    await until(lambda: len(teacher.asked) == answered + 3)
    program.process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(program.process.wait(), 60) == 0
    assert await asking == ["not there"] * 3
    spooled = b"".join(p.read_bytes() for p in Path(settings.state.root).rglob("*.spool"))
    assert spooled.count(b"the gateway stopped before the answer ended") == 3


async def test_a_gateway_that_is_killed_leaves_no_process_behind(
    program: Program, world: Any, route: Make, until: Until
) -> None:
    assert await world.table.apply_route(route("active"))

    async def serves() -> bool:
        return await program.ask(world.request()) == "accepted"

    await until(serves)
    child = program.scorer()
    program.process.kill()
    await program.process.wait()
    await until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


async def test_ctrl_c_for_the_whole_group_is_for_the_gateway(
    program: Program, world: Any, route: Make, until: Until
) -> None:
    """A terminal, or `kill -TERM` of a group, reaches the child too: it answers until its parent ends it."""
    assert await world.table.apply_route(route("active"))

    async def serves() -> bool:
        return await program.ask(world.request()) == "accepted"

    await until(serves)
    child = program.scorer()
    for number in (signal.SIGINT, signal.SIGTERM):
        child.send_signal(number)
    assert [await program.ask(world.request()) for _ in range(3)] == ["accepted"] * 3
    assert program.scorer().pid == child.pid


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc")
async def test_onnx_runtime_and_tokenizers_are_the_scoring_process_own(
    program: Program, world: Any, route: Make, until: Until
) -> None:
    async def up() -> bool:
        return await program.ask(world.request()) != "not there"

    await until(up)
    assert psutil.Process(program.process.pid).children() == [], "no surrogate, no process"
    assert await world.table.apply_route(route("active"))

    async def serves() -> bool:
        return await program.ask(world.request()) == "accepted"

    await until(serves)
    for name in ("onnxruntime", "tokenizers"):
        assert name in maps(program.scorer().pid) and name not in maps(program.process.pid)
