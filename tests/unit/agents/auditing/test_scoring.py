"""The process that runs surrogates ends with the worker, however that ends."""

import signal
import subprocess
import sys
import time

import psutil

PARENT = """
import asyncio, signal
from jitr.agents.auditing.scoring import AuditScorer
from jitr.schemas.errors import ArtifactError
from jitr.schemas.routes import SurrogateRef

async def main():
    scorer = AuditScorer()
    try:
        await scorer.answers(SurrogateRef(version="v", encoders="b", uri="/nowhere", digest="d"), ["x"])
    except ArtifactError:
        print(scorer.pid, flush=True)
    signal.pause()

if __name__ == "__main__":
    asyncio.run(main())
"""


def test_a_killed_worker_leaves_no_scorer_behind(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, start_new_session=True)
    assert parent.stdout is not None
    with parent.stdout:
        child = psutil.Process(int(parent.stdout.readline()))
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    deadline = time.monotonic() + 60
    while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the child outlives its parent"
        time.sleep(0.05)
