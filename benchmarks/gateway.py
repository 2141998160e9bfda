"""What the request path adds: lookup, the gateway between client and LLM, and how much one core carries.

Cases: `lookup/tasks=1000` (`p50_us`, `p99_us` of `Matcher.match` on 70-word prompts); `gateway/rate=N` (the
same requests sent straight to an upstream that answers at once, then through a bare forwarder and through the
gateway in front of it, an open loop at N requests a second; `overhead_p50_ms` and `overhead_p99_ms` are the
differences to the first); `route_change` (`p50_s`, `worst_s` from a row in Redis to the first decision under
it); `most/clients=N`, `streams/clients=N` and `surrogate/clients=N` (the highest rate on one core in a closed
loop of N clients: answers of the LLM, streams, answers of a surrogate); `mixed/clients=1000` (half of them
streams, ten minutes: errors and memory) and `memory` (resident memory before and after 200,000 requests);
`burst/words=N` (50 calls at once of a surrogate that reads through MiniLM, N words each, beside an LLM that
takes 0.6 s: how many of them the surrogate answers, `answered_median` and `answered_least` of all bursts, and
how long they take).

Systems: `jitr`; `direct` without anything between; `bare`, an aiohttp server that forwards by an aiohttp
client and does nothing else; `litellm`, `tensorzero` and `portkey` where `make bench` could install them. All
processes share this machine; what is measured has a core of its own where the system allows it.
"""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
import time
from itertools import count
from pathlib import Path

import aiohttp
import msgspec
import numpy as np
import redis.asyncio as aioredis
from harness.options import Options, parse
from harness.report import Report
from request_path import bursts, placement, rates, surrogate

from jitr.models.tasks.matching.matcher import Matcher
from jitr.router.table import RouteTable
from jitr.sandbox.processes import Processes
from jitr.sandbox.stack import Stack
from jitr.schemas.calls import Call, Message
from jitr.schemas.routes import Route, RouteVersion
from jitr.schemas.settings import Settings
from jitr.schemas.tasks import Signature, Task, Template

TASKS = 1000
WORDS = Path(__file__).read_text().split()
RATES = (100, 200, 500)
CLIENTS = (1, 16, 64, 256, 1000)
MOST_OF_PEERS = 64  # clients; they take minutes beyond
MODEL = "gpt-4.1-simulated"


def words(rng: random.Random, n: int) -> str:
    """Some words."""
    return " ".join(rng.choice(WORDS) for _ in range(n))


def tasks(seed: int, tenant: str) -> list[Task]:
    """A thousand tasks with instructions of their own, all of one signature."""
    rng = random.Random(seed)
    return [
        Task(
            id=f"t{n:04d}",
            tenant=tenant,
            signature=Signature(model=MODEL, shape="user"),
            status="task",
            kind="label",
            templates=(Template(prefix=f"{words(rng, 12)} number {n}:"),),
        )
        for n in range(TASKS)
    ]


def lookup(options: Options, report: Report) -> None:
    """Time one match after another."""
    case = f"lookup/tasks={TASKS}"
    if not options.wants_case(case):
        return
    report.step(case)
    rng = random.Random(options.seed)
    known = tasks(options.seed, "bench")
    matcher = Matcher(known)
    calls = [
        Call(
            id=str(n),
            tenant="bench",
            model=MODEL,
            time=0.0,
            messages=(Message(role="user", content=f"{task.templates[0].prefix} {words(rng, 58)}"),),
        )
        for n, task in enumerate(rng.choices(known, k=2_000 if options.quick else 20_000))
    ]
    took = np.empty(len(calls))
    found = 0
    for n, call in enumerate(calls):
        before = time.perf_counter_ns()
        match = matcher.match(call)
        took[n] = time.perf_counter_ns() - before
        found += match is not None
    report.add(case, "jitr", "p50_us", float(np.quantile(took, 0.5)) / 1e3, "us")
    report.add(case, "jitr", "p99_us", float(np.quantile(took, 0.99)) / 1e3, "us")
    report.add(case, "jitr", "matched_share", found / len(calls))


async def load(url: str, rate: float, seconds: float, seed: int) -> np.ndarray:
    """Milliseconds of each request of an open loop."""
    rng = random.Random(seed)
    took: list[float] = []

    async def one(session: aiohttp.ClientSession, body: bytes) -> None:
        before = time.perf_counter()
        async with session.post(url, data=body, headers={"content-type": "application/json"}) as answer:
            await answer.read()
            assert answer.status == 200, answer.status
        took.append((time.perf_counter() - before) * 1e3)

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session, asyncio.TaskGroup() as group:
        begun = time.perf_counter()
        for n in count():
            due = begun + n / rate
            if due > begun + seconds:
                break
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            body = {"model": MODEL, "messages": [{"role": "user", "content": words(rng, 70)}]}
            group.create_task(one(session, msgspec.json.encode(body)))
    return np.array(took)


async def gateway(options: Options, report: Report, stack: Stack, bare: rates.System) -> None:
    """The same load, direct, through the bare forwarder, and through the gateway."""
    for rate in RATES:
        case = f"gateway/rate={rate}"
        if not options.wants_case(case):
            continue
        report.step(case)
        seconds = 3.0 if options.quick else 15.0
        urls = {"direct": stack.llm_url, "bare": bare.url, "jitr": stack.gateway_url}
        for url in urls.values():
            await load(f"{url}/chat/completions", rate, 1.0, options.seed)
        figures = {}
        for system, url in urls.items():
            took = await load(f"{url}/chat/completions", rate, seconds, options.seed)
            figures[system] = (float(np.quantile(took, 0.5)), float(np.quantile(took, 0.99)))
            report.add(case, system, "p50_ms", figures[system][0], "ms")
            report.add(case, system, "p99_ms", figures[system][1], "ms")
        for system in ("bare", "jitr"):
            for at, name in enumerate(("overhead_p50_ms", "overhead_p99_ms")):
                report.add(case, system, name, figures[system][at] - figures["direct"][at], "ms")


