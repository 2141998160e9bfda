"""Settings: flag over environment over file over default; an unknown key is an error."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from jitr.schemas.errors import ConfigError, nearest
from jitr.schemas.policy import Policy
from jitr.schemas.prices import DEFAULT_PRICES, Price
from jitr.schemas.sections import (
    GatewaySettings,
    PolicyOverride,
    RedactionSettings,
    SigningSettings,
    StateSettings,
    WorkerSettings,
)
from jitr.schemas.servers import SECRETS, KafkaSettings, RedisSettings
from jitr.schemas.topics import Topics


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that can be set.

    ``redact`` replaces e-mail addresses, telephone, card and account numbers, keys and tokens before anything
    is kept. ``redact_names`` names a spaCy pipeline (``en_core_web_sm``) that finds names of people, which
    are then replaced too; empty, they stay. ``redaction`` chooses among the patterns and adds some.

    Examples
    --------
    >>> Settings.load(environ={"JITR_POLICY__TARGET": "0.9"}).policy.target
    0.9
    >>> Settings.load(environ={"JITR_POLICY__TRGET": "0.9"})
    Traceback (most recent call last):
        ...
    jitr.schemas.errors.ConfigError: JITR_POLICY__TRGET: unknown key `policy.trget`; did you mean `target`?
    """

    kafka: KafkaSettings = KafkaSettings()
    redis: RedisSettings = RedisSettings()
    state: StateSettings = StateSettings()
    worker: WorkerSettings = WorkerSettings()
    gateway: GatewaySettings = GatewaySettings()
    signing: SigningSettings = SigningSettings()
    policy: Policy = Policy()
    overrides: tuple[PolicyOverride, ...] = ()
    prices: dict[str, Price] = msgspec.field(default_factory=DEFAULT_PRICES.copy)
    redact: bool = True
    redact_names: str = ""
    redaction: RedactionSettings = RedactionSettings()
    log_level: str = "INFO"

    @property
    def topics(self) -> Topics:
        """The topics under this prefix."""
        return Topics.under(self.kafka.prefix, self.kafka.partitions)

    def policy_of(self, tenant: str, task: str) -> Policy:
        """The policy of one task: the default, then its tenant's fields, then its own."""
        fitting = [
            o
            for o in self.overrides
            if (o.tenant is None or o.tenant == tenant) and (o.task is None or o.task == task)
        ]
        fitting.sort(key=lambda o: (o.task is not None, o.tenant is not None))
        merged = msgspec.to_builtins(self.policy)
        for override in fitting:
            merged.update(override.set)
        return msgspec.convert(merged, Policy) if fitting else self.policy

    @classmethod
    def load(
        cls,
        file: Path | None = None,
        *,
        flags: Mapping[str, Any] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> Settings:
        """Read settings from a TOML file, the environment and flags.

        Parameters
        ----------
        file : Path, optional
            TOML, or JSON where its name ends so; ``${NAME}`` in a string is taken from the environment, so
            that no secret stands in it. By default the file that ``JITR_CONFIG`` names, if it does.
        flags : mapping, optional
            Dotted keys such as ``kafka.bootstrap``; None values are no flags.
        environ : mapping, optional
            The environment, by default the process's own. ``JITR_KAFKA__PREFIX`` sets ``kafka.prefix``;
            ``KAFKA_BOOTSTRAP_SERVERS``, ``REDIS_URL``, ``OPENAI_BASE_URL`` and ``LOG_LEVEL`` are
            understood too.

        Raises
        ------
        ConfigError
            Naming the source, the key and the mend.
        """
        env = os.environ if environ is None else environ
        if file is None and env.get("JITR_CONFIG"):
            file = Path(env["JITR_CONFIG"])
        merged: dict[str, Any] = {}
        if file is not None:
            _merge_tree(merged, _read(file, env), str(file))
        for name, key in _STANDARD.items():
            if env.get(name):
                _set(merged, key.split("."), env[name], name)
        for name in sorted(env):
            if name.startswith("JITR_") and name not in _NO_SETTINGS:
                _set(merged, name.removeprefix("JITR_").lower().split("__"), env[name], name)
        for key, value in (flags or {}).items():
            if value is not None:
                _set(merged, key.split("."), value, f"--{key}")
        if "prices" in merged:
            merged["prices"] = msgspec.to_builtins(DEFAULT_PRICES) | merged["prices"]
        try:
            settings = msgspec.convert(merged, cls, strict=False)
            for override in settings.overrides:
                msgspec.convert(msgspec.to_builtins(settings.policy) | override.set, Policy)
        except msgspec.ValidationError as error:
            raise ConfigError(f"settings: {error}") from error
        return settings


def names_in(environ: Iterable[str]) -> list[str]:
    """The names of an environment that set something here.

    Examples
    --------
    >>> names_in(["PATH", "REDIS_URL", "JITR_POLICY__TARGET", "JITR_CONFIG"])
    ['REDIS_URL', 'JITR_POLICY__TARGET']
    """
    return [n for n in environ if n in _STANDARD or (n.startswith("JITR_") and n not in _NO_SETTINGS)]


_STANDARD = {
    "KAFKA_BOOTSTRAP_SERVERS": "kafka.bootstrap",
    "REDIS_URL": "redis.url",
    "OPENAI_BASE_URL": "gateway.upstream",
    "LOG_LEVEL": "log_level",
}
_NO_SETTINGS = {"JITR_DATA", "JITR_CONFIG", "JITR_WEIGHTS"}


def _read(file: Path, env: Mapping[str, str]) -> dict[str, Any]:
    try:
        text = file.read_text()
        tree = msgspec.json.decode(text) if file.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, msgspec.DecodeError) as error:
        raise ConfigError(f"{file}: is not {file.suffix.lstrip('.').upper()}: {error}") from error

    def fill(value: Any, path: str = "") -> Any:
        if isinstance(value, dict):
            return {k: fill(v, f"{path}.{k}" if path else k) for k, v in value.items()}
        if path in SECRETS and value and not (isinstance(value, str) and "${" in value):
            env_name = path.replace(".", "_").upper()
            raise ConfigError(
                f"{file}: {path} is written out, and secrets stand in the environment only:"
                f' write "${{{env_name}}}" there, and export {env_name}'
            )
        if isinstance(value, list):
            return [fill(v) for v in value]
        return re.sub(r"\$\{(\w+)\}", name, value) if isinstance(value, str) else value

    def name(match: re.Match[str]) -> str:
        if match[1] not in env:
            raise ConfigError(f"{file}: ${{{match[1]}}} is not set in the environment; export it")
        return env[match[1]]

    filled: dict[str, Any] = fill(tree)
    return filled


