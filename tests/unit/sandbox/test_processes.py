"""Children end with us, however we end."""

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from jitr.sandbox.processes import Processes
from jitr.schemas.errors import UnavailableError

SLEEPER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]


def gone(pid: int, deadline_s: float = 60.0) -> bool:
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def test_stop_ends_a_child_that_will_not_listen(tmp_path: Path) -> None:
    ignore = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    deaf = f"{ignore}; import time; print('up', flush=True); time.sleep(600)"
    processes = Processes(tmp_path)
    child = processes.start("deaf", [sys.executable, "-c", deaf])
    processes.wait_until(child, lambda: "up" in child.said())
    processes.stop(grace_s=0.2)
    assert gone(child.process.pid)


def test_a_child_that_dies_at_its_start_says_why(tmp_path: Path) -> None:
    processes = Processes(tmp_path)
    child = processes.start("broken", [sys.executable, "-c", "raise SystemExit('no such port')"])
    with pytest.raises(UnavailableError, match=r"(?s)broken ended at its start.*no such port"):
        processes.wait_until(child, lambda: False)
    assert processes.dead() is child
    processes.stop()


def test_children_of_a_killed_parent_are_gone(tmp_path: Path) -> None:
    parent = f"""
import sys, time
from pathlib import Path
from jitr.sandbox.processes import Processes
processes = Processes(Path({str(tmp_path)!r}))
child = processes.start("sleeper", {SLEEPER!r})
processes.wait_until(child, lambda: "up" in child.said())
print(child.process.pid, flush=True)
time.sleep(600)
"""
    process = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE)
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    process.kill()
    process.wait()
    process.stdout.close()
    assert gone(pid)
