"""A worker as a process ends when it is told to, also where its broker went first."""

import signal
import subprocess
import sys
from pathlib import Path

from jitr.sandbox.processes import Processes
from jitr.schemas.settings import Settings


def test_a_worker_whose_broker_is_gone_still_ends_on_sigterm(tmp_path: Path) -> None:
    processes = Processes(tmp_path)
    try:
        data = str(tmp_path / "data")
        broker = processes.start(
            "broker", [sys.executable, "-m", "jitr.sandbox.broker", "--port", "0", "--data", data]
        )
        processes.wait_until(broker, lambda: broker.said().endswith("\n"))
        code = (
            "from jitr.agents.process import run; from jitr.schemas.settings import Settings; "
            "run(Settings.load(), ['detect', 'control'], started=lambda worker: print('ready', flush=True))"
        )
        environ = {
            "KAFKA_BOOTSTRAP_SERVERS": broker.said().strip(),
            "JITR_STATE__ROOT": str(tmp_path / "state"),
            "JITR_WORKER__PORT": "0",
        }
        assert Settings.load(environ=environ).kafka.bootstrap == broker.said().strip()
        worker = processes.start("worker", [sys.executable, "-c", code], environ)
        processes.wait_until(worker, lambda: "ready\n" in worker.said())
        broker.process.send_signal(signal.SIGKILL)
        broker.process.wait()
        worker.process.send_signal(signal.SIGTERM)
        try:
            worker.process.wait(30)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it goes on and on:\n{worker.said()}") from None
    finally:
        processes.stop()
