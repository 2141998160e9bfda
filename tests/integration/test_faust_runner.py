"""What reaches an agent through Faust, when partitions come and go."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stage.servers.kafka import Kafka, eventually, settings_for

from jitr.agents.runtime.faust_app import Agent, FaustRunner
from jitr.agents.runtime.handler import Handler, IncomingEvent, Output
from jitr.agents.runtime.metrics import Metrics
from jitr.schemas.events import Event
from jitr.schemas.evidence import Tick


class Slow(Handler[str]):
    """Works for as long as it is not let go."""

    def __init__(self, seen: list[str], go: asyncio.Event) -> None:
        super().__init__()
        self.seen, self.go = seen, go

    def read(self, event: Event) -> str:
        return event.id

    async def handle(self, batch: Sequence[IncomingEvent[str]]) -> list[Output]:
        self.seen += [event.id for event in batch]
        await self.go.wait()
        return []


async def rebalance(runner: FaustRunner[Any]) -> None:
    """What Faust does in a rebalance that leaves everything with us."""
    app, places = runner.app, set(runner.places)
    await app._on_partitions_revoked(places)
    await app.consumer.on_partitions_revoked(set())
    await app._on_partitions_assigned(places, app.consumer_generation_id)


async def test_what_was_dropped_in_a_rebalance_comes_again_where_nothing_was_committed_yet(
    dev_broker: str, tmp_path: Path
) -> None:
    settings, _ = settings_for(dev_broker, tmp_path)
    seen: list[str] = []
    go = asyncio.Event()
    source = settings.topics.trainings
    agent: Agent[Any] = Agent("slow", (source,), lambda place: Slow(seen, go), batch=1, finish_s=0.1)
    ticks = [Tick(id=f"e{i}", tenant="t", task="k", time=0.0) for i in range(3)]
    async with Kafka(settings) as kafka:
        runner = FaustRunner(agent, settings, Metrics("w"))
        await runner.start()
        try:
            await runner.assigned.wait()
            await kafka.publish(source.name, ticks, pack=1, key="k")
            await eventually(lambda: seen == ["e0"])
            await rebalance(runner)
            await eventually(lambda: seen == ["e0", "e0"])
            go.set()
            await eventually(lambda: seen[-2:] == ["e1", "e2"])
        finally:
            await runner.stop()
