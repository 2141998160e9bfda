"""The routing table on a real Redis: the newer row wins, whatever the order of writing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import permutations

import pytest
from redis.asyncio import Redis

from jitr.router.table import RouteTable, channels, key
from jitr.schemas.routes import Route, RouteVersion
from jitr.schemas.tasks import Signature, Task


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = Redis.from_url(redis_url)
    await client.flushall()
    yield client
    await client.aclose()


def route(incarnation: int, offset: int, **fields: object) -> Route:
    version = RouteVersion(incarnation=incarnation, offset=offset)
    return Route(tenant="default", task="t1", version=version, **fields)  # type: ignore[arg-type]


def task(**fields: object) -> Task:
    return Task(id="t1", tenant="default", signature=Signature(model="m", shape="user"), **fields)  # type: ignore[arg-type]


async def test_the_newest_route_stands_whatever_the_order_of_writing(redis: Redis) -> None:
    table = RouteTable(redis)
    rows = [route(1, 9), route(1, 10), route(2, 0)]
    for order in permutations(rows):
        await redis.flushall()
        for row in order:
            await table.apply_route(row)
        assert (await table.load("default")).routes == {"t1": rows[-1]}


async def test_an_older_or_equal_route_is_refused_and_changes_no_epoch(redis: Redis) -> None:
    table = RouteTable(redis)
    assert await table.apply_route(route(1, 10))
    epoch = await table.epoch("default")
    assert not await table.apply_route(route(1, 9, state="active"))
    assert not await table.apply_route(route(1, 10, state="active"))
    assert await table.epoch("default") == epoch
    assert (await table.load("default")).routes["t1"].state == "teacher"


async def test_offsets_are_compared_as_numbers(redis: Redis) -> None:
    table = RouteTable(redis)
    assert await table.apply_route(route(1_790_000_000_123, 99))
    assert await table.apply_route(route(1_790_000_000_123, 100))
    assert not await table.apply_route(route(1_790_000_000_122, 10**12))


async def test_a_route_without_a_version_gives_way_to_any_other(redis: Redis) -> None:
    table = RouteTable(redis)
    assert await table.apply_route(Route(tenant="default", task="t1"))
    assert await table.apply_route(route(0, 0))


async def test_tasks_are_ordered_by_version_then_life_then_calls(redis: Redis) -> None:
    table = RouteTable(redis)
    rows = [
        task(calls=20),
        task(status="task", calls=30),
        task(status="task", calls=31),
        task(version=2, status="task", calls=5),
        task(version=2, status="merged", merged_into="t0", calls=5),
    ]
    for order in ([4, 3, 2, 1, 0], [2, 0, 4, 1, 3], [0, 1, 2, 3, 4]):
        await redis.flushall()
        for at in order:
            await table.apply_tasks([rows[at]])
        assert (await table.load("default")).tasks == {"t1": rows[-1]}


async def test_a_new_name_of_a_task_is_applied_and_the_same_row_is_not(redis: Redis) -> None:
    table = RouteTable(redis)
    assert await table.apply_tasks([task(name="triage")]) == 1
    assert await table.apply_tasks([task(name="ticket triage")]) == 1
    assert await table.apply_tasks([task(name="ticket triage")]) == 0


async def test_many_rows_are_one_change(redis: Redis) -> None:
    table = RouteTable(redis)
    rows = [Route(tenant="default", task=f"t{n}", version=RouteVersion(offset=n)) for n in range(500)]
    assert await table.apply_routes(rows) == 500
    epoch = await table.epoch("default")
    assert epoch is not None and epoch.endswith(".1")


async def test_each_tenant_has_a_table_of_its_own(redis: Redis) -> None:
    table = RouteTable(redis)
    await table.apply_routes([Route(tenant="a", task="t"), Route(tenant="b", task="t", state="paused")])
    assert (await table.load("a")).routes["t"].state == "teacher"
    assert (await table.load("b")).routes["t"].state == "paused"
    assert (await table.load("c")).empty


async def test_every_change_is_published_with_its_epoch(redis: Redis) -> None:
    table = RouteTable(redis)
    async with redis.pubsub() as listener:
        await listener.psubscribe(channels())
        await listener.get_message(timeout=30)  # the subscription itself
        await table.apply_route(route(1, 1))
        message = await asyncio.wait_for(listener.get_message(ignore_subscribe_messages=True, timeout=30), 60)
    assert message is not None
    assert message["channel"] == key("default", "changes").encode()
    assert message["data"].decode() == await table.epoch("default")


async def test_an_epoch_never_comes_back_after_a_flush(redis: Redis) -> None:
    table = RouteTable(redis)
    await table.apply_route(route(1, 1))
    before = await table.epoch("default")
    await redis.flushall()
    assert await table.epoch("default") is None
    await table.apply_route(route(1, 1))
    assert await table.epoch("default") not in (None, before)


async def test_a_row_that_cannot_be_read_is_left_out_and_gives_way(redis: Redis) -> None:
    table = RouteTable(redis)
    await redis.hset(key("default", "routes"), "t1", "{damaged")  # type: ignore[misc]
    await redis.hset(key("default", "routes"), "t2", '{"tenant": 1}')  # type: ignore[misc]
    rows = await table.load("default")
    assert rows.routes == {} and len(rows.broken) == 2
    assert await table.apply_route(route(1, 1))


async def test_a_second_load_keeps_the_rows_that_did_not_change(redis: Redis) -> None:
    table = RouteTable(redis)
    await table.apply_routes([route(1, 1), Route(tenant="default", task="t2")])
    first = await table.load("default")
    await table.apply_route(route(1, 2))
    second = await table.load("default", known=first)
    assert second.routes["t2"] is first.routes["t2"]
    assert second.routes["t1"] is not first.routes["t1"]


async def test_two_deployments_on_one_redis_do_not_mix(redis: Redis) -> None:
    plain, acme = RouteTable(redis), RouteTable(redis, "acme*")
    async with redis.pubsub() as listener:
        await listener.psubscribe(channels("acme*"))
        assert (await listener.get_message(timeout=30))["type"] == "psubscribe"
        assert await plain.apply_route(route(1, 9))
        assert await acme.apply_route(route(1, 1, state="active"))
        assert await acme.apply_tasks([task()])
        messages = [await listener.get_message(timeout=30) for _ in range(2)]
        assert {m["channel"] for m in messages} == {key("default", "changes", "acme*").encode()}
        assert await RouteTable(redis, "acmeX").apply_route(route(1, 1))  # `*` is no pattern here
        assert await listener.get_message(timeout=0.1) is None
    assert (await plain.load("default")).routes["t1"].version.offset == 9
    assert (await acme.load("default")).routes["t1"].state == "active"
    assert (await plain.load("default")).tasks == {}
    assert await plain.epoch("default") != await acme.epoch("default")


async def test_no_prefix_and_tenant_make_the_keys_of_another(redis: Redis) -> None:
    assert await RouteTable(redis, "jitr:").apply_route(route(1, 9))
    assert (await RouteTable(redis).load("jitr:default")).empty
    assert (await RouteTable(redis).load("jitr:{default}")).empty
