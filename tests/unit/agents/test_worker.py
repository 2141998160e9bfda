"""A worker says what it does, and refuses what it cannot."""

import aiohttp
import pytest
from aiokafka import TopicPartition
from stage.servers.kafka import eventually, settings_for

from jitr.agents.runtime.metrics import MOST_TASKS, Metrics
from jitr.agents.runtime.watchdog import Progress
from jitr.agents.worker import Worker
from jitr.schemas.errors import ConfigError, UnavailableError
from jitr.schemas.money import Money
from jitr.schemas.routes import Route
from jitr.schemas.settings import Settings


def route(n, **fields):
    return Route(**({"tenant": "t", "task": f"k{n}"} | fields))


async def test_an_unknown_agent_is_refused_with_the_nearest_name():
    with pytest.raises(ConfigError, match="did you mean `detect`"):
        Worker(Settings(), ["detct"])


async def test_a_broker_that_is_not_there_is_said_to_be_away():
    settings = Settings.load(environ={"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "JITR_WORKER__PORT": "0"})
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:1"):
        await Worker(settings, ["detect"]).start()


async def test_a_worker_serves_its_metrics_and_its_health_on_loopback(dev_broker, tmp_path):
    settings = Settings.load(
        environ={
            "KAFKA_BOOTSTRAP_SERVERS": dev_broker,
            "JITR_KAFKA__PREFIX": "metrics.",
            "JITR_WORKER__PORT": "0",
            "JITR_STATE__ROOT": str(tmp_path),
        }
    )
    worker = Worker(settings, ["control"])
    await worker.start()
    try:
        await worker.ready()
        async with aiohttp.ClientSession(f"http://127.0.0.1:{worker.port}") as client:
            for page in ("/health", "/ready"):
                async with client.get(page) as answer:
                    assert answer.status == 200
            async with client.get("/metrics") as answer:
                page = await answer.text()
            for headers in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}):
                for path in ("/metrics", "/ready", "/health", "/nothing"):
                    async with client.get(path, headers=headers) as answer:
                        assert answer.status == 403 and "is not allowed here" in await answer.text()
    finally:
        await worker.stop()
    assert "jitr_build_info{" in page
    assert "# TYPE jitr_batch_seconds histogram" in page


async def test_a_loop_that_dies_is_begun_again_and_seen(dev_broker, tmp_path):
    settings, _ = settings_for(dev_broker, tmp_path)
    worker = Worker(settings, ["control"])
    await worker.start()
    try:
        await worker.ready()
        shown = worker.metrics.show_tasks
        worker.metrics.show_tasks = None  # what the report calls each second
        async with aiohttp.ClientSession(f"http://127.0.0.1:{worker.port}") as client:

            async def ready():
                async with client.get("/ready") as answer:
                    return answer.status, await answer.text()

            async def page():
                async with client.get("/metrics") as answer:
                    return await answer.text()

            async def died():
                status, text = await ready()
                return status == 503 and "loop report died of TypeError" in text

            await eventually(died)
            assert 'jitr_loop_up{loop="report"} 0.0' in await page() or await ready() == (200, "ready")
            worker.metrics.show_tasks = shown

            async def mended():
                return await ready() == (200, "ready") and 'jitr_loop_up{loop="report"} 1.0' in await page()

            await eventually(mended)
            assert 'jitr_loop_restarts_total{loop="report"} 0.0' not in await page()
            assert 'jitr_loop_up{loop="watchdog"} 1.0' in await page()
    finally:
        await worker.stop()


def test_routes_are_shown_by_state_and_money():
    metrics = Metrics("w")
    money = Money(teacher_calls=10, teacher_usd=1.0, answered_calls=90, train_usd=2.0)
    metrics.show_routes([route(1, state="active", money=money, labels=7)])
    page = metrics.page().decode()
    for line in (
        'jitr_route_state{state="active",task="k1"} 1.0',
        'jitr_route_state{state="teacher",task="k1"} 0.0',
        'jitr_cost_usd{kind="train",task="k1"} 2.0',
        'jitr_saved_usd{task="k1"} 7.0',
        'jitr_labels{task="k1"} 7.0',
    ):
        assert line in page


def test_beyond_many_tasks_the_rest_are_shown_together():
    metrics = Metrics("w")
    metrics.show_routes([route(n, money=Money(teacher_usd=1.0)) for n in range(MOST_TASKS + 30)])
    page = metrics.page().decode()
    assert page.count("jitr_saved_usd{") == MOST_TASKS + 1
    assert 'jitr_cost_usd{kind="teacher",task="other"} 30.0' in page


def test_a_group_that_lags_and_moves_is_not_stuck():
    place, progress = TopicPartition("t", 0), Progress(patience_s=10.0)
    for step in range(20):
        assert progress.stuck("g", {place: 1000}, {place: step}, now_s=step * 5.0) == []
    assert progress.stuck("g", {place: 1000}, {place: 19}, now_s=120.0) == [place]
