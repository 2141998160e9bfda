"""`jitr fit`, `jitr card` and `jitr eject` as a user types them."""

from __future__ import annotations

import gzip
import json
import random
import re
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from jitr.cli.verbs import fit as command
from jitr.cli.verbs.card import card
from jitr.cli.verbs.eject import eject
from jitr.cli.verbs.fit import fit
from jitr.models.answers.kinds import in_kind
from jitr.models.answers.normalize import normal
from jitr.models.datasets.examples import Dataset, Example
from jitr.models.datasets.parts import list_parts, write_parts
from jitr.models.redaction.redaction import Redaction
from jitr.models.surrogates.runtime import Surrogate
from jitr.models.training.search.prior import Prior
from jitr.models.training.train import Recipe, train_dataset
from jitr.offline.teaching import read
from jitr.router.table import Rows
from jitr.schemas.errors import ArtifactError, ConfigError, NotFoundError, TrainingError, UnavailableError
from jitr.schemas.routes import Route
from jitr.schemas.settings import Settings
from jitr.schemas.trainings import Limits

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
    page, plots = {p.name for p in (tmp_path / "page").iterdir()}, {p.name for p in out.glob("*.svg")}
    assert page == {"card.md", *plots} and {"coverage.svg", "learning.svg"} <= plots
    for _ in range(2):  # into its own folder, as often as one likes
        run.invoke(card, [str(out), "--out", str(out)], standalone_mode=False)
        assert (out / "card.md").read_text().count("## Certificate") == 1
    left = run.invoke(eject, [str(out), str(tmp_path / "away"), "--json"], standalone_mode=False)
    assert left.exception is None and (tmp_path / "away" / "answer.py").is_file()


def test_pairs_keep_the_usual_rendering_and_count_unreadable_lines(pairs: Path) -> None:
    taught = read(pairs, None, Redaction(Settings()))
    assert len(taught.examples) == 250 and len(taught.refused) == 1 and taught.kind == "label"
    assert set(Dataset.from_examples(taught.examples).renderings.values()) == {"Refund", "Card"}


def test_answers_are_redacted_as_inputs_are(tmp_path: Path) -> None:
    file = tmp_path / "pairs.jsonl"
    rows = [
        {"input": f"{t} from ann{i}@example.org", "answer": {"team": a, "reply_to": f"ann{i}@example.org"}}
        for i, (t, a) in enumerate(texts(40))
    ]
    file.write_text("\n".join(json.dumps(row) for row in rows))
    examples = read(file, None, Redaction(Settings())).examples
    assert len(examples) == 40
    assert not any("@" in part for e in examples for part in (e.input, e.label, e.text))
    assert all("[email]" in e.text for e in examples)
    kept = read(file, None, Redaction(Settings(redact=False))).examples
    assert all("@" in e.text for e in kept)


def test_a_log_of_calls_teaches_its_one_task_by_its_slots(log: Path) -> None:
    taught = read(log, None, Redaction(Settings()))
    assert len(taught.examples) >= 75
    assert all("department" not in example.input for example in taught.examples)


