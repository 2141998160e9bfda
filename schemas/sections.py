"""The sections of the settings file; those on Kafka and Redis stand in `schemas.servers`."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from jitr.schemas.only_teacher import may_be_waived

Port = Annotated[int, Meta(ge=0, le=65_535)]
Positive = Annotated[int, Meta(ge=1)]
_SHORTEST_KEY = 32
Seconds = Annotated[float, Meta(gt=0)]


class StateSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where datasets, artifacts and snapshots of state are kept: any fsspec URL or path."""

    root: str = ".jitr/state"


class WorkerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a worker runs. ``unmatched_per_s`` bounds the calls per tenant that go to mining.

    ``allowed_hosts`` are the names in `Host` under which its pages are served besides loopback's.
    """

    host: str = "127.0.0.1"
    port: Port = 6066
    allowed_hosts: tuple[str, ...] = ()
    unmatched_per_s: float = 2000.0
    train_memory_mb: int = 4096
    watchdog_s: float = 120.0


class GatewaySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the gateway listens, whom it serves, and where the LLM is.

    ``callers`` says whose keys are good: ``upstream``: the LLM decides, and surrogates answer whom it has
    served within ``accepted_s``; ``keys``: those of `jitr keys`, and ``upstream_key`` is sent to the LLM in
    their place, in the header ``upstream_key_header``. ``tenants`` maps an API key's sha256 to a tenant.
    ``allowed_hosts`` and ``allowed_origins`` are the names in `Host` and `Origin` that are served besides
    loopback's; ``*`` is any.

    ``harmless`` names parameters of requests with which a surrogate may answer all the same: such as no table
    of ours knows, or whose effect beyond the text nobody needs (`schemas.only_teacher`).

    ``max_connections`` bounds the callers connected at once, ``max_connections_per_address`` those of one
    address. A request's headers must come within ``header_timeout_s``, its body must keep coming, and the
    caller must keep reading. Bodies up to ``max_read_mb`` are read, together ``read_memory_mb`` at once;
    larger ones pass through. ``stop_timeout_s`` is how long a stop may take.
    ``scorers`` processes run surrogates; each may take ``surrogates_mb`` of memory for them.
    """

    host: str = "127.0.0.1"
    port: Port = 8080
    upstream: str = "https://api.openai.com/v1"
    callers: Literal["upstream", "keys"] = "upstream"
    accepted_s: Annotated[float, Meta(ge=0)] = 600.0
    upstream_key: str = ""
    upstream_key_header: str = "Authorization"
    tenant: str = "default"
    tenants: dict[str, str] = {}
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    upstream_timeout_s: float = 600.0
    spool_mb: int = 256
    publish_linger_ms: int = 50
    scorers: Annotated[int, Meta(ge=1, le=64)] = 1
    surrogates_mb: Annotated[int, Meta(ge=1)] = 2048
    harmless: tuple[str, ...] = ()
    max_connections: Positive = 4096
    max_connections_per_address: Positive = 3072
    header_timeout_s: Seconds = 10.0
    body_timeout_s: Seconds = 30.0
    send_timeout_s: Seconds = 60.0
    keepalive_s: Seconds = 75.0
    max_read_mb: Annotated[float, Meta(gt=0)] = 32.0
    read_memory_mb: Annotated[float, Meta(gt=0)] = 256.0
    max_task_names: Annotated[int, Meta(ge=0)] = 1000
    stop_timeout_s: Seconds = 20.0

    def __post_init__(self) -> None:
        for name in self.harmless:
            if not may_be_waived(name):
                raise ValueError(
                    f"gateway.harmless: a surrogate cannot do justice to `{name}`; leave it to the LLM"
                )
        for key in self.tenants:
            if not re.fullmatch("[0-9a-f]{64}", key):
                raise ValueError(
                    f"gateway.tenants: {len(key)} characters were given in the place of a key's sha256 "
                    "(64 digits 0-9a-f); a key must not stand in settings: put its hash there, as"
                    ' `printf %s "$KEY" | sha256sum` prints it'
                )
        if self.callers == "keys" and self.tenants:
            raise ValueError(
                'gateway.tenants is for callers = "upstream"; with callers = "keys" each key has its tenant:'
                " `jitr keys create --tenant NAME`"
            )
        if self.callers == "upstream" and self.upstream_key:
            raise ValueError(
                'gateway.upstream_key is sent only with callers = "keys": with "upstream" whoever reaches'
                " the gateway could use it"
            )


Kind = Literal["email", "phone", "card", "iban", "id", "key", "ip"]


class RedactionSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which kinds are replaced, and what else: ``patterns`` maps a word to a pattern in RE2's syntax.

    ``ip`` is no default: version numbers look like addresses, and logs are classified by them.
    """

    kinds: tuple[Kind, ...] = ("email", "phone", "card", "iban", "id", "key")
    patterns: dict[Annotated[str, Meta(pattern="^[a-z][a-z0-9_]{0,31}$")], str] = {}


class SigningSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keys of those who may move a route, from the environment; `schemas.signing` says what they sign.

    Each field holds one key or several with blanks between them: the first signs, all are accepted.
    ``people`` maps a name to its keys; ``person`` names whose key signs commands, by default the user's.
    """

    gateway_keys: str = ""
    worker_keys: str = ""
    people: dict[str, str] = {}
    person: str = ""

    def __post_init__(self) -> None:
        fields = {"gateway_keys": self.gateway_keys, "worker_keys": self.worker_keys}
        fields |= {f"people.{name}": words for name, words in self.people.items()}
        seen: dict[str, str] = {}
        for name, words in fields.items():
            for word in words.split():
                if len(word) < _SHORTEST_KEY:
                    raise ValueError(
                        f"signing.{name}: a key of {len(word)} characters was given, at least {_SHORTEST_KEY}"
                        " were expected: `openssl rand -hex 32` makes one"
                    )
                if seen.setdefault(word, name) != name:
                    raise ValueError(f"signing.{name} has a key of signing.{seen[word]}; each has its own")


class PolicyOverride(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Policy fields that differ for a tenant, or for one task of it."""

    tenant: str | None = None
    task: str | None = None
    set: dict[str, Any] = {}
