"""Whatever goes wrong round the gateway: no answer is lost or changed, and every call is accounted for.

A gateway serves an open loop of requests while one fault after another befalls Redis, Kafka, the disk, the
surrogate and the upstream (a simulation that also refuses, resets, drips and talks nonsense all the time).
Each answer is compared with what the upstream would have sent by itself. At the end all is put right, and the
counts must fit: calls in = calls in Kafka + dropped, by reason.

    python benchmarks/chaos.py --seconds 600 --rate 200

Prints one JSON object of totals; the exit status is 1 where anything was `wrong`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
from aiokafka import AIOKafkaConsumer
from faults.route import ANSWERS, PROMPT, review
from faults.stage import Stage
from faults.upstream import STREAMS, WAYS, answer
from prometheus_client.parser import text_string_to_metric_families

from jitr.schemas.dialects import read_call
from jitr.schemas.events import Event, decode_events

LEAVE = 0.03  # of all callers leave in the middle
SURROGATE = 0.4  # of all requests belong to the task that a surrogate answers
AT_ONCE = 200  # requests, so that a machine that is too slow for the rate is not buried in them
RECOVERY_S = 90.0
READ = ("jitr_waiting_events", "jitr_published_events_total", "jitr_in_flight_requests")


@dataclass
class Totals:
    """What was seen."""

    sent: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    routes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    decisions: set[str] = field(default_factory=set)
    took_ms: list[float] = field(default_factory=list)


class Caller:
    """Sends requests at a rate, up to `AT_ONCE` together, and compares each answer."""

    def __init__(self, stage: Stage, totals: Totals, seed: int) -> None:
        self._stage = stage
        self._totals = totals
        self._rng = random.Random(seed)
        self._places = asyncio.Semaphore(AT_ONCE)
        self.upstream_is_up = True

    async def run(self, rate: float, until: float) -> None:
        """Send until a time of the monotonic clock; then wait for the last answer."""
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=60)
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as http,
            asyncio.TaskGroup() as group,
        ):
            begun = time.monotonic()
            while time.monotonic() < until:
                due = begun + self._totals.sent / rate
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                await self._places.acquire()
                self._totals.sent += 1
                asked = group.create_task(self.one(http, self._totals.sent))
                asked.add_done_callback(lambda _: self._places.release())

    async def one(self, http: aiohttp.ClientSession, number: int) -> None:
        """Send one request, or leave in the middle of it."""
        rng, totals = self._rng, self._totals
        is_task = rng.random() < SURROGATE
        way = "plain" if is_task else rng.choices(list(WAYS), list(WAYS.values()))[0]
        text = f"{PROMPT} {review(rng)[0]}" if is_task else f"Tell me of {rng.randrange(10**9)}."
        body: dict[str, Any] = {
            "model": "big-llm",
            "messages": [{"role": "user", "content": f"{text} #{way}#{number}"}],
        }
        if way in STREAMS:
            body["stream"] = True
        headers = {"Authorization": "Bearer sk-chaos", "x-jitr-debug": "1"}
        url = f"{self._stage.gateway_url}/v1/chat/completions"
        was_up, begun = self.upstream_is_up, time.perf_counter()
        if rng.random() < LEAVE:
            try:
                async with (
                    asyncio.timeout(rng.random() * 0.05),
                    http.post(url, json=body, headers=headers) as reply,
                ):
                    await reply.content.read(10)
            except (aiohttp.ClientError, TimeoutError):
                pass
            totals.ended["left"] += 1
            return
        got, status, route = b"", 0, ""
        try:
            async with http.post(url, json=body, headers=headers) as reply:
                status, route = reply.status, reply.headers.get("x-jitr-route", "")
                totals.decisions.add(reply.headers.get("x-jitr-decision-id", ""))
                totals.reasons[reply.headers.get("x-jitr-reason", "")] += 1
                async for piece in reply.content.iter_any():
                    got += piece
            whole = True
        except (aiohttp.ClientError, TimeoutError) as error:
            whole, route = False, route or type(error).__name__
        totals.routes[route] += 1
        if not way.endswith(("drip", "slow")):
            totals.took_ms.append((time.perf_counter() - begun) * 1000)
        why = _wrong(way, number, status, got, whole, route, is_task)
        if not why:
            totals.ended["as it should be"] += 1
        elif not (was_up and self.upstream_is_up):
            totals.ended["upstream was away"] += 1
        else:
            totals.ended["wrong"] += 1
            totals.wrong.append(f"#{number} {way}: {why}")


def _wrong(way: str, number: int, status: int, got: bytes, whole: bool, route: str, is_task: bool) -> str:
    """Why an answer is not what the upstream would have sent; empty where it is."""
    if route == "surrogate":
        if not is_task:
            return "a surrogate answered another task"
        text = json.loads(got)["choices"][0]["message"]["content"] if status == 200 else ""
        return "" if text in ANSWERS else f"the surrogate said {text!r} ({status})"
    want = answer(way, number)
    if want.status == 0:
        return "" if not whole or status >= 500 else f"{status} for a connection that was reset"
    if status != want.status:
        # an answer that was cut off may as well be refused as a whole
        return (
            ""
            if not want.whole and status == 502
            else f"status {status} in the place of {want.status}: {got[:200]!r}"
        )
    if want.whole:
        return (
            ""
            if whole and got == want.body
            else f"{len(got)} bytes in the place of {len(want.body)}, {whole=}"
        )
    return "" if not whole and want.body.startswith(got) else f"an end where the upstream had none, {whole=}"


async def befall(
    stage: Stage, caller: Caller, totals: Totals, until: float, on_s: float, off_s: float
) -> None:
    """One fault after another, until a time of the monotonic clock."""
    while True:
        for fault in stage.faults:
            await asyncio.sleep(off_s)
            if time.monotonic() + on_s > until:
                return
            print(f"{time.strftime('%H:%M:%S')} {fault.name}", file=sys.stderr, flush=True)
            caller.upstream_is_up &= fault.name != "upstream killed"
            await fault.begin()
            try:
                await asyncio.sleep(on_s)
            finally:
                await fault.end()
            # requests that were sent while it was away have failed by now
            caller.upstream_is_up = True
            totals.faults[fault.name] += 1


async def page(stage: Stage, http: aiohttp.ClientSession, name: str) -> str:
    """A page of the gateway's."""
    async with http.get(f"{stage.gateway_url}/{name}") as reply:
        return await reply.text()


