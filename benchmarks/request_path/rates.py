"""The highest rate on one core: a bare forwarder, jitr and its peers, one after another on the same upstream.

What is measured has a core of its own; upstream, load, broker and Redis share the others. The loop is closed,
so that each system runs as fast as it can. ``cpu_us`` is processor time an answer, which other work on the
machine changes little; rates are medians of rounds in which the systems take turns.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from harness.options import Options
from harness.report import Report

from jitr.sandbox.processes import Processes
from jitr.schemas.errors import UnavailableError
from request_path import placement
from request_path.peers import PEERS

HERE = Path(__file__).resolve().parents[1]
UNITS = {"rate": "1/s", "p50_ms": "ms", "p99_ms": "ms", "cpu_us": "us"}


@dataclass(frozen=True, slots=True)
class System:
    """Something that forwards: where, as which process, and what its requests must say."""

    name: str
    url: str
    pid: int
    model: str = "gpt-4.1-simulated"
    headers: tuple[tuple[str, str], ...] = ()


def start_upstream(processes: Processes) -> str:
    """The LLM that answers at once, beside what is measured; where it is."""
    environ = {"PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])}
    child = processes.start("upstream", [sys.executable, "-m", "request_path.upstream", "0"], environ)
    processes.wait_until(child, lambda: "/v1" in child.said())
    placement.around(child.process.pid)
    return child.said().split()[-1]


def start_bare(processes: Processes, upstream: str) -> System:
    """The bare forwarder."""
    port = free_port()
    environ = {"PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-m", "request_path.bare", str(port), upstream]
    child = processes.start("bare", command, environ)
    processes.wait_until(child, lambda: _accepts(port))
    placement.measured(child.process.pid)
    return System("bare", f"http://127.0.0.1:{port}/v1", child.process.pid)


def start_peers(
    options: Options, report: Report, processes: Processes, upstream: str, folder: Path
) -> list[System]:
    """Those that start here; the others with what they said."""
    started = []
    for name, start in PEERS.items():
        if not options.wants_system(name):
            continue
        try:
            peer = start(upstream, free_port(), processes, folder)
        except UnavailableError as error:
            report.note(f"{name} was not measured: {str(error).strip().splitlines()[-1]}")
            continue
        placement.measured(peer.child.process.pid)
        started.append(System(name, peer.url, peer.child.process.pid, peer.model, peer.headers))
    return started


def run(
    system: System, clients: int, seconds: float, *, streams: float = 0.0, opening: str = ""
) -> dict[str, float]:
    """One round of load; adds ``cpu_us`` to what `request_path.load` says."""
    command = [sys.executable, "-m", "request_path.load", system.url, "--clients", str(clients)]
    command += ["--seconds", str(seconds), "--streams", str(streams), "--model", system.model]
    command += ["--opening", opening] if opening else []
    for name, value in system.headers:
        command += ["--header", f"{name}: {value}"]
    before = placement.cpu_s(system.pid)
    with subprocess.Popen(command, cwd=HERE, stdout=subprocess.PIPE) as process:
        placement.around(process.pid)
        assert process.stdout is not None
        found: dict[str, float] = json.loads(process.stdout.read())
    found["cpu_us"] = 1e6 * (placement.cpu_s(system.pid) - before) / max(1.0, found["answers"])
    return found


def compare(
    options: Options,
    report: Report,
    case: str,
    systems: list[System],
    clients: int,
    *,
    streams: float = 0.0,
    opening: str = "",
) -> None:
    """Rounds of all systems in turn, and each system's ratios to the bare forwarder."""
    rounds, seconds = (1, 2.0) if options.quick else (3, 6.0)
    figures: dict[str, list[dict[str, float]]] = {system.name: [] for system in systems}
    for _ in range(rounds):
        for system in systems:
            figures[system.name].append(run(system, clients, seconds, streams=streams, opening=opening))
    medians = {n: {m: median([r[m] for r in rows]) for m in UNITS} for n, rows in figures.items()}
    for name, found in medians.items():
        for metric, unit in UNITS.items():
            report.add(case, name, metric, found[metric], unit)
        report.add(case, name, "errors", sum([r["errors"] for r in figures[name]]))
    ours = medians.get("jitr")
    if ours is None:
        return
    for name, found in medians.items():
        if name != "jitr":
            report.add(case, "jitr", f"rate_over_{name}", ours["rate"] / found["rate"])
            report.add(case, "jitr", f"p99_over_{name}", ours["p99_ms"] / found["p99_ms"])


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1.0).close()
    except OSError:
        return False
    return True
