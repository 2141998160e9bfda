"""Whom the gateway serves, and whom a surrogate may answer.

A surrogate's answer is worth what the upstream's is: it goes only to callers whom the upstream would serve.
Either the upstream decides, and its last word on a caller is believed for a while; or the gateway has keys of
its own, and the upstream's key stays here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy
from redis.asyncio import Redis
from redis.exceptions import RedisError

from jitr.router.callers.accepted import Accepted
from jitr.router.callers.bills import bill_usd
from jitr.router.callers.credentials import identity, instead, keys_in, tenant_of
from jitr.router.callers.keyring import Keyring, named
from jitr.router.callers.limits import CallerLimits
from jitr.router.http.upstream import UpstreamAnswer
from jitr.router.supervisor import Loops
from jitr.schemas.keys import GatewayKey
from jitr.schemas.settings import Settings

log = logging.getLogger(__name__)
CHECK_S: Final = 0.4
FOLLOWER: Final = "keys"
_MOST_MODEL: Final = 200
# what a key with a bound in dollars may call: its price can be told
_PRICED: Final = "/v1/chat/completions"
_FREE: Final = ("GET", "HEAD", "OPTIONS")


class RefusedError(Exception):
    """A caller is not served, and why; nothing in it is of what the caller has shown.

    Parameters
    ----------
    status : int
    message : str
    code : str
        For programs.
    kind : str, optional
        OpenAI's ``type`` of the error; by default after the status.
    retry_after_s : int, optional
    """

    def __init__(
        self,
        status: int,
        message: str,
        code: str,
        kind: str | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.kind = kind
        self.retry_after_s = retry_after_s


class KeyRefusedError(aiohttp.ClientError):
    """The upstream refuses the gateway's key: no fault of the caller's, who gets nothing of what it says."""


@dataclass(slots=True)
class Caller:
    """One request's sender, from its arrival to its bill.

    Attributes
    ----------
    tenant : str
        Whose tasks its calls are.
    key : GatewayKey or None
        The gateway's key that it has shown.
    """

    tenant: str
    key: GatewayKey | None
    _who: bytes
    _asked_at: float
    _callers: Callers
    _served: bool = False

    def proved(self, request: Mapping[str, Any]) -> bool:
        """Whether a surrogate may answer it in the place of the model that the request names."""
        return self.key is not None or self._callers.accepted.holds(self._who, _model(request))

    def heard(self, answer: UpstreamAnswer, request: Mapping[str, Any] | None = None) -> None:
        """Learn what the upstream answered to it.

        Without a request (it was not read, or went to another path) the answer proves nothing for a model,
        but a dead key is dead.

        Raises
        ------
        KeyRefusedError
            If it was the gateway's own key that the upstream refused; the answer is closed.
        """
        status = answer.status
        self._served = 200 <= status < 300
        if self.key is not None and status == 401:
            answer.close()
            log.error("the upstream refuses gateway.upstream_key (401): callers get 502 until it is right")
            raise KeyRefusedError("it refuses the gateway's own key; whoever runs the gateway has to mend it")
        if self.key is None and (request is not None or status == 401):
            model = _model(request or {})
            self._callers.accepted.heard(self._who, model, status, asked_at=self._asked_at)

    def charge(
        self,
        request: Mapping[str, Any],
        response: Mapping[str, Any] | None,
        *,
        asked_bytes: int = 0,
        kept: bytes = b"",
    ) -> None:
        """Put what the upstream's answer has cost on the key's bill; see `bill_usd` for the parameters."""
        if self.key is not None and self.key.usd_per_day is not None and self._served:
            prices = self._callers.prices
            usd = bill_usd(request, response, prices, asked_bytes=asked_bytes, kept=kept)
            self._callers.limits.charge(self.key, usd)

    def left(self, request: Mapping[str, Any], asked_bytes: int) -> None:
        """Put on the key's bill what was asked, where the caller went away before the upstream answered."""
        self._served = True
        self.charge(request, None, asked_bytes=asked_bytes)

    def sent(self, headers: CIMultiDict[str]) -> CIMultiDict[str]:
        """Headers for the upstream: with the upstream's key where the caller's is ours."""
        if self.key is not None:
            instead(headers, *self._callers.upstream_key)
        return headers


