"""The gateway's own keys: made, revoked and kept in Redis beside the routes, as hashes.

``jitr:{gateway}:keys`` is a hash of key id to record; ``jitr:{gateway}:keys-epoch`` changes with each change.
What keys have used stands beside them, by minute and by day.
"""

from __future__ import annotations

import hmac
import logging
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from redis.asyncio import Redis

from jitr.router.callers.credentials import digest
from jitr.router.table import key
from jitr.schemas.errors import NotFoundError, RecordError, TransitionError
from jitr.schemas.keys import GatewayKey
from jitr.schemas.record import decode, encode

log = logging.getLogger(__name__)
_OWNER: Final = "gateway"
_PREFIX: Final = "sk-jitr-"
_ID_DIGITS: Final = 10


@dataclass(frozen=True, slots=True)
class Used:
    """What a key has used at all gateways together: requests in a minute, dollars on a day of UTC."""

    requests: int = 0
    usd: float = 0.0


class Keyring:
    """The keys in one Redis.

    Parameters
    ----------
    redis : redis.asyncio.Redis
        The caller's; it stays open.
    prefix : str
        ``redis.prefix``.

    Examples
    --------
    >>> async def example(redis):
    ...     made, shown = await Keyring(redis).create("acme", requests_per_min=60)
    ...     return named(shown, {made.id: made}) == made
    """

    def __init__(self, redis: Redis, prefix: str = "") -> None:
        self._redis: Final = redis
        self._prefix: Final = prefix
        self._keys: Final = key(_OWNER, "keys", prefix)
        self._epoch: Final = key(_OWNER, "keys-epoch", prefix)

    async def create(
        self,
        tenant: str,
        *,
        name: str = "",
        by: str = "",
        requests_per_min: int | None = None,
        usd_per_day: float | None = None,
    ) -> tuple[GatewayKey, str]:
        """Make a key; the string that is the key itself is kept nowhere."""
        made, shown = new_key(
            tenant, name=name, by=by, requests_per_min=requests_per_min, usd_per_day=usd_per_day
        )
        await self._put([made])
        return made, shown

    async def revoke(self, id: str) -> GatewayKey:
        """Let a key be good no longer; every gateway refuses it within a second.

        Raises
        ------
        NotFoundError
            If there is no such key.
        TransitionError
            If it is revoked already.
        """
        found = revocable(id, await self.all())
        gone = msgspec.structs.replace(found, revoked=time.time())
        await self._put([gone])
        return gone

    async def all(self) -> dict[str, GatewayKey]:
        """Every key by its id, also those that are revoked."""
        found = {}
        for raw in (await self._redis.hgetall(self._keys)).values():
            try:
                known = decode(raw, GatewayKey)
            except RecordError as error:
                log.error("a key of the gateway in Redis cannot be read (%s); it is refused", error)
                continue
            found[known.id] = known
        return found

    async def epoch(self) -> str | None:
        """What changes with every change; None where there never was a key, or Redis was flushed."""
        value = await self._redis.get(self._epoch)
        return value.decode() if isinstance(value, bytes) else value

    async def restore(self, known: Iterable[GatewayKey]) -> None:
        """Write keys again that a flush has taken; one that is there stays as it is."""
        pipe = self._redis.pipeline(transaction=True)
        for one in known:
            pipe.hsetnx(self._keys, one.id, encode(one))
        pipe.set(self._epoch, secrets.token_hex(8))
        await pipe.execute()

    async def use(self, used: Mapping[str, Used], minute: int, day: int) -> dict[str, Used]:
        """Add what keys have used here, and return what they have used everywhere.

        Parameters
        ----------
        used : mapping of key id to Used
        minute, day : int
            Of the epoch (UTC).
        """
        if not used:
            return {}
        requests = key(_OWNER, f"requests:{minute}", self._prefix)
        usd = key(_OWNER, f"usd:{day}", self._prefix)
        pipe = self._redis.pipeline(transaction=True)
        for id, one in used.items():
            pipe.hincrby(requests, id, one.requests)
            pipe.hincrbyfloat(usd, id, one.usd)
        pipe.expire(requests, 180)
        pipe.expire(usd, 2 * 86_400)
        totals = await pipe.execute()
        return {id: Used(int(totals[2 * n]), float(totals[2 * n + 1])) for n, id in enumerate(used)}

    async def usd_today(self, day: int) -> dict[str, float]:
        """Dollars that each key has used on a day."""
        found: dict[Any, Any] = await self._redis.hgetall(key(_OWNER, f"usd:{day}", self._prefix))
        return {(id.decode() if isinstance(id, bytes) else id): float(usd) for id, usd in found.items()}

    async def _put(self, rows: Iterable[GatewayKey]) -> None:
        pipe = self._redis.pipeline(transaction=True)
        for row in rows:
            pipe.hset(self._keys, row.id, encode(row))
        pipe.set(self._epoch, secrets.token_hex(8))
        await pipe.execute()


def new_key(tenant: str, **fields: Any) -> tuple[GatewayKey, str]:
    """Make a key of 256 random bits, and the record of it.

    Examples
    --------
    >>> made, shown = new_key("acme", name="checkout")
    >>> shown.startswith(f"sk-jitr-{made.id}-"), shown in repr(made)
    (True, False)
    """
    id = secrets.token_hex(_ID_DIGITS // 2)
    shown = f"{_PREFIX}{id}-{secrets.token_urlsafe(32)}"
    return GatewayKey(id=id, tenant=tenant, digest=digest(shown), created=time.time(), **fields), shown


def named(shown: str, known: Mapping[str, GatewayKey]) -> GatewayKey | None:
    """The key that somebody shows, if it is one of ours and good.

    Examples
    --------
    >>> made, shown = new_key("acme")
    >>> named(shown, {made.id: made}) == made, named(shown + "x", {made.id: made}), named("sk-other", {})
    (True, None, None)
    """
    one = known.get(shown.removeprefix(_PREFIX)[:_ID_DIGITS])
    # the time that this takes tells nothing of the hash
    good = one is not None and hmac.compare_digest(one.digest, digest(shown)) and one.revoked is None
    return one if good else None


def revocable(id: str, known: Mapping[str, GatewayKey]) -> GatewayKey:
    """The key of an id, if it can be revoked.

    Raises
    ------
    NotFoundError, TransitionError
        As `Keyring.revoke`.
    """
    if id not in known:
        raise NotFoundError(f"no key {id!r}; `jitr keys list` shows their ids")
    if known[id].revoked is not None:
        raise TransitionError(f"key {id} is revoked already")
    return known[id]