def test_what_is_not_there_is_named(log: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no task other in"):
        read(log, "other", Redaction(Settings()))
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(ConfigError, match="it is empty"):
        read(tmp_path / "empty.jsonl", None, Redaction(Settings()))


def collected(root: Path, task: str, rows: list[Example]) -> None:
    """What `collect` leaves under a state root."""
    write_parts(str(root / "datasets"), task, 0, rows, list(range(len(rows))))


def answers(kind: str, n: int = 300) -> list[Example]:
    """A teacher of one kind; what came first was kept when its kind was not known yet."""
    rng = random.Random(1)
    rows = []
    for i, (text, label) in enumerate(texts(n)):
        said = {
            "label": label + ".",
            "number": f"{ ({'Refund': 80, 'Card': 20}[label] + rng.choice((-1, 0, 0, 1))) }/100",
            "labels": f"{label}, Urgent" if "urgent" in text else label,
        }[kind]
        known = in_kind(said, kind) if i > 30 else normal(said)
        rows.append(Example(str(i), float(i), text, normal(said) if kind == "label" else known, text=said))
    return rows


@pytest.mark.parametrize(
    ("kind", "pattern"),
    [("label", r"(Refund|Card)\."), ("number", r"\d\d/100"), ("labels", "(Refund|Card)(, Urgent)?")],
)
def test_a_task_whose_answers_were_collected_is_fitted_by_its_id(
    kind: str, pattern: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JITR_STATE__ROOT", str(tmp_path / "state"))
    monkeypatch.setenv("JITR_POLICY__TOLERANCE", "1")
    collected(tmp_path / "state", "t-1", answers(kind))
    out = tmp_path / "surrogate"
    asked = ["--task", "t-1", "--out", str(out), "--target", "0.8", "--max-latency-ms", "9999", "--json"]
    asked += ["--max-train-s", "10"]
    done = CliRunner().invoke(fit, asked, standalone_mode=False)
    assert done.exception is None and done.return_value == 0, done.output
    report = json.loads(done.stdout)
    assert report["certificate"]["bound"] > 0.8
    surrogate = Surrogate.load(out)
    assert surrogate.manifest.kind == kind and surrogate.manifest.task == "t-1"
    assert surrogate.manifest.rows < 300  # the latest fifth proves
    parts = list_parts(str(tmp_path / "state" / "datasets"), "t-1")
    assert surrogate.manifest.lineage.parts == tuple(part.digest for part in parts) != ()
    for text, _ in texts(20):
        assert re.fullmatch(pattern, surrogate.answer(text).text)
    left = CliRunner().invoke(eject, [str(out), str(tmp_path / "away"), "--json"], standalone_mode=False)
    assert left.exception is None and (tmp_path / "away" / "answer.py").is_file()


def test_what_a_teacher_answered_before_a_broken_promise_is_not_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless the routing table, which knows of it, cannot be read: then it is said."""
    monkeypatch.setenv("JITR_STATE__ROOT", str(tmp_path / "state"))
    told = answers("label")
    swapped = {"Refund.": "Card.", "Card.": "Refund."}
    old = [msgspec.structs.replace(r, label=normal(said := swapped[r.text]), text=said) for r in told[:150]]
    collected(tmp_path / "state", "t-1", [*old, *told[150:]])
    route = Route(tenant="default", task="t-1", since_offset=150)
    asked = ["--task", "t-1", "--proof", "loo", "--max-latency-ms", "9999", "--max-train-s", "10", "--json"]

    monkeypatch.setattr(command, "rows", lambda *_: Rows("default", routes={"t-1": route}))
    out = tmp_path / "knows"
    done = CliRunner().invoke(fit, [*asked, "--out", str(out)], standalone_mode=False)
    assert done.exception is None, done.output
    found = json.loads(done.stdout)
    assert found["rows"] <= 150 and found["conflicts"] == 0 and found["accuracy"] > 0.9
    assert Surrogate.load(out).manifest.lineage.since_offset == 150

    def unreachable(*_: object) -> Rows:
        raise UnavailableError("Redis at nowhere does not answer")

    monkeypatch.setattr(command, "rows", unreachable)
    done = CliRunner().invoke(fit, [*asked, "--out", str(tmp_path / "guesses")], standalone_mode=False)
    assert done.exception is None, done.output
    assert "Redis at nowhere" in done.stderr and "before a broken promise" in done.stderr
    assert json.loads(done.stdout)["rows"] > 150


def test_a_tolerance_makes_numbers_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JITR_STATE__ROOT", str(tmp_path / "state"))
    collected(tmp_path / "state", "score", answers("number", 120))
    found = {}
    for tolerance in ("0", "2"):
        asked = ["--task", "score", "--out", str(tmp_path / tolerance), "--target", "0.9"]
        asked += [
            "--tolerance",
            tolerance,
            "--max-latency-ms",
            "9999",
            "--proof",
            "loo",
            "--json",
            "--max-train-s",
            "10",
        ]
        done = CliRunner().invoke(fit, asked, standalone_mode=False)
        assert done.exception is None, done.output
        found[tolerance] = json.loads(done.stdout)["accuracy"]
    assert found["0"] < 0.7 and found["2"] > 0.95


def test_a_task_of_which_nothing_was_collected_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JITR_STATE__ROOT", str(tmp_path))
    done = CliRunner().invoke(fit, ["--task", "nothing", "--out", str(tmp_path / "s")], standalone_mode=False)
    assert isinstance(done.exception, NotFoundError) and "nothing was collected" in str(done.exception)
    done = CliRunner().invoke(fit, [], standalone_mode=False)
    assert isinstance(done.exception, ConfigError) and "--task" in str(done.exception)


def test_a_log_of_scores_is_fitted_as_numbers(tmp_path: Path) -> None:
    file, rng = tmp_path / "scores.jsonl", random.Random(0)
    rows = [{"input": t, "answer": {"Refund": 70, "Card": 30}[a] + rng.randint(-9, 9)} for t, a in texts(300)]
    file.write_text("\n".join([json.dumps(row) for row in rows] + ['{"input": "x", "answer": "no idea"}']))
    taught = read(file, None, Redaction(Settings()))
    assert taught.kind == "number"
    dataset = Dataset.from_examples(taught.examples, taught.kind, 9.0)
    assert dataset.unparsed == 1 and "no idea" not in dataset.labels


def test_pairs_are_read_up_to_where_a_packed_file_breaks_off(tmp_path: Path) -> None:
    made = "\n".join([json.dumps({"input": t, "answer": a}) for t, a in texts(250)])
    packed = gzip.compress(made.encode())
    file = tmp_path / "pairs.jsonl.gz"
    file.write_bytes(packed[: len(packed) // 2])
    taught = read(file, None, Redaction(Settings()))
    assert 20 < len(taught.examples) < 250
    assert "breaks off" in taught.refused[0]


def test_a_line_nested_too_deep_and_a_byte_order_mark_cost_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "pairs.jsonl"
    deep = '{"input": ' + "[" * 100_000 + "]" * 100_000 + "}"
    made = [json.dumps({"input": t, "answer": a}) for t, a in texts(10)]
    file.write_bytes(b"\xef\xbb\xbf" + "\n".join([*made, deep]).encode())
    taught = read(file, None, Redaction(Settings()))
    assert (len(taught.examples), len(taught.refused)) == (10, 1)


def test_a_log_in_which_nothing_recurs_says_so(tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    call = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "response": {"text": "ho"}}
    file.write_text(json.dumps(call))
    with pytest.raises(NotFoundError, match="nothing recurs in"):
        read(file, None, Redaction(Settings()))


def test_a_tolerance_that_is_none_is_refused_and_one_without_effect_is_told(
    pairs: Path, tmp_path: Path
) -> None:
    refused = CliRunner().invoke(fit, [str(pairs), "--tolerance", "nan", "--out", str(tmp_path / "a")])
    assert isinstance(refused.exception, ConfigError)
    made = ["--tolerance", "1", "--max-train-s", "2", "--out", str(tmp_path / "b")]
    told = CliRunner().invoke(fit, [str(pairs), *made])
    assert "--tolerance has no effect: the answers are read as label" in told.output


def test_a_file_in_the_place_of_the_surrogate_is_refused_before_the_training(
    pairs: Path, tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("mine")
    ended = CliRunner().invoke(fit, [str(pairs), "--out", str(tmp_path / "taken")])
    assert ended.exit_code == 2
    assert (tmp_path / "taken").read_text() == "mine"


def test_a_fit_begins_with_what_its_folder_holds_or_with_what_it_shall_be_like(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [Example(str(i), float(i), text, label) for i, (text, label) in enumerate(texts(60))]
    for name in ("out", "like"):
        recipe = Recipe(task="pairs", encoders=())
        train_dataset(Dataset.from_examples(rows), recipe, Limits(), tmp_path / name)
    priors = []

    def stopped(*told: object, prior: Prior, **more: object) -> None:
        priors.append(prior)
        raise TrainingError("far enough")

    monkeypatch.setattr("jitr.offline.fit.fit_offline", stopped)
    for out, *more in (["new"], ["out"], ["new", "--like", str(tmp_path / "like")]):
        CliRunner().invoke(fit, [str(pairs), "--out", str(tmp_path / out), *more], standalone_mode=False)
    # a file of the same name is no proof that it is the same task: nobody is left out
    assert [[e.candidate for e in prior.entries] for prior in priors] == [
        [],
        ["ngrams linear"],
        ["ngrams linear"],
    ]
    assert not any(prior.same for prior in priors)
    done = CliRunner().invoke(fit, [str(pairs), "--like", str(tmp_path)], standalone_mode=False)
    assert isinstance(done.exception, ArtifactError)