class Callers:
    """Knows callers by what they show.

    Parameters
    ----------
    settings : Settings
    redis : redis.asyncio.Redis
        Where the gateway's keys are; it stays open.
    follow : callable of tenant
        Told of each tenant that has a key, so that its routes are read.
    now : callable
        Seconds since the epoch.

    Attributes
    ----------
    loops : Loops
        What follows the keys in the background.
    """

    def __init__(
        self,
        settings: Settings,
        redis: Redis,
        *,
        follow: Callable[[str], None] = lambda tenant: None,
        now: Callable[[], float] = time.time,
    ) -> None:
        gateway = settings.gateway
        self.accepted: Final = Accepted(gateway.accepted_s)
        self.limits: Final = CallerLimits(now)
        self.prices: Final = dict(settings.prices)
        self.upstream_key: Final = (gateway.upstream_key_header, gateway.upstream_key)
        self._own_keys: Final = gateway.callers == "keys"
        self._tenants: Final = gateway.tenants
        self._tenant: Final = gateway.tenant
        self._keyring: Final = Keyring(redis, settings.redis.prefix)
        self._follow: Final = follow
        self._keys: dict[str, GatewayKey] | None = None
        self._epoch: str | None = None
        self.loops: Final = Loops()

    @property
    def ready(self) -> bool:
        """Whether it is known who may be served."""
        return not self._own_keys or self._keys is not None

    async def start(self) -> None:
        """Begin to follow the keys, where there are any."""
        if self._own_keys:
            self.loops.run(FOLLOWER, self._run)

    async def stop(self) -> None:
        """Follow no longer, and tell what is untold."""
        if self._own_keys:
            await self.loops.stop(FOLLOWER)
            with contextlib.suppress(RedisError, OSError, TimeoutError):
                await self._exchange()

    def admit(
        self, method: str, path: str, headers: CIMultiDictProxy[str] | CIMultiDict[str], query: str = ""
    ) -> Caller:
        """Let a request in.

        Raises
        ------
        RefusedError
            With the gateway's own keys: where none is shown, or none that is good, or its bounds are used up.
        """
        shown = keys_in(headers)
        if not self._own_keys:
            tenant = tenant_of(shown, self._tenants, self._tenant)
            return Caller(tenant, None, identity(headers, query), self.accepted.now(), self)
        if self._keys is None:
            message = "The gateway's keys cannot be read yet."
            raise RefusedError(503, message, "keys_unavailable", retry_after_s=1)
        key = named(shown[0], self._keys) if len(shown) == 1 else None
        if key is None:
            raise RefusedError(401, _says(shown), "invalid_api_key")
        if key.usd_per_day is not None and method not in _FREE and path != _PRICED:
            raise RefusedError(
                403,
                f"Key {key.id} has a bound in dollars: it calls {_PRICED} only, whose price can be told.",
                "path_without_price",
            )
        if (over := self.limits.take(key)) is not None:
            raise _exceeded(key, *over)
        return Caller(key.tenant, key, b"", 0.0, self)

    async def refresh(self) -> None:
        """Read keys that have changed, and exchange with the other gateways what was used."""
        epoch = await self._keyring.epoch()
        if epoch is None and self._keys:
            log.warning("the gateway's keys were flushed from Redis; they are written again")
            await self._keyring.restore(self._keys.values())
            epoch = await self._keyring.epoch()
        if self._keys is None or epoch != self._epoch:
            if self._keys is None:
                self.limits.begin(await self._keyring.usd_today(int(time.time() // 86_400)))
            self._keys, self._epoch = await self._keyring.all(), epoch
            for tenant in {key.tenant for key in self._keys.values() if key.revoked is None}:
                self._follow(tenant)
        await self._exchange()

    async def _exchange(self) -> None:
        used, minute, day = self.limits.untold()
        self.limits.told(used, await self._keyring.use(used, minute, day), minute, day)

    async def _run(self) -> None:
        well = True
        while True:
            try:
                await self.refresh()
                well = True
            except (RedisError, OSError, TimeoutError) as error:
                if well:
                    log.warning("the gateway's keys cannot be read (%s); those known go on", error)
                well = False
            await asyncio.sleep(CHECK_S)


def _model(request: Mapping[str, Any]) -> str:
    return str(request.get("model"))[:_MOST_MODEL]


def _says(shown: tuple[str, ...]) -> str:
    if not shown:
        return "No API key was provided. This gateway takes keys of its own: Authorization: Bearer KEY."
    if len(shown) > 1:
        return "Two different API keys were provided; provide one."
    return "Incorrect API key provided. This gateway takes keys of its own; ask whoever runs it for one."


def _exceeded(key: GatewayKey, bound: str, retry_after_s: int) -> RefusedError:
    if bound == "usd_per_day":
        says = f"Key {key.id} has used its {key.usd_per_day:g} US dollars of today (UTC)."
        return RefusedError(429, says, "insufficient_quota", "insufficient_quota", retry_after_s)
    says = f"Key {key.id} has used its {key.requests_per_min} requests a minute."
    return RefusedError(429, says, "rate_limit_exceeded", "requests", retry_after_s)
