"""The router in one's own program: on an event loop, in threads, and in forked children."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from stage.published import published

from jitr import Router, SyncRouter
from jitr.router.reasons import Reason
from jitr.router.table import RouteTable
from jitr.schemas.routes import Route
from jitr.schemas.servers import KafkaSettings, RedisSettings
from jitr.schemas.settings import Settings
from jitr.schemas.tasks import Task

PROMPT = "Is this review positive or negative? Review:"


def request(text: str = "the film was superb") -> dict[str, object]:
    return {"model": "big-llm", "messages": [{"role": "user", "content": f"{PROMPT} {text}"}]}


@pytest.fixture
async def served(
    settings: Settings,
    dev_broker: str,
    table: RouteTable,
    task: Task,
    route: Callable[..., Route],
    tmp_path: Path,
) -> Settings:
    """Settings of servers where a surrogate answers the task; calls go to a topic of their own."""
    kafka = KafkaSettings(bootstrap=dev_broker, prefix=f"{tmp_path.name}-")
    await table.apply_tasks([task])
    await table.apply_route(route())
    return msgspec.structs.replace(settings, kafka=kafka)


async def topic(settings: Settings, calls: int) -> list[str]:
    found = await published(settings.kafka.bootstrap, calls, topic=f"{settings.kafka.prefix}llm.calls")
    return [call.decision.reason for call in found if call.decision is not None]


async def test_a_router_of_settings_serves_from_its_first_line_and_publishes_what_it_was_told(
    served: Settings,
) -> None:
    async with Router.from_settings(served) as router:
        decision = await router.answer(request())
        assert (decision.answer, decision.reason) == ("Positive.", Reason.ACCEPTED)
        router.report(decision)
        assert router.lookup(request()).reason is Reason.ASK
        assert (await router.answer(request(), skip=True)).reason is Reason.OPT_OUT
    assert await topic(served, 1) == ["accepted"]


async def test_without_servers_it_starts_and_the_teacher_answers(tmp_path: Path) -> None:
    nowhere = Settings(
        redis=RedisSettings(url="redis://127.0.0.1:9/0"), kafka=KafkaSettings(bootstrap="127.0.0.1:9")
    )
    state = msgspec.structs.replace(nowhere.state, root=str(tmp_path))
    router = Router.from_settings(msgspec.structs.replace(nowhere, state=state))
    assert not await router.start(wait_s=0.05)
    decision = await router.answer(request())
    assert (decision.target, decision.reason) == ("teacher", Reason.NO_SNAPSHOT)
    router.report(decision, error="asked nobody")
    await router.close(deadline_s=0.5)


async def test_it_is_ready_only_when_the_surrogates_are_loaded(served: Settings) -> None:
    router = Router.from_settings(served)
    assert not await router.wait_ready(0.01)  # not started: nothing is read
    await router.start(wait_s=0.0)
    assert await router.wait_ready(60.0)
    assert (await router.answer(request())).answered
    await router.close()


async def test_a_start_that_is_given_up_leaves_nothing_behind(served: Settings) -> None:
    router = Router.from_settings(served)
    before = asyncio.all_tasks()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001), router:
            pytest.fail("it was ready at once")
    assert asyncio.all_tasks() == before


async def test_threads_share_a_router_that_needs_no_event_loop(served: Settings) -> None:
    def work() -> tuple[list[str], list[str]]:
        with SyncRouter(served) as router:
            assert router.wait_ready(60.0)

            def ask(n: int) -> str:
                decision = router.answer(request(f"number {n} was awful"))
                router.report(decision)
                return decision.answer or decision.reason.value

            with ThreadPoolExecutor(4) as pool:
                answers = list(pool.map(ask, range(20)))
            looked = [router.lookup(request()).reason.value, router.lookup({"model": "m"}).reason.value]
        return answers, looked

    answers, looked = await asyncio.to_thread(work)
    assert answers == ["Negative."] * 20
    assert looked == ["ask", "unreadable"]
    assert await topic(served, 20) == ["accepted"] * 20


async def test_a_closed_one_leaves_calls_to_the_teacher(served: Settings) -> None:
    def work() -> list[str]:
        router = SyncRouter(served)
        router.close()
        router.close()
        decisions = [router.answer(request()), router.lookup(request())]
        router.report(decisions[0])
        assert not router.wait_ready(0.0)
        return [f"{decision.target} {decision.reason}" for decision in decisions]

    assert await asyncio.to_thread(work) == ["teacher closed"] * 2


FORKS = """
import os, sys, time
from jitr import SyncRouter

request = {"model": "big-llm", "messages": [{"role": "user", "content": sys.argv[1] + " it was superb"}]}

def ask(router):
    assert router.wait_ready(60.0)
    decision = router.answer(request)
    router.report(decision)
    print(os.getpid() == parent, decision.answer, flush=True)

parent = os.getpid()
router = SyncRouter()
ask(router)
for _ in range(2):
    child = os.fork()
    if not child:
        ask(router)
        sys.exit(0)  # not os._exit: what it has of its parent's is collected
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
print("paused?", flush=True)
deadline = time.monotonic() + 60
while router.lookup(request).reason != "paused":
    assert time.monotonic() < deadline, router.lookup(request).reason
    time.sleep(0.01)
router.report(router.lookup(request), error="not asked")
router.close()
"""


async def test_a_forked_child_has_a_router_of_its_own_and_harms_its_parents_not(
    served: Settings, table: RouteTable, route: Callable[..., Route], tmp_path: Path
) -> None:
    config = tmp_path / "jitr.json"
    config.write_bytes(msgspec.json.encode(served))
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", FORKS, PROMPT),
        env={"JITR_CONFIG": str(config), "PYTHONPATH": ":".join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert program.stdout is not None
    async with asyncio.timeout(120):
        said = [(await program.stdout.readline()).decode().strip() for _ in range(4)]
        assert said == ["True Positive.", "False Positive.", "False Positive.", "paused?"]
        await table.apply_route(route("paused"))
        _, errors = await program.communicate()
    assert program.returncode == 0, errors.decode()
    assert b"Traceback" not in errors and b"ignored" not in errors, errors.decode()
    assert sorted(await topic(served, 4)) == ["accepted"] * 3 + ["paused"]
