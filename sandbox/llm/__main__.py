"""`python -m jitr.sandbox.llm --port 8089`: the simulated LLM as a process of its own."""

import argparse
import asyncio
import os
import signal
import sys
from pathlib import Path

from jitr.sandbox.llm.server import SimulatedLLM
from jitr.sandbox.traffic.request import Traffic
from jitr.sandbox.traffic.workload import Workload

KEY = "JITR_SANDBOX_LLM_KEY"


async def serve(llm: SimulatedLLM) -> None:
    """Run until SIGINT or SIGTERM."""
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, over.set)
    await llm.start()
    sys.stdout.write(f"simulated LLM (no language model runs here) on {llm.base_url}\n")
    sys.stdout.flush()
    await over.wait()
    await llm.stop()


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(
        prog="python -m jitr.sandbox.llm",
        description="A simulated LLM behind an OpenAI-compatible server on loopback.",
        epilog=f"A bearer token is demanded if {KEY} is set.",
    )
    parser.add_argument("--port", type=int, default=0, help="0 lets the system choose (default)")
    parser.add_argument("--seed", type=int, default=0, help="of latencies, errors and recorded streams")
    parser.add_argument("--latency", type=float, default=0.045, help="median seconds, default 0.045")
    parser.add_argument("--error-rate", type=float, default=0.0, help="share of calls that fail, default 0")
    parser.add_argument("--data", type=Path, help="folder of recorded data that plays the teacher")
    given = parser.parse_args(arguments)
    traffic: Traffic = Workload(given.seed)
    if given.data is not None:
        from jitr.sandbox.recorded import recorded  # reading the data takes seconds

        traffic = recorded(given.data, given.seed)
    llm = SimulatedLLM(
        traffic,
        port=given.port,
        latency_s=given.latency,
        error_rate=given.error_rate,
        key=os.environ.get(KEY),
        seed=given.seed,
    )
    asyncio.run(serve(llm))
    return 0


if __name__ == "__main__":
    sys.exit(main())
