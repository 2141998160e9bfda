"""Many calls at once, and a version that follows another: surrogates with an encoder, through the gateway."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import msgspec
import pytest
from stage.encoded import encoder_surrogate

from jitr.models.encoders.weights import Weights
from jitr.models.training.train import TrainingResult
from jitr.router import patience
from jitr.schemas.errors import WeightsError
from jitr.schemas.routes import Route, SurrogateTarget

from .conftest import reviews

Make = Callable[..., Route]
Apply = Callable[[Route], Awaitable[None]]
Until = Callable[[Callable[[], Any]], Awaitable[None]]
BURST = 50


@pytest.fixture(scope="module")
def encoders(request: pytest.FixtureRequest) -> Weights:
    """The tiny encoder, in a folder that the scoring process looks into too."""
    folder = request.getfixturevalue("tiny_encoder")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JITR_WEIGHTS", str(folder))
        yield Weights()


@pytest.fixture(scope="module")
def versions(
    encoders: Weights, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, int], TrainingResult]:
    made: dict[tuple[str, int], TrainingResult] = {}

    def version(encoder: str, n: int) -> TrainingResult:
        if (encoder, n) not in made:
            folder = tmp_path_factory.mktemp("encoded") / f"v{n}"
            try:
                made[encoder, n] = encoder_surrogate(reviews(100 + n), folder, encoders, encoder, f"v{n}")
            except WeightsError as missing:
                pytest.skip(str(missing))
        return made[encoder, n]

    return version


def row(route: Make, result: TrainingResult, **fields: Any) -> Route:
    ref = result.ref()
    its_own = {"digest": ref.digest, "uri": ref.uri, "version": ref.version, "p99_ms": ref.p99_ms}
    made = route("active", surrogate=its_own, **fields)
    return msgspec.structs.replace(made, target=SurrogateTarget(version=ref.version))


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        yield session


@pytest.fixture
def slow_teacher(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the rule as it is, beside a teacher who takes a minute: so that it holds on a busy machine too."""
    monkeypatch.setattr(patience, "MOST_S", 30.0)
    world.gateway.router._teacher_times.learn("default", "t1", 60.0)


async def ask(world: Any, http: aiohttp.ClientSession, n: int) -> tuple[str, str]:
    """Who answered, and why."""
    text = f"the {'film' if n % 2 else 'plot and the cast'} was {'superb' if n % 3 else 'dull'} no {n}"
    url = f"{world.gateway.base_url}/chat/completions"
    async with http.post(url, json=world.request(text), headers={"x-jitr-debug": "1"}) as answer:
        assert answer.status == 200
        await answer.read()
        return answer.headers["x-jitr-route"], answer.headers["x-jitr-reason"]


@pytest.mark.parametrize("encoder", ["tiny", "minilm"])
async def test_a_burst_is_answered_by_the_surrogate(
    encoder: str,
    world: Any,
    http: aiohttp.ClientSession,
    route: Make,
    apply: Apply,
    versions: Any,
    slow_teacher: None,
) -> None:
    await apply(row(route, versions(encoder, 1)))
    answered = Counter(await asyncio.gather(*(ask(world, http, n) for n in range(BURST))))
    assert answered["surrogate", "accepted"] >= 45, answered
    assert world.snapshot.scorers.batches < BURST, "they went together"


async def test_a_burst_that_would_be_late_goes_to_the_teacher_at_once(
    world: Any, http: aiohttp.ClientSession, route: Make, apply: Apply, versions: Any
) -> None:
    """The other side of the rule: the first are answered, and those behind them are not made to wait."""
    await apply(row(route, versions("tiny", 1)))
    world.live().surrogate.held.cost_s = 0.04
    world.gateway.router._teacher_times.learn("default", "t1", 0.2)
    answered = Counter(await asyncio.gather(*(ask(world, http, n) for n in range(BURST))))
    assert answered["teacher", "busy"] >= 30, answered
    assert {reason for _, reason in answered} <= {"accepted", "busy", "surrogate_late"}


async def test_a_new_version_takes_over_without_a_pause(
    world: Any, http: aiohttp.ClientSession, route: Make, apply: Apply, versions: Any, slow_teacher: None
) -> None:
    await apply(row(route, versions("tiny", 1)))
    second = row(route, versions("tiny", 2))
    assert await world.table.apply_route(second)
    seen: list[tuple[str, str]] = []
    while world.live().route.version != second.version or len(seen) < 5:
        seen.append(await ask(world, http, len(seen)))
    seen.append(await ask(world, http, len(seen)))  # the last one above may have begun before the change
    assert set(seen) == {("surrogate", "accepted")}
    stamps = [call.decision for call in world.kept.calls]
    assert stamps[-1].surrogate == "v2" and stamps[-1].route_version == str(second.version)
    first = [s for s in stamps if s.surrogate == "v1"]
    assert all(s.route_version != str(second.version) for s in first), "each is stamped with its own row"


@pytest.mark.parametrize("fields", [{"demotions": 1}, {"holds": 1}])
async def test_a_version_against_which_something_was_found_answers_no_more(
    fields: dict[str, int], world: Any, http: aiohttp.ClientSession, route: Make, apply: Apply, versions: Any
) -> None:
    await apply(row(route, versions("tiny", 1)))
    far = msgspec.structs.replace(row(route, versions("tiny", 2)), **fields)
    seen: set[tuple[str, str]] = set()
    assert await world.table.apply_route(far)
    while world.live().route.version != far.version:
        await asyncio.sleep(0)
    seen.add(await ask(world, http, 0))
    assert world.kept.calls[-1].decision.surrogate in (None, "v2"), seen


async def test_a_killed_process_costs_the_callers_nothing(
    world: Any,
    http: aiohttp.ClientSession,
    route: Make,
    apply: Apply,
    versions: Any,
    slow_teacher: None,
    until: Until,
) -> None:
    await apply(row(route, versions("tiny", 1)))
    asking = asyncio.gather(*(ask(world, http, n) for n in range(BURST)))
    for pid in world.snapshot.scorers.pids:
        os.kill(pid, signal.SIGKILL)
    answered = Counter(await asking)
    assert sum(answered.values()) == BURST
    reasons = {reason for who, reason in answered if who == "teacher"}
    assert reasons <= {"surrogate_failed", "artifact_loading", "busy", "surrogate_late"}

    async def back() -> bool:
        return (await ask(world, http, 1)) == ("surrogate", "accepted")

    await until(back)
    url = world.gateway.base_url.removesuffix("/v1")
    async with http.get(f"{url}/metrics") as page:
        text = await page.text()
    assert 'jitr_loop_restarts_total{loop="scorer 1"} 1.0' in text
    assert "jitr_surrogate_batch_texts_count" in text and "jitr_surrogate_queue 0.0" in text
