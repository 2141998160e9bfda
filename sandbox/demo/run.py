"""Run the demo from start to report."""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import secrets
import signal
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import msgspec
from rich.console import Console
from rich.live import Live

from jitr.sandbox.demo.driver import Driver
from jitr.sandbox.demo.page import page
from jitr.sandbox.demo.report import Report, build
from jitr.sandbox.demo.screen import Screen
from jitr.sandbox.demo.story import Story
from jitr.sandbox.demo.watch import DemoWatch
from jitr.sandbox.stack import Stack
from jitr.sandbox.traffic.request import Traffic
from jitr.sandbox.traffic.workload import Workload
from jitr.schemas.policy import DEMO
from jitr.schemas.settings import Settings


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What can be chosen.

    ``kafka`` and ``redis`` name servers of your own; else a development broker and a Redis are brought.
    ``data`` is a folder of recorded data whose answers play the teacher, in the place of the simulation.
    """

    out: Path = Path(".jitr/demo")
    calls: int = 15_000
    rate: float = 60.0
    seed: int = 0
    noise: float = 0.25
    kafka: str | None = None
    redis: str | None = None
    data: Path | None = None
    drift: bool = True
    live: bool = True


def settings_for(options: Options, mark: str) -> Settings:
    """The demo's settings: its policy, topics and tenant of its own, everything on loopback."""
    flags = {
        "kafka.bootstrap": options.kafka,
        "redis.url": options.redis,
        "kafka.prefix": f"jitr-demo-{mark}." if options.kafka else "",
        "kafka.partitions": 4,
        "gateway.tenant": f"demo-{mark}" if options.redis else "demo",
        "gateway.port": 0,
        "worker.port": 0,
        "state.root": str((options.out / "state").resolve()),
    }
    loaded = Settings.load(environ={}, flags=flags)
    return msgspec.structs.replace(loaded, policy=DEMO)


def run(options: Options, console: Console) -> Report:
    """Run it; the report stands in ``options.out`` as `report.html` and `report.json`.

    Ctrl-C ends it early: everything that was started is stopped, and the report says what was seen.
    """
    mark = secrets.token_hex(3)
    folder = options.out / "run"
    _clear(options.out)
    settings = settings_for(options, mark)
    llm = ["--seed", str(options.seed), "--latency", "0.045"]
    if options.data is not None:
        llm += ["--data", str(options.data)]
        console.print(f"reading recorded data from {options.data}")
    traffic = _traffic(options)

    def say(text: str) -> None:
        console.print(text, style="dim")

    stack = Stack(
        settings, folder, kafka=options.kafka is None, redis=options.redis is None, llm=llm, say=say
    )
    with stack:
        report = asyncio.run(_drive(stack, traffic, options, console))
        say("stopping")
        # a second Ctrl-C must not leave anything running
        with _deaf():
            stack.stop()
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "report.json").write_bytes(msgspec.json.format(msgspec.json.encode(report)))
    (options.out / "report.html").write_text(page(report))
    return report


def _traffic(options: Options) -> Traffic:
    if options.data is None:
        return Workload(options.seed, options.noise)
    from jitr.sandbox.recorded import recorded

    return recorded(options.data, options.seed, options.noise)


async def _drive(stack: Stack, traffic: Traffic, options: Options, console: Console) -> Report:
    watch = DemoWatch(stack.settings)
    driver = Driver(traffic, stack.gateway_url, stack.llm_url, options.rate)
    story = Story(driver, watch, options.calls, drift=options.drift and options.data is None)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    following = asyncio.create_task(watch.run())
    shown: AbstractContextManager[object] = nullcontext()
    if options.live and console.is_terminal:
        shown = Live(Screen(story), console=console, refresh_per_second=4)
    with shown:
        driving = asyncio.create_task(driver.run(stop))
        await asyncio.sleep(0)
        watch.started = driver.started
        telling = asyncio.create_task(story.run(stop))
        guarding = asyncio.create_task(_guard(stack, stop, console, story, quiet=options.live))
        for task in (telling, guarding):
            # where one fails there is no point in sending on
            task.add_done_callback(lambda _: stop.set())
        try:
            await driving
            await asyncio.gather(telling, guarding)
            await _settle(watch)
            bill = await driver.bill_usd()
        finally:
            for task in (driving, telling, guarding, following):
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(driving, telling, guarding, following, return_exceptions=True)
    return build(
        watch,
        driver.outcomes,
        bill_usd=bill,
        target=stack.settings.policy.target,
        delta=stack.settings.policy.delta,
        changed=story.changed,
        machine=f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        teacher="recorded answers" if options.data else "a simulated LLM",
    )


async def _guard(stack: Stack, stop: asyncio.Event, console: Console, story: Story, quiet: bool) -> None:
    """Fail if a process dies; without a live view, say every now and then where things stand."""
    told = 0
    while not stop.is_set():
        stack.check()
        moments = story.watch.moments
        if not (quiet and console.is_terminal):
            for m in moments[told:]:
                name = story.watch.name(m.task) if m.task else ""
                console.print(f"{m.at_s:6.1f} s  {name:<30}  {m.kind:<8} {m.text}", markup=False)
        told = len(moments)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 1.0)


async def _settle(watch: DemoWatch, quiet_s: float = 2.5, deadline_s: float = 15.0) -> None:
    """Wait until the rows have stood still for a moment: the last windows are on their way."""
    waited, still, before = 0.0, 0.0, -1
    while waited < deadline_s and still < quiet_s:
        await asyncio.sleep(0.25)
        waited += 0.25
        now = sum(r.version.offset for r in watch.routes.values())
        still = still + 0.25 if now == before else 0.0
        before = now


def _clear(out: Path) -> None:
    import shutil

    for name in ("run", "state"):
        shutil.rmtree(out / name, ignore_errors=True)


class _deaf(contextlib.ContextDecorator):  # noqa: N801  reads as a word
    """Ignore Ctrl-C for a moment."""

    def __enter__(self) -> None:
        self._before = signal.signal(signal.SIGINT, signal.SIG_IGN)

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)