async def counts(stage: Stage, http: aiohttp.ClientSession) -> dict[str, Any]:
    """What the gateway has counted."""
    found: dict[str, Any] = {"requests": 0, "dropped": {}, "restarts": {}}
    for family in text_string_to_metric_families(await page(stage, http, "metrics")):
        for sample in family.samples:
            value = int(sample.value) if sample.value == int(sample.value) else sample.value
            if sample.name == "jitr_requests_total":
                found["requests"] += value
            elif sample.name == "jitr_dropped_events_total" and value:
                found["dropped"][sample.labels["reason"]] = value
            elif sample.name == "jitr_loop_restarts_total" and value:
                found["restarts"][sample.labels["loop"]] = value
            elif sample.name in READ:
                found[sample.name] = value
    return found


async def settled(stage: Stage, totals: Totals) -> dict[str, Any]:
    """Wait until nothing waits any more and the surrogate answers again; what was counted then."""
    deadline = time.monotonic() + RECOVERY_S
    async with aiohttp.ClientSession() as http:
        last = Caller(stage, totals, 1)
        while True:
            found = await counts(stage, http)
            before = totals.routes["surrogate"]
            for _ in range(5):
                totals.sent += 1
                await last.one(http, totals.sent)
            await asyncio.sleep(0.5)
            if totals.routes["surrogate"] > before and not found["jitr_waiting_events"]:
                break
            if time.monotonic() > deadline:
                totals.wrong.append(
                    f"not as before after {RECOVERY_S:g} s: {await page(stage, http, 'ready')}"
                )
                break
        quiet: dict[str, Any] = {}
        while time.monotonic() < deadline + 60:
            found = await counts(stage, http)
            if found == quiet and not found["jitr_waiting_events"]:
                return found
            quiet = found
            await asyncio.sleep(2.0)
        return quiet


