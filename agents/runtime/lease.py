"""A lease in Redis: one worker at a time does long work, and a dead one does not hold it for long."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from redis.asyncio import Redis
from redis.exceptions import RedisError

from jitr.schemas.errors import UnavailableError

_EXPIRES_MS = 15_000
_RENEW_S = 5.0
# only the holder may renew or give back
_OURS = "if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end "
_RENEW = _OURS + "return redis.call('pexpire', KEYS[1], ARGV[2])"
_GIVE_BACK = _OURS + "return redis.call('del', KEYS[1])"


@asynccontextmanager
async def lease(redis: Redis, name: str) -> AsyncIterator[None]:
    """Wait until the lease is ours, and renew it until the block ends.

    Raises
    ------
    UnavailableError
        If Redis does not answer when the lease is taken; while it is held, Redis may come and go.
    """
    token = secrets.token_hex(8)
    try:
        while not await redis.set(name, token, nx=True, px=_EXPIRES_MS):  # noqa: ASYNC110
            await asyncio.sleep(0.5)
    except RedisError as error:
        raise UnavailableError(f"Redis does not answer, so no lease can be taken: {error}") from error
    renewing = asyncio.get_running_loop().create_task(_renew(redis, name, token), name=f"renew {name}")
    try:
        yield
    finally:
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)
        # where Redis is away it expires by itself
        with suppress(RedisError):
            await redis.eval(_GIVE_BACK, 1, name, token)


async def _renew(redis: Redis, name: str, token: str) -> None:
    while True:
        await asyncio.sleep(_RENEW_S)
        try:
            await redis.eval(_RENEW, 1, name, token, _EXPIRES_MS)
        except RedisError:
            continue
