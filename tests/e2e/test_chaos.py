"""A short run of the chaos benchmark: every answer is the upstream's own, and every call is accounted for."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_nothing_is_lost_or_changed_while_everything_fails_in_turn() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "chaos.py"), "--quick", "--rate", "60"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=170, cwd=ROOT)
    assert done.stdout, done.stderr
    totals = json.loads(done.stdout)
    assert totals["wrong"] == 0, totals["first_wrong"]
    assert done.returncode == 0
    assert totals["calls_in"] == totals["calls_in_kafka"] + sum(totals["dropped"].values())
    assert totals["ended"]["as it should be"] > 0.9 * totals["requests"]
    assert totals["routes"]["surrogate"] > 100 and len(totals["faults"]) >= 10
