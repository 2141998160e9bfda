"""`jitr demo` as a newcomer runs it and ends it: nothing is left running, and the report is there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

OF_THE_RUN = ("first_saving_s", "teacher_cost_usd", "actual_cost_usd", "net_saving_usd", "true_agreement")
OF_A_TASK = (
    "name",
    "id",
    "template",
    "calls",
    "state",
    "surrogate",
    "encoders",
    "certified_bound",
    "agreement",
    "agreement_bound",
    "replaced_share",
    "holds",
    "demotions",
    "saved_usd",
    "first_saving_s",
)


def test_ctrl_c_in_the_middle_leaves_a_report_and_nothing_running(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    command = [sys.executable, "-m", "jitr.cli", "demo", "--json", "--rate", "40", "--out", str(tmp_path)]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(tmp_path / "tmp")},
    ) as demo:
        assert demo.stderr is not None
        said = []
        for line in demo.stderr:
            said.append(line)
            if " found " in line:
                break
        children = psutil.Process(demo.pid).children(recursive=True)
        assert children, "".join(said)
        demo.send_signal(signal.SIGINT)
        out, rest = demo.communicate(timeout=120)
    assert demo.returncode == 0, "".join(said) + rest
    assert psutil.wait_procs(children, timeout=60)[1] == []
    report = json.loads(out)
    assert report == json.loads((tmp_path / "report.json").read_text())
    assert set(OF_THE_RUN) <= report.keys()
    assert report["tasks"]
    for task in report["tasks"]:
        assert set(OF_A_TASK) <= task.keys()
        assert task["calls"] >= 20
    assert report["teacher_cost_usd"] > 0
    assert report["tasks"][0]["name"] in (tmp_path / "report.html").read_text()
