"""The snapshot follows the table, survives the loss of Redis for its lease, and knows a flush."""

from __future__ import annotations

import asyncio
import secrets
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from jitr.router.reasons import Reason
from jitr.router.scoring import artifacts
from jitr.router.snapshot import Snapshot, View
from jitr.router.table import RouteTable, key
from jitr.sandbox.redis import RedisServer
from jitr.schemas.calls import Call, Message
from jitr.schemas.record import encode
from jitr.schemas.routes import Route, RouteVersion
from jitr.schemas.settings import RedisSettings, Settings
from jitr.schemas.tasks import Task

Until = Callable[[Callable[[], Any]], Awaitable[None]]
Make = Callable[..., Route]


class Clock:
    """Monotonic seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def snapshot(settings: Settings, table: RouteTable, clock: Clock) -> AsyncIterator[Snapshot]:
    snapshot = Snapshot(settings, clock=clock)
    await snapshot.start()
    yield snapshot
    await snapshot.stop()


def live(snapshot: Snapshot, task: str = "t1") -> Any:
    view = snapshot.view("default")
    return view.routes.get(task) if isinstance(view, View) else None


async def test_before_the_first_read_there_is_no_snapshot(settings: Settings) -> None:
    snapshot = Snapshot(settings)
    assert snapshot.view("default") is Reason.NO_SNAPSHOT
    assert not snapshot.ready
    await snapshot.stop()


async def test_a_change_is_seen(
    snapshot: Snapshot, table: RouteTable, task: Task, route: Make, until: Until
) -> None:
    await table.apply_tasks([task])
    await table.apply_route(route("active", threshold=0.7))
    await until(lambda: live(snapshot) and live(snapshot).surrogate)
    assert live(snapshot).reason is Reason.ASK
    assert live(snapshot).threshold == 0.7
    view = snapshot.view("default")
    assert isinstance(view, View)
    prompt = "Is this review positive or negative? Review: fine"
    call = Call(id="1", model="big-llm", time=0.0, messages=(Message(role="user", content=prompt),))
    match = view.matcher.match(call)
    assert match is not None and match.task_id == "t1" and match.input == "fine"


async def test_a_change_whose_message_was_lost_is_seen_by_its_epoch(
    snapshot: Snapshot, settings: Settings, until: Until
) -> None:
    await until(lambda: snapshot.ready)
    redis = Redis.from_url(settings.redis.url)
    await redis.hset(key("default", "routes"), "t1", encode(Route(tenant="default", task="t1")))  # type: ignore[misc]
    await redis.set(key("default", "epoch"), "abc.1")
    await redis.aclose()
    await until(lambda: live(snapshot))


@pytest.mark.parametrize("state", ["teacher", "offered", "demoted", "paused"])
async def test_a_state_that_serves_no_surrogate_loads_none(
    state: str, snapshot: Snapshot, table: RouteTable, route: Make, until: Until
) -> None:
    await table.apply_route(route(state))
    await until(lambda: live(snapshot))
    assert live(snapshot).surrogate is None
    assert live(snapshot).reason == state


async def test_a_wrong_digest_leaves_the_teacher_and_says_so(
    snapshot: Snapshot, table: RouteTable, route: Make, until: Until
) -> None:
    await table.apply_route(route("active", surrogate={"digest": "0" * 64}))
    await until(lambda: live(snapshot) and live(snapshot).reason is Reason.ARTIFACT_REFUSED)
    assert live(snapshot).surrogate is None


@pytest.mark.parametrize("elsewhere", [True, False])
async def test_a_damaged_artifact_is_used_once_it_is_mended_or_lies_elsewhere(
    elsewhere: bool,
    snapshot: Snapshot,
    table: RouteTable,
    route: Make,
    until: Until,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not elsewhere:
        monkeypatch.setattr(artifacts, "CRASHED_S", 0.0)
    row = route("active")
    assert row.surrogate is not None
    whole, damaged = Path(row.surrogate.uri), tmp_path / "damaged"
    shutil.copytree(whole, damaged)
    for file in filter(Path.is_file, damaged.rglob("*")):
        file.write_bytes(file.read_bytes()[:-1] + b"?")
    await table.apply_route(route("active", surrogate={"uri": str(damaged)}))
    await until(lambda: live(snapshot) and live(snapshot).reason is Reason.ARTIFACT_REFUSED)
    if elsewhere:
        await table.apply_route(route("active"))
    else:
        shutil.copytree(whole, damaged, dirs_exist_ok=True)
    await until(lambda: live(snapshot).reason is Reason.ASK)


async def test_a_missing_artifact_is_tried_again(
    snapshot: Snapshot,
    table: RouteTable,
    route: Make,
    until: Until,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(artifacts, "RETRY_S", 0.0)
    row = route("active")
    assert row.surrogate is not None
    elsewhere = tmp_path / "late"
    moved = msgspec.structs.replace(row, surrogate=msgspec.structs.replace(row.surrogate, uri=str(elsewhere)))
    await table.apply_route(moved)
    await until(lambda: live(snapshot) and live(snapshot).reason is Reason.ARTIFACT_MISSING)
    elsewhere.symlink_to(row.surrogate.uri)
    await until(lambda: live(snapshot).reason is Reason.ASK)


async def test_an_artifact_named_by_another_scheme_is_fetched(
    snapshot: Snapshot, table: RouteTable, route: Make, until: Until
) -> None:
    import fsspec

    row = route("active")
    assert row.surrogate is not None
    memory = fsspec.filesystem("memory")
    # of its own: what lies in memory stays there for all tests of a process
    place = f"far-{secrets.token_hex(4)}/v1"
    memory.put(row.surrogate.uri, f"/{place}", recursive=True)
    far = msgspec.structs.replace(row.surrogate, uri=f"memory://{place}")
    await table.apply_route(msgspec.structs.replace(row, surrogate=far))
    await until(lambda: live(snapshot) and live(snapshot).reason is not Reason.ARTIFACT_LOADING)
    assert live(snapshot).reason is Reason.ASK


async def test_a_surrogate_that_was_not_proved_does_not_serve(
    snapshot: Snapshot, table: RouteTable, route: Make, until: Until
) -> None:
    await table.apply_route(route("active", surrogate={"proof": None}))
    await until(lambda: live(snapshot))
    assert live(snapshot).reason is Reason.NO_SURROGATE


async def test_a_flush_changes_nothing_until_the_table_is_written_again(
    snapshot: Snapshot, table: RouteTable, task: Task, route: Make, settings: Settings, until: Until
) -> None:
    row = route("active")
    other = Route(tenant="default", task="t2", version=RouteVersion(offset=1))
    await table.apply_tasks([task])
    await table.apply_routes([row, other])
    await until(lambda: live(snapshot) and live(snapshot).surrogate)
    redis = Redis.from_url(settings.redis.url)
    await redis.flushall()
    await redis.aclose()
    # a sign that the flush was seen: the next change after it is
    await table.apply_route(msgspec.structs.replace(other, state="paused", version=RouteVersion(offset=2)))
    await until(lambda: live(snapshot, "t2").route.state == "paused")
    assert live(snapshot).surrogate is not None, "a half-written table must not hide the rest"
    view = snapshot.view("default")
    assert isinstance(view, View)
    # the replay of a topic that is not compacted yet begins with older rows
    old = msgspec.structs.replace(row, state="teacher", version=RouteVersion(incarnation=0, offset=0))
    await table.apply_route(old)
    await table.apply_route(route("hold"))
    await until(lambda: live(snapshot).route.state == "hold")
    await table.apply_tasks([task])
    await until(lambda: snapshot.view("default").matcher is not None)  # type: ignore[union-attr]


async def test_a_flushed_table_that_nobody_writes_again_is_empty_after_the_lease(
    snapshot: Snapshot, table: RouteTable, route: Make, settings: Settings, clock: Clock, until: Until
) -> None:
    await table.apply_route(route("active"))
    await until(lambda: live(snapshot) and live(snapshot).surrogate)
    redis = Redis.from_url(settings.redis.url)
    await redis.flushall()
    await redis.publish(key("default", "changes"), "")
    await redis.aclose()
    await until(lambda: snapshot._tenants["default"].before_flush is not None)
    assert live(snapshot).surrogate is not None
    clock.now += settings.policy.lease_s + 1
    await until(lambda: isinstance(snapshot.view("default"), View) and live(snapshot) is None)


async def test_without_redis_the_last_snapshot_serves_out_its_lease_and_comes_back(
    settings: Settings, route: Make, clock: Clock, until: Until
) -> None:
    server = RedisServer()
    server.start()
    port = server.port
    try:
        settings = msgspec.structs.replace(settings, redis=RedisSettings(url=server.url))
        client = Redis.from_url(server.url)
        table = RouteTable(client)
        row = route("active")
        await table.apply_route(row)
        snapshot = Snapshot(settings, clock=clock)
        await snapshot.start()
        await until(lambda: live(snapshot) and live(snapshot).surrogate)
        server.stop()
        await until(lambda: not snapshot._reachable)
        assert live(snapshot).reason is Reason.ASK
        clock.now += settings.policy.lease_s + 1
        assert snapshot.view("default") is Reason.LEASE_EXPIRED
        server = RedisServer(port=port)
        await asyncio.to_thread(server.start)
        await until(lambda: isinstance(snapshot.view("default"), View))
        again = Redis.from_url(server.url)
        await RouteTable(again).apply_route(row)
        await until(lambda: live(snapshot) and live(snapshot).reason is Reason.ASK)
        await snapshot.stop()
        await client.aclose()
        await again.aclose()
    finally:
        server.stop()


async def test_counters_of_a_task_do_not_build_the_matcher_anew(
    snapshot: Snapshot, table: RouteTable, task: Task, until: Until
) -> None:
    await table.apply_tasks([task])
    await until(lambda: "t1" in snapshot._tenants["default"].rows.tasks)
    before = snapshot.view("default")
    await table.apply_tasks([msgspec.structs.replace(task, calls=77)])
    await until(lambda: snapshot._tenants["default"].rows.tasks["t1"].calls == 77)
    await until(lambda: snapshot.view("default") is not before)
    after = snapshot.view("default")
    assert isinstance(before, View) and isinstance(after, View)
    assert after.matcher is before.matcher


async def test_an_unknown_tenant_has_no_snapshot(snapshot: Snapshot, until: Until) -> None:
    await until(lambda: snapshot.ready)
    assert snapshot.view("stranger") is Reason.NO_SNAPSHOT