async def route_change(options: Options, report: Report, stack: Stack) -> None:
    """From a row in Redis to a decision under it."""
    case = "route_change"
    if not options.wants_case(case):
        return
    report.step(case)
    tenant = stack.settings.gateway.tenant
    known = tasks(options.seed, tenant)[0]
    table = RouteTable(aioredis.from_url(stack.settings.redis.url))
    await table.apply_tasks([known])
    content = f"{known.templates[0].prefix} payload"
    body = {"model": MODEL, "messages": [{"role": "user", "content": content}]}
    took = []
    async with aiohttp.ClientSession() as session:
        for version in range(5 if options.quick else 30):
            state = "paused" if version % 2 else "demoted"
            row = Route(tenant=tenant, task=known.id, state=state, version=RouteVersion(offset=version))
            before = time.perf_counter()
            await table.apply_route(row)
            seen = ""
            while seen != state:
                url = f"{stack.gateway_url}/chat/completions"
                async with session.post(url, json=body, headers={"x-jitr-debug": "1"}) as answer:
                    seen = answer.headers.get("x-jitr-reason", "")
                assert time.perf_counter() - before < 30, f"the row is not seen: {dict(answer.headers)}"
            took.append(time.perf_counter() - before)
    report.add(case, "jitr", "p50_s", float(np.quantile(took, 0.5)), "s")
    report.add(case, "jitr", "worst_s", max(took), "s")


def most(options: Options, report: Report, systems: list[rates.System], peers: list[rates.System]) -> None:
    """The highest rate on one core, side by side."""
    for clients in (16,) if options.quick else CLIENTS:
        if options.wants_case(case := f"most/clients={clients}"):
            report.step(case)
            others = peers if clients <= MOST_OF_PEERS else []
            rates.compare(options, report, case, systems + others, clients)
        if options.wants_case(case := f"streams/clients={clients}"):
            report.step(case)
            rates.compare(options, report, case, systems, clients, streams=1.0)
        if options.wants_case(case := f"surrogate/clients={clients}"):
            report.step(case)
            rates.compare(options, report, case, systems, clients, opening=surrogate.OPENING)


def long_runs(options: Options, report: Report, jitr: rates.System) -> None:
    """Many requests, and many clients for long: no errors, and memory that stays."""
    if options.wants_case(case := "memory"):
        report.step(case)
        rates.run(jitr, 64, 5.0)
        report.add(case, "jitr", "rss_mb_before", placement.rss_mb(jitr.pid), "MB")
        wanted, answers, errors = (10_000 if options.quick else 200_000), 0.0, 0.0
        while answers < wanted:
            found = rates.run(jitr, 64, 5.0)
            answers, errors = answers + found["answers"], errors + found["errors"]
        report.add(case, "jitr", "rss_mb_after", placement.rss_mb(jitr.pid), "MB")
        report.add(case, "jitr", "requests", answers)
        report.add(case, "jitr", "errors", errors)
    if options.wants_case(case := "mixed/clients=1000"):
        report.step(case)
        seconds = 10.0 if options.quick else 600.0
        rates.run(jitr, 1000, 5.0, streams=0.5)
        report.add(case, "jitr", "rss_mb_before", placement.rss_mb(jitr.pid), "MB")
        found = rates.run(jitr, 1000, seconds, streams=0.5)
        report.add(case, "jitr", "rss_mb_after", placement.rss_mb(jitr.pid), "MB")
        for metric in ("rate", "p50_ms", "p99_ms", "answers", "errors"):
            report.add(case, "jitr", metric, found[metric], rates.UNITS.get(metric, ""))


def main() -> None:
    """Run it."""
    options = parse(__doc__ or "")
    with (
        Report("gateway", options, ["aiohttp", "redis", "uvloop"]) as report,
        tempfile.TemporaryDirectory() as folder,
    ):
        if not placement.placed():
            report.note("this system does not let processes be placed: all share all cores")
        lookup(options, report)
        processes = Processes(Path(folder) / "logs")
        try:
            upstream = rates.start_upstream(processes)
            flags = {
                "gateway.port": 0,
                "gateway.upstream": upstream,
                "worker.port": 0,
                "state.root": f"{folder}/state",
            }
            settings = Settings.load(environ={}, flags=flags)
            with Stack(settings, Path(folder), kafka=True, redis=True, worker=False) as stack:
                for child in stack.processes.children:
                    place = placement.measured if child.name == "gateway" else placement.around
                    place(child.process.pid)
                placement.around(os.getpid())
                bare = rates.start_bare(processes, upstream)
                asyncio.run(gateway(options, report, stack, bare))
                asyncio.run(route_change(options, report, stack))
                jitr = next(c.process.pid for c in stack.processes.children if c.name == "gateway")
                ours = rates.System("jitr", stack.gateway_url, jitr)
                if options.wants_case("surrogate/clients=16"):
                    artifact = Path(folder) / "desk"
                    asyncio.run(surrogate.publish(stack.settings, artifact, None, options.seed))
                systems = [s for s in (bare, ours) if options.wants_system(s.name)]
                peers = rates.start_peers(options, report, processes, upstream, Path(folder))
                most(options, report, systems, peers)
                long_runs(options, report, ours)
        finally:
            processes.stop()
        bursts.run(options, report)


if __name__ == "__main__":
    main()
