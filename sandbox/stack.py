"""All that runs on one machine: broker, Redis, LLM, worker and gateway, each a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import os
import re
import signal
import socket
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from jitr.sandbox.keys import own_keys
from jitr.sandbox.processes import Child, Processes
from jitr.sandbox.redis import RedisServer
from jitr.schemas.errors import UnavailableError
from jitr.schemas.sections import SigningSettings
from jitr.schemas.servers import SECRETS
from jitr.schemas.settings import Settings, names_in
from jitr.schemas.urls import safe_url

Say = Callable[[str], None]


class Stack:
    """The processes of one run; `settings` names their addresses once it has started.

    Parameters
    ----------
    settings : Settings
        Where the servers are that are not brought, and everything else.
    folder : Path
        Logs, the broker's data and the settings file in force go here.
    kafka, redis : bool
        Bring a development broker, a Redis of our own.
    llm : list of str, optional
        Arguments of the simulated LLM (``python -m jitr.sandbox.llm``); None takes the settings' upstream.
    worker : bool
        Run the agents too, not only the gateway.
    say : callable
        Told what is being started.
    """

    def __init__(
        self,
        settings: Settings,
        folder: Path,
        *,
        kafka: bool,
        redis: bool,
        llm: list[str] | None = None,
        worker: bool = True,
        say: Say = lambda text: None,
    ) -> None:
        self.settings = settings
        self.folder = folder
        self.processes = Processes(folder / "logs")
        self._own_kafka = kafka
        self._own_redis = redis
        self._llm = llm
        self._with_worker = worker
        self._say = say
        self._redis: RedisServer | None = None
        self._before: Any = None

    @property
    def config(self) -> Path:
        """The settings file in force: `jitr tasks list --config` and its kin take it."""
        return self.folder / "jitr.json"

    @property
    def gateway_url(self) -> str:
        """What an OpenAI client takes as its base URL."""
        return f"http://{self.settings.gateway.host}:{self.settings.gateway.port}/v1"

    @property
    def llm_url(self) -> str:
        """The upstream's base URL."""
        return self.settings.gateway.upstream

    def start(self) -> None:
        """Start everything and wait until it is ready.

        Raises
        ------
        UnavailableError
            Naming the process and what it said.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        settings = self.settings
        if self._own_redis:
            self._say("starting Redis")
            self._redis = RedisServer()
            self._redis.start()
            settings = _with(settings, "redis", url=self._redis.url)
        if self._own_kafka:
            self._say("starting the development broker")
            data = self.folder / "broker"
            broker = self._python("broker", "jitr.sandbox.broker", "--port", "0", "--data", str(data))
            settings = _with(settings, "kafka", bootstrap=self._said(broker, r"^([\d.]+:\d+)$"))
        if self._llm is not None:
            self._say("starting the simulated LLM")
            llm = self._python("llm", "jitr.sandbox.llm", *self._llm)
            settings = _with(settings, "gateway", upstream=self._said(llm, r"on (http\S+)"))
        settings = _with(settings, "gateway", port=settings.gateway.port or _free_port())
        settings = _with(settings, "worker", port=settings.worker.port or _free_port())
        shown, secret = _without_secrets(settings)
        if self._own_kafka and settings.signing == SigningSettings():
            # made here, and kept here: the other verbs sign with them too
            keys = own_keys(self.folder, getpass.getuser())
            settings, shown = (msgspec.structs.replace(one, signing=keys) for one in (settings, shown))
        self.settings = settings
        self.config.unlink(missing_ok=True)
        with os.fdopen(os.open(self.config, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(shown)))
        self._say("starting the worker and the gateway")
        config = ("--config", str(self.config))
        worker = None
        if self._with_worker:
            worker = self._python("worker", "jitr.cli", "worker", *config, environ=secret)
        gateway = self._python("gateway", "jitr.cli", "gateway", *config, environ=secret)
        self.processes.wait_until(gateway, lambda: _answers(settings.gateway.port, "/health"))
        if worker is not None:
            self.processes.wait_until(worker, lambda: _answers(settings.worker.port, "/ready"), 120.0)

    def stop(self) -> None:
        """Stop everything, the gateway first, so that what it still holds reaches the broker."""
        self.processes.stop()
        if self._redis is not None:
            self._redis.stop()
            self._redis = None

    def check(self) -> None:
        """Raise an `UnavailableError` if a process has ended by itself."""
        dead = self.processes.dead()
        if dead is not None:
            raise UnavailableError(
                f"{dead.name} ended with {dead.process.returncode}; it said:\n{dead.said()}"
            )

    def __enter__(self) -> Stack:
        if threading.current_thread() is threading.main_thread():
            # as Ctrl-C does, also while it starts
            self._before = signal.signal(signal.SIGTERM, _leave)
        try:
            self.start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        try:
            self.stop()
        finally:
            if self._before is not None:
                signal.signal(signal.SIGTERM, self._before)
                self._before = None

    def _python(
        self, name: str, module: str, *arguments: str, environ: dict[str, str] | None = None
    ) -> Child:
        # the file says it all: a REDIS_URL or OPENAI_BASE_URL of the shell would win over it
        ours = dict.fromkeys(names_in(os.environ)) | (environ or {})
        return self.processes.start(name, [sys.executable, "-m", module, *arguments], ours)

    def _said(self, child: Child, pattern: str) -> str:
        compiled = re.compile(pattern, re.MULTILINE)
        self.processes.wait_until(child, lambda: bool(compiled.search(child.said())))
        found = compiled.search(child.said())
        return found[1] if found else ""


_URLS = (
    ("redis", "url", "REDIS_URL"),
    ("kafka", "bootstrap", "KAFKA_BOOTSTRAP_SERVERS"),
    ("gateway", "upstream", "OPENAI_BASE_URL"),
    ("state", "root", "JITR_STATE__ROOT"),
)
_KEYS = (
    ("gateway", "upstream_key", "JITR_GATEWAY__UPSTREAM_KEY"),
    ("signing", "gateway_keys", "JITR_SIGNING__GATEWAY_KEYS"),
    ("signing", "worker_keys", "JITR_SIGNING__WORKER_KEYS"),
)


def run(settings: Settings, *, sandbox: bool, say: Say) -> None:
    """`jitr up`: run worker and gateway, and with ``sandbox`` their servers, until SIGINT or SIGTERM."""
    # started outside of an event loop, which would keep Ctrl-C waiting until all is up
    with Stack(settings, Path(".jitr/up"), kafka=sandbox, redis=sandbox, say=say) as stack:
        say(
            f"gateway {stack.gateway_url} -> {safe_url(stack.llm_url)}; Ctrl-C stops\n"
            f"for the other verbs: export JITR_CONFIG={stack.config.resolve()}"
        )
        asyncio.run(_until_told(stack))


def _without_secrets(settings: Settings) -> tuple[Settings, dict[str, str]]:
    """Settings for a file, and what they take from the environment instead: keys, URLs with credentials."""
    environ = {}
    for section, key, name in _URLS:
        url = getattr(getattr(settings, section), key)
        if safe_url(url) != url:
            environ[name] = url
            settings = _with(settings, section, **{key: f"${{{name}}}"})
    for section, key, name in _KEYS:
        if value := getattr(getattr(settings, section), key):
            environ[name] = value
            settings = _with(settings, section, **{key: ""})
    for section, _, key in (secret.partition(".") for secret in SECRETS):
        if value := getattr(getattr(settings, section), key):
            name = f"JITR_{section}__{key}".upper()
            environ[name] = value
            settings = _with(settings, section, **{key: f"${{{name}}}"})
    people = settings.signing.people
    environ |= {f"JITR_SIGNING__PEOPLE__{name}".upper(): keys for name, keys in people.items()}
    return _with(settings, "signing", people={}), environ


def _leave(number: int, frame: object) -> None:
    raise SystemExit(128 + number)


async def _until_told(stack: Stack) -> None:
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, over.set)
    while not over.is_set():
        stack.check()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), 1.0)


def _with(settings: Settings, section: str, **changes: object) -> Settings:
    changed = msgspec.structs.replace(getattr(settings, section), **changes)
    return msgspec.structs.replace(settings, **{section: changed})


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(port: int, path: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