async def in_kafka(bootstrap: str) -> tuple[set[str], int]:
    """The ids of all calls on the topic, and how many came more than once."""
    consumer = AIOKafkaConsumer("llm.calls", bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    seen: Counter[str] = Counter()
    try:
        while not consumer.assignment():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        ends = await consumer.end_offsets(consumer.assignment())
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    seen.update(call_ids(record.value, record.headers))
    finally:
        await consumer.stop()
    return set(seen), seen.total() - len(seen)


def call_ids(value: bytes, headers: Any) -> list[str]:
    """The ids of the calls in one record, each of which must be readable."""
    events = decode_events(value, headers, fallback_id="", fallback_time=0.0)
    bad = [event for event in events if not isinstance(event, Event)]
    assert not bad, bad
    return [read_call(event).id for event in events if isinstance(event, Event)]


def rss_mb(pid: int) -> float:
    """Memory of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


async def run(seconds: float, rate: float, seed: int) -> dict[str, Any]:
    """The whole of it."""
    totals = Totals()
    on_s, off_s = (8.0, 4.0) if seconds >= 60 else (1.3, 0.6)
    with tempfile.TemporaryDirectory() as folder:
        async with Stage(Path(folder)) as stage:
            until = time.monotonic() + seconds
            caller = Caller(stage, totals, seed)
            begun_mb = rss_mb(stage.gateway_pid)
            await asyncio.gather(
                caller.run(rate, until), befall(stage, caller, totals, until - off_s, on_s, off_s)
            )
            reached = totals.sent / seconds
            if not stage.alive("gateway"):
                raise SystemExit(f"the gateway has ended; it said:\n{stage.said('gateway')[-3000:]}")
            found = await settled(stage, totals)
            kept, again = await in_kafka(stage.bootstrap)
            ended_mb = rss_mb(stage.gateway_pid)
            log = stage.said("gateway")
            if log.count("Traceback") > log.count("ScorerEndedError:"):  # those are killed by us
                totals.wrong.append(f"the gateway's log: {log[log.index('Traceback') :][:1500]}")
    dropped = sum(found["dropped"].values())
    published = found["jitr_published_events_total"]
    if found["requests"] != published + dropped + found["jitr_waiting_events"]:
        totals.wrong.append(f"calls in are not calls published and dropped: {found}")
    if len(kept) != published:
        totals.wrong.append(f"{len(kept)} calls in Kafka, {published} published")
    missing = totals.decisions - kept - {""}
    if len(missing) > dropped:
        totals.wrong.append(f"{len(missing)} answers have no call in Kafka, {dropped} were dropped")
    took = np.array(totals.took_ms)
    return {
        "seconds": seconds,
        "rate": rate,
        "rate_reached": round(reached, 1),
        "requests": totals.sent,
        "ended": dict(totals.ended),
        "routes": dict(totals.routes),
        "reasons": dict(totals.reasons),
        "faults": dict(totals.faults),
        "calls_in": found["requests"],
        "calls_in_kafka": len(kept),
        "came_twice": again,
        "dropped": found["dropped"],
        "waiting": found["jitr_waiting_events"],
        "loop_restarts": found["restarts"],
        "p50_ms": round(float(np.quantile(took, 0.5)), 1),
        "p99_ms": round(float(np.quantile(took, 0.99)), 1),
        "gateway_mb": [round(begun_mb), round(ended_mb)],
        "wrong": len(totals.wrong),
        "first_wrong": totals.wrong[:10],
    }


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="36 seconds")
    parser.add_argument("--data", help="not used: it makes its own")
    options = parser.parse_args()
    totals = asyncio.run(run(36.0 if options.quick else options.seconds, options.rate, options.seed))
    print(json.dumps(totals))
    raise SystemExit(1 if totals["wrong"] else 0)


if __name__ == "__main__":
    main()
