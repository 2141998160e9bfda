"""`jitr fit`, `jitr card` and `jitr eject` as a user types them."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from click.testing import CliRunner

from jitr.cli.card import card
from jitr.cli.eject import eject
from jitr.cli.fit import fit
from jitr.cli.teaching import read
from jitr.models.datasets.examples import Dataset
from jitr.schemas.errors import ConfigError, NotFoundError

CUES = {"Refund": ["refund", "money back"], "Card": ["card", "plastic"]}
FILLERS = ["please", "now", "today", "urgent", "again", "help", "with", "about", "never", "since"]


def texts(n: int) -> list[tuple[str, str]]:
    rng = random.Random(0)
    found = []
    for i in range(n):
        label = rng.choice(list(CUES))
        words = [*rng.sample(FILLERS, 4), rng.choice(CUES[label]), f"id{i}"]
        rng.shuffle(words)
        found.append((" ".join(words), label))
    return found


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("pairs") / "pairs.jsonl"
    file.write_text("\n".join([json.dumps({"input": t, "answer": a}) for t, a in texts(250)] + ["not json"]))
    return file


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("log") / "log.jsonl"
    lines = []
    for i, (text, label) in enumerate(texts(80)):
        messages = [
            {"role": "user", "content": f"Which department should read this message? Message: {text}"}
        ]
        lines.append(
            {"id": str(i), "model": "m", "time": i, "messages": messages, "response": {"text": label}}
        )
    file.write_text("\n".join(json.dumps(line) for line in lines))
    return file


def test_a_file_of_pairs_becomes_a_surrogate_with_a_card_and_can_be_ejected(
    pairs: Path, tmp_path: Path
) -> None:
    run, out = CliRunner(), tmp_path / "surrogate"
    asked = [str(pairs), "--out", str(out), "--target", "0.9", "--max-latency-ms", "9999", "--json"]
    done = run.invoke(fit, asked, standalone_mode=False)
    assert done.exception is None and done.return_value == 0, done.output
    report = json.loads(done.stdout)
    assert report["certificate"]["kind"] == "split" and report["certificate"]["bound"] > 0.9
    assert report["path"] == str(out) and (out / "certificate.json").is_file()
    shown = run.invoke(card, [str(out)], standalone_mode=False)
    assert "proved on rows held back from training" in " ".join(shown.stdout.split())
    run.invoke(card, [str(out), "--out", str(tmp_path / "page")], standalone_mode=False)
    assert {p.name for p in (tmp_path / "page").iterdir()} == {"card.md", "coverage.svg", "learning.svg"}
    left = run.invoke(eject, [str(out), str(tmp_path / "away"), "--json"], standalone_mode=False)
    assert left.exception is None and (tmp_path / "away" / "answer.py").is_file()


def test_pairs_keep_the_usual_rendering_and_count_unreadable_lines(pairs: Path) -> None:
    taught = read(pairs, None)
    assert len(taught.examples) == 250 and taught.refused == 1 and taught.kind == "label"
    assert set(Dataset.from_examples(taught.examples).renderings.values()) == {"Refund", "Card"}


def test_a_log_of_calls_teaches_its_one_task_by_its_slots(log: Path) -> None:
    taught = read(log, None)
    assert len(taught.examples) >= 75
    assert all("department" not in example.input for example in taught.examples)


def test_what_is_not_there_is_named(log: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no task other in"):
        read(log, "other")
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(ConfigError, match="holds no JSON object"):
        read(tmp_path / "empty.jsonl", None)
