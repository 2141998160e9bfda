"""How every client of Redis here reaches it: alone, by Sentinel or as a cluster, with TLS and users."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.connection import parse_url
from redis.asyncio.sentinel import MasterNotFoundError, Sentinel, SentinelConnectionPool
from redis.exceptions import AuthenticationError, NoPermissionError

from jitr.schemas.errors import ConfigError
from jitr.schemas.servers import RedisSettings
from jitr.schemas.urls import safe_text


def connect(redis: RedisSettings, *, timeout_s: float | None = None) -> Redis:
    """A client, which connects when it is first used; whoever has it closes it.

    Parameters
    ----------
    timeout_s : float, optional
        Of a connection and of each answer; redis-py's own by default.

    Raises
    ------
    ConfigError
        If a file of certificates or keys is not there.

    Examples
    --------
    >>> type(connect(RedisSettings())).__name__, type(connect(RedisSettings(cluster=True))).__name__
    ('Redis', 'RedisCluster')
    """
    options = _tls(redis)
    if timeout_s is not None:
        options |= {"socket_timeout": timeout_s, "socket_connect_timeout": timeout_s}
    if redis.cluster:
        # the same commands, but it is no subclass
        return cast(Redis, RedisCluster.from_url(redis.url, **options))
    if redis.sentinels:
        return _master(redis, options)
    return Redis.from_url(redis.url, **options)


def why(redis: RedisSettings, error: BaseException) -> str:
    """Why Redis does not answer, and the mend.

    Examples
    --------
    >>> why(RedisSettings(), AuthenticationError("invalid username-password pair"))[-55:]
    'pair); user and password stand in redis.url (REDIS_URL)'
    """
    detail = safe_text(str(error) or type(error).__name__)
    said = f"Redis at {redis.shown}"
    if isinstance(error, NoPermissionError):
        return f"{said} refuses a command ({detail}); `jitr doctor --acls` prints the rights it takes"
    if isinstance(error, AuthenticationError) or "NOAUTH" in detail or "WRONGPASS" in detail:
        return f"{said} refuses us ({detail}); user and password stand in redis.url (REDIS_URL)"
    if isinstance(error, MasterNotFoundError):
        return f"{said}: no sentinel tells of it ({detail}); are sentinels and sentinel_master right?"
    if "certificate" in detail.lower() or "SSL" in detail:
        return (
            f"{said} does not agree on TLS ({detail}); redis.ca_file must name who signed its certificate,"
            " the URL a host that stands in it, and redis.cert_file one that it takes, where it asks"
        )
    tls = ", and redis.cert_file set where it asks for one" if redis.tls and not redis.cert_file else ""
    return f"{said} does not answer ({detail}); is it running, is --redis or REDIS_URL right{tls}?"


def _tls(redis: RedisSettings) -> dict[str, Any]:
    if not redis.tls:
        return {}
    for name in ("ca_file", "cert_file", "key_file"):
        file = getattr(redis, name)
        if file and not Path(file).is_file():
            raise ConfigError(f"redis.{name}: there is no file {file}")
    files = {
        "ssl_ca_certs": redis.ca_file,
        "ssl_certfile": redis.cert_file,
        "ssl_keyfile": redis.key_file,
        "ssl_password": redis.key_password,
    }
    return {"ssl_check_hostname": redis.check_hostname} | {k: v for k, v in files.items() if v}


def _master(redis: RedisSettings, options: dict[str, Any]) -> Redis:
    url: dict[str, Any] = dict(parse_url(redis.url))
    for place in ("host", "port", "connection_class"):
        url.pop(place, None)
    tls = {"ssl": True} if redis.tls else {}
    login = {"username": redis.sentinel_username, "password": redis.sentinel_password}
    sentinel = Sentinel(  # type: ignore[no-untyped-call]  # redis-py has no types here
        [_host_port(place) for place in redis.sentinels],
        sentinel_kwargs={**options, **tls, **{k: v for k, v in login.items() if v}},
        **{**options, **tls, **url},
    )
    return cast(Redis, sentinel.master_for(redis.sentinel_master, connection_pool_class=_Pool))


def _host_port(place: str) -> tuple[str, int]:
    host, _, port = place.rpartition(":")
    return host.strip("[]"), int(port)


class _Pool(SentinelConnectionPool):
    """Connections to the master; the clients of its sentinels are closed with it."""

    async def aclose(self) -> None:
        await super().aclose()
        for sentinel in self.sentinel_manager.sentinels:
            await sentinel.aclose()
