"""`jitr.scan`, `jitr.fit` and `jitr.Surrogate`: what the verbs do, from Python."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import pytest

import jitr
from jitr.cli.main import main
from jitr.schemas.errors import ConfigError

CUES = {"Refund": ["refund", "money back"], "Card": ["card", "plastic"]}
FILLERS = ["please", "now", "today", "urgent", "again", "help", "with", "about", "never", "since"]


def pairs(n: int) -> list[dict[str, Any]]:
    rng = random.Random(0)
    made = []
    for i in range(n):
        label = rng.choice(list(CUES))
        words = [*rng.sample(FILLERS, 4), rng.choice(CUES[label]), f"id{i}"]
        rng.shuffle(words)
        made.append({"input": " ".join(words), "answer": label})
    return made


def calls(n: int) -> list[dict[str, Any]]:
    return [
        {
            "model": "m",
            "messages": [{"role": "user", "content": f"Name the intent of this mail. Mail: {p['input']}"}],
            "response": {"text": p["answer"]},
            "cost_usd": 0.01,
        }
        for p in pairs(n)
    ]


def test_a_scan_of_a_file_is_what_the_verb_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "log.jsonl"
    file.write_text("\n".join([*map(json.dumps, calls(80)), "{"]))
    report = jitr.scan(file, settings=jitr.Settings())
    with pytest.raises(SystemExit):
        main(["scan", str(file), "--json"])
    printed = json.loads(capsys.readouterr().out)
    assert [(t["id"], t["calls"], t["cost_usd"], t["kind"]) for t in printed["tasks"]] == [
        (t.id, t.calls, t.cost_usd, t.kind) for t in report.tasks
    ]
    assert (printed["refused_lines"], printed["refused"][0]["line"]) == (1, 81)
    assert report.refused[0].line == 81


def test_lines_are_scanned_as_a_file_of_them_is() -> None:
    said = []
    report = jitr.scan(
        (json.dumps(call) for call in calls(80)),
        settings=jitr.Settings(),
        progress=lambda stage, done: said.append((stage, done)),
    )
    assert [(task.kind, task.calls) for task in report.tasks] == [("label", 80)]
    assert said[-1] == ("measuring", 1.0)
    assert jitr.scan([json.dumps(c).encode() for c in calls(80)]).tasks[0].calls == 80


def test_an_empty_log_and_a_wrong_tolerance_are_errors() -> None:
    with pytest.raises(ConfigError, match="log holds no call; line 2"):
        jitr.scan(["", "{"])
    for wrong in (-1.0, math.nan):
        with pytest.raises(ConfigError, match="tolerance"):
            jitr.scan(calls(3), tolerance=wrong)
        with pytest.raises(ConfigError, match="tolerance"):
            jitr.fit(pairs(3), "out", tolerance=wrong)


def test_what_is_fitted_answers_from_its_folder_from_the_certificate_on(tmp_path: Path) -> None:
    out = tmp_path / "surrogate"
    report = jitr.fit(pairs(250), out, target=0.9, settings=jitr.Settings())
    assert report.certificate.proof is not None
    surrogate = jitr.Surrogate.load(out)
    assert surrogate.threshold == report.certificate.proof.threshold
    answer = surrogate.answer("help with my refund please")
    assert (answer.text, answer.score >= surrogate.threshold) == ("Refund", True)
    (out / "certificate.json").write_bytes(b"{}")
    assert jitr.Surrogate.load(out).threshold == math.inf


def test_a_fit_of_calls_names_its_task_and_a_file_its_name(tmp_path: Path) -> None:
    by_calls = jitr.fit(calls(250), tmp_path / "calls", target=0.9)
    assert by_calls.rows > 100
    file = tmp_path / "intents.jsonl"
    file.write_text("\n".join(map(json.dumps, pairs(250))))
    jitr.fit(str(file), tmp_path / "file", target=0.9)
    assert jitr.Surrogate.load(tmp_path / "file").manifest.task == "intents"