def _merge_tree(
    into: dict[str, Any], tree: Mapping[str, Any], source: str, path: tuple[str, ...] = ()
) -> None:
    for key, value in tree.items():
        here = (*path, key)
        if isinstance(value, dict) and here[0] not in ("prices",) and not _is_leaf(here):
            _merge_tree(into, value, source, here)
        else:
            _set(into, list(here), value, source)


def _is_leaf(path: tuple[str, ...]) -> bool:
    kind: Any = Settings
    for key in path:
        fields = {f.name: f.type for f in msgspec.structs.fields(kind)} if _is_struct(kind) else {}
        if key not in fields:
            return True
        kind = fields[key]
    return not _is_struct(kind)


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _set(into: dict[str, Any], path: list[str], value: Any, source: str) -> None:
    kind: Any = Settings
    for depth, key in enumerate(path):
        if not _is_struct(kind):
            break
        fields = {f.name: f.type for f in msgspec.structs.fields(kind)}
        if key not in fields:
            raise ConfigError(f"{source}: unknown key `{'.'.join(path[: depth + 1])}`{nearest(key, fields)}")
        kind = fields[key]
    for key in path[:-1]:
        into = into.setdefault(key, {})
    # in the environment a list is its words
    into[path[-1]] = value.replace(",", " ").split() if _is_words(kind, value) else value


def _is_words(kind: Any, value: Any) -> bool:
    return isinstance(value, str) and kind == tuple[str, ...]
