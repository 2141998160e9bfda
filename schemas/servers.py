"""Where Kafka and Redis are, and what they are shown: the sections ``[kafka]`` and ``[redis]``."""

from __future__ import annotations

from typing import Any, Final, Literal
from urllib.parse import urlsplit

import msgspec

from jitr.schemas.urls import HIDDEN, safe_url

# these stand in the environment, never in a file
SECRETS: Final = (
    "kafka.password",
    "kafka.key_password",
    "kafka.client_secret",
    "redis.key_password",
    "redis.sentinel_password",
)
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
Security = Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"]
Mechanism = Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]


class KafkaSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where Kafka is. ``partitions`` replaces the table's 8 when topics are made.

    ``security`` says what its listener speaks; with ``sasl_...`` a ``mechanism`` belongs to it, and with that
    ``username`` and ``password``, or for OAUTHBEARER where a token is had by client credentials (RFC 6749,
    section 4.4). ``ca_file`` names who signed Kafka's certificate, by default the system's authorities;
    ``cert_file`` and ``key_file`` are our own certificate, where Kafka asks for one.
    """

    bootstrap: str = "127.0.0.1:9092"
    prefix: str = ""
    partitions: int | None = None
    session_timeout_s: float = 12.0
    security: Security = "plaintext"
    mechanism: Mechanism = ""
    username: str = ""
    password: str = ""
    oauth_token_url: str = ""
    client_id: str = ""
    client_secret: str = ""
    scope: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    key_password: str = ""
    check_hostname: bool = True

    @property
    def tls(self) -> bool:
        """Whether the listener speaks TLS."""
        return self.security.endswith("ssl")

    @property
    def sasl(self) -> bool:
        """Whether we have to say who we are by SASL."""
        return self.security.startswith("sasl")

    @property
    def shown(self) -> str:
        """How it is reached, without what is secret in it: for a line that people read.

        Examples
        --------
        >>> KafkaSettings(security="sasl_plaintext", mechanism="PLAIN", username="gw", password="pw").shown
        '127.0.0.1:9092 (sasl_plaintext, PLAIN as gw)'
        """
        said: list[str] = [self.security]
        if self.sasl:
            said.append(f"{self.mechanism} as {self.username or self.client_id}")
        if self.tls and self.cert_file:
            said.append(f"certificate {self.cert_file}")
        if self.tls and not self.check_hostname:
            said.append("host name unchecked")
        return f"{safe_url(self.bootstrap)} ({', '.join(said)})"

    def __post_init__(self) -> None:
        if "@" in self.bootstrap:
            raise ValueError(
                "kafka.bootstrap is HOST:PORT, several with commas between; no credentials stand in it"
            )
        self._check_sasl()
        tls = ("ca_file", "cert_file", "key_file", "key_password")
        _only_with("kafka", self, tls, self.tls, 'kafka.security = "ssl" or "sasl_ssl"')
        if not self.check_hostname and not self.tls:
            raise ValueError('kafka.check_hostname is for kafka.security = "ssl" or "sasl_ssl" only')
        _whole_pair("kafka", self)

    def _check_sasl(self) -> None:
        by_name = ("username", "password")
        by_token = ("oauth_token_url", "client_id", "client_secret")
        if self.sasl and not self.mechanism:
            raise ValueError(
                f'kafka.security = "{self.security}" needs kafka.mechanism: PLAIN, SCRAM-SHA-256,'
                " SCRAM-SHA-512 or OAUTHBEARER"
            )
        _only_with(
            "kafka", self, ("mechanism",), self.sasl, 'kafka.security = "sasl_plaintext" or "sasl_ssl"'
        )
        oauth = self.mechanism == "OAUTHBEARER"
        _only_with("kafka", self, (*by_token, "scope"), oauth, 'kafka.mechanism = "OAUTHBEARER"')
        named = bool(self.mechanism) and not oauth
        _only_with("kafka", self, by_name, named, 'kafka.mechanism = "PLAIN" or "SCRAM-..."')
        for name in by_token if oauth else by_name if named else ():
            if not getattr(self, name):
                mend = "; set it from the environment" if f"kafka.{name}" in SECRETS else ""
                raise ValueError(f'kafka.mechanism = "{self.mechanism}" needs kafka.{name}{mend}')
        if oauth:
            url = urlsplit(self.oauth_token_url)
            if url.scheme != "https" and not (url.scheme == "http" and url.hostname in _LOOPBACK):
                raise ValueError("kafka.oauth_token_url begins with https://: a secret is sent there")

    def __repr__(self) -> str:
        return _safe_repr(self)


class RedisSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where Redis is; user and password stand in the URL, which comes from the environment.

    ``prefix`` stands before every key and channel: two deployments may share one Redis. ``rediss://`` is TLS,
    with ``ca_file``, ``cert_file`` and ``key_file`` as for Kafka. With ``sentinels`` (host:port each) they
    are asked where ``sentinel_master`` is, and of the URL only scheme, user, password and database count.
    ``cluster`` says that the URL names one node of a Redis Cluster.
    """

    url: str = "redis://127.0.0.1:6379/0"
    prefix: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    key_password: str = ""
    check_hostname: bool = True
    sentinels: tuple[str, ...] = ()
    sentinel_master: str = ""
    sentinel_username: str = ""
    sentinel_password: str = ""
    cluster: bool = False

    @property
    def tls(self) -> bool:
        """Whether Redis speaks TLS."""
        return self.url.startswith("rediss://")

    @property
    def shown(self) -> str:
        """How it is reached, without what is secret in it.

        Examples
        --------
        >>> RedisSettings(url="rediss://gw:pw@r:6379/0", sentinels=("s:26379",), sentinel_master="m").shown
        'rediss://gw:***@r:6379/0 (TLS, master m by sentinel s:26379)'
        """
        said = ["TLS"] if self.tls else []
        if self.sentinels:
            said.append(f"master {self.sentinel_master} by sentinel {', '.join(self.sentinels)}")
        if self.cluster:
            said.append("cluster")
        return safe_url(self.url) + (f" ({', '.join(said)})" if said else "")

    def __post_init__(self) -> None:
        if not self.url.startswith(("redis://", "rediss://", "unix://")):
            scheme = self.url.partition("://")[0] if "://" in self.url else "none"
            raise ValueError(f"a Redis URL begins with redis://, rediss:// or unix://; this scheme: {scheme}")
        tls = ("ca_file", "cert_file", "key_file", "key_password")
        _only_with("redis", self, tls, self.tls, "a redis.url that begins with rediss://")
        if not self.check_hostname and not self.tls:
            raise ValueError("redis.check_hostname is for a redis.url that begins with rediss:// only")
        _whole_pair("redis", self)
        if self.cluster and self.sentinels:
            raise ValueError("redis.cluster and redis.sentinels exclude each other: a cluster has none")
        if bool(self.sentinels) != bool(self.sentinel_master):
            raise ValueError("redis.sentinels and redis.sentinel_master belong together: set both or none")
        login = ("sentinel_username", "sentinel_password")
        _only_with("redis", self, login, bool(self.sentinels), "redis.sentinels")
        for sentinel in self.sentinels:
            host, _, port = sentinel.rpartition(":")
            if not host or not port.isdecimal():
                raise ValueError(f"redis.sentinels: {safe_url(sentinel)!r} was given, HOST:PORT was expected")
        if self.url.startswith("unix://") and (self.cluster or self.sentinels):
            raise ValueError(
                "redis.url is a socket of this machine: that is no cluster, and has no sentinels"
            )
        if self.cluster and urlsplit(self.url).path not in ("", "/", "/0"):
            raise ValueError("redis.url: a Redis Cluster has the database 0 only")

    def __repr__(self) -> str:
        return _safe_repr(self)


def _only_with(
    section: str, settings: msgspec.Struct, names: tuple[str, ...], fits: bool, needed: str
) -> None:
    given = [name for name in names if getattr(settings, name)]
    if given and not fits:
        raise ValueError(
            f"{section}.{given[0]} is set, which is for {needed} only: set that, or leave it out"
        )


def _whole_pair(section: str, settings: Any) -> None:
    if bool(settings.cert_file) != bool(settings.key_file):
        raise ValueError(f"{section}.cert_file and {section}.key_file belong together: set both or none")
    if settings.key_password and not settings.key_file:
        raise ValueError(f"{section}.key_password is for {section}.key_file only, which is not set")


def _safe_repr(settings: msgspec.Struct) -> str:
    secret = {name.rpartition(".")[2] for name in SECRETS}
    fields = {name: getattr(settings, name) for name in settings.__struct_fields__}
    shown = {
        name: HIDDEN if value and name in secret else safe_url(value) if name.endswith("url") else value
        for name, value in fields.items()
    }
    return f"{type(settings).__name__}({', '.join(f'{k}={v!r}' for k, v in shown.items())})"
