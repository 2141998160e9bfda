"""Tuned encoders race where torch is, within the limits, and say why where they do not."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

from jitr.models.datasets.examples import Dataset, Example
from jitr.models.datasets.parts import write_parts
from jitr.models.encoders.weights import Weights
from jitr.models.surrogates.artifact.eject import eject
from jitr.models.surrogates.candidates import Candidate
from jitr.models.surrogates.runtime import Surrogate
from jitr.models.training.search import race as racing
from jitr.models.training.search import tuned_stage
from jitr.models.training.search.race import Race, race
from jitr.models.training.search.runner import Runner
from jitr.models.training.search.tuning import LEAST_ROWS
from jitr.models.training.train import Recipe, TrainingResult, train
from jitr.schemas.trainings import Limits

ROOMY = Limits(max_train_s=500.0, max_latency_ms=1e6, max_ram_mb=1e6)
TUNED = Candidate("tuned", False, "tiny")
JOINED = Candidate("joined", True, "tiny")


def which_came_first(n: int = LEAST_ROWS, kind: str = "label") -> list[Example]:
    """The same words in both labels: only their order tells, which frozen sentence vectors hardly do."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(n):
        label = ["red", "blue"][int(rng.integers(2))]
        other = {"red": "blue", "blue": "red"}[label]
        a, b, c, d = rng.choice(["please", "now", "my", "the"], 4)
        said = f"case {i} {a} {label} {b} {c} {other} {d}"
        if kind == "json":
            again = rng.random() < 0.5
            said += " again" if again else " hello"
            label = f'{{"again":{str(again).lower()},"first":"{label}","source":"mail"}}'
        rows.append(Example(str(i), float(i), said, label))
    return rows


def by_an_erring_teacher() -> list[Example]:
    """The same with a third of the labels drawn at random: no frozen candidate covers enough."""
    rng = np.random.default_rng(1)
    return [
        msgspec.structs.replace(row, label=str(rng.choice(["red", "blue", row.label])))
        for row in which_came_first()
    ]


def run(rows: list[Example], weights: Weights, limits: Limits = ROOMY) -> Race:
    looks = itertools.count()
    return race(
        Dataset.from_examples(rows),
        limits=limits,
        target=0.9,
        seed=0,
        weights=weights,
        clock=lambda: next(looks) * 1e-4,
        encoders=("tiny",),
    )


def lost(found: Race, name: str = "tiny tuned") -> str:
    return {entry.candidate: entry.lost for entry in found.entries}[name]


@pytest.fixture(scope="module")
def weights(tiny_encoder: Path) -> Weights:
    return Weights([tiny_encoder])


def only(monkeypatch: pytest.MonkeyPatch, *kinds: Candidate) -> None:
    monkeypatch.setattr(racing, "candidates", lambda names, long: kinds)


def test_where_the_others_fail_the_tuned_encoder_wins(
    weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(monkeypatch, Candidate("linear", True, None), TUNED)
    found = run(which_came_first(), weights)
    assert found.candidate == TUNED and lost(found) == ""
    [ngrams] = [e for e in found.entries if e.candidate == "ngrams linear"]
    assert found.fitted.accuracy > ngrams.accuracy + 0.2


def said_away_from_home(made: TrainingResult, tmp_path: Path, weights: Weights, text: str) -> str:
    """What the ejected surrogate answers, in a process without jitr and torch."""
    eject(Path(made.path), tmp_path / "away", weights)
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); from answer import surrogate\n"
        "print(surrogate.answer(sys.argv[2]).label)\n"
        "assert not {'jitr', 'torch', 'onnx', 'scipy'} & set(sys.modules)"
    )
    away = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "away"), text], capture_output=True, text=True
    )
    assert away.stderr == ""
    return away.stdout.strip()


@pytest.mark.slow
@pytest.mark.timeout(600)  # half a minute of one core each
@pytest.mark.parametrize("kind", ["label", "json"])
def test_a_tuned_surrogate_goes_through_training_to_answers(
    kind: str, weights: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(monkeypatch, TUNED)
    rows = which_came_first(kind=kind)
    parts = write_parts(str(tmp_path / "data"), "t", 0, rows, list(range(len(rows))))
    recipe = Recipe(task="t", kind=kind, encoders=("tiny",))
    made = train(parts, recipe, ROOMY, tmp_path / "out", 7, weights=weights)
    assert made.manifest.candidate == "tiny tuned" and made.manifest.encoders == "tiny"
    assert made.manifest.encoder is not None and made.manifest.encoder.upper == 3
    assert 0 < made.measured.size_mb < 15
    assert "3 upper layers of its encoder are its own" in (Path(made.path) / "card.md").read_text()
    surrogate = Surrogate.load(made.path, made.digest, weights)
    answers = surrogate.answer_many([row.input for row in rows])
    agreed = np.mean([a.label == row.label for a, row in zip(answers, rows, strict=True)])
    assert agreed > 0.75
    # what is seen out of sample is not what the model says of rows that taught it
    assert made.manifest.accuracy < agreed + 0.02
    again = train(parts, recipe, ROOMY, tmp_path / "elsewhere", 7, weights=weights)
    assert again.digest == made.digest
    assert said_away_from_home(made, tmp_path, weights, rows[0].input) == answers[0].label


def test_tuned_layers_are_a_second_opinion_beside_frozen_features(
    weights: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jitr.models.surrogates.heads.tuned_fit import Tuner

    tunings = []
    fit = Tuner.fit

    def counted(self: Tuner, *told: object) -> object:
        tunings.append(len(told))
        return fit(self, *told)

    def won(runner: Runner, ridge: Runner, *told: object) -> str:
        runner.beaten = ridge
        return ""

    monkeypatch.setattr(Tuner, "fit", counted)
    monkeypatch.setattr(tuned_stage, "_duel", won)
    only(monkeypatch, Candidate("ridge", True, "tiny"), JOINED)
    rows = by_an_erring_teacher()
    parts = write_parts(str(tmp_path / "data"), "t", 0, rows, list(range(len(rows))))
    made = train(parts, Recipe(task="t", encoders=("tiny",)), ROOMY, tmp_path / "out", 7, weights=weights)
    ref = made.manifest.encoder
    assert ref is not None and ref.beside and ref.upper == 3
    assert "beside those of the encoder" in (Path(made.path) / "card.md").read_text()
    answers = Surrogate.load(made.path, made.digest, weights).answer_many([row.input for row in rows])
    assert np.mean([a.label == row.label for a, row in zip(answers, rows, strict=True)]) > 0.6
    assert len(tunings) == 1
    assert said_away_from_home(made, tmp_path, weights, rows[0].input) == answers[0].label


def test_of_a_ridge_and_the_same_with_a_second_opinion_only_the_surer_stays(
    weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(monkeypatch, Candidate("ridge", True, "tiny"), JOINED)
    found = run(by_an_erring_teacher(), weights)
    told = {entry.candidate: entry.lost for entry in found.entries}
    ridge, joined = told["tiny+ngrams ridge"], told["tiny+ngrams joined"]
    if found.candidate == JOINED:
        assert ridge == "tiny+ngrams joined is surer, with the same folds left out"
    else:
        assert joined.startswith("no surer than tiny+ngrams ridge: log-loss less by ")


class Without:
    """Finds modules as another finder does, but none of torch: a machine without the extra [train]."""

    def __init__(self, finder) -> None:
        self.finder = finder

    def find_spec(self, name: str, path=None, target=None):
        return None if name.partition(".")[0] == "torch" else self.finder.find_spec(name, path, target)


def told_elsewhere(code: str, tiny_encoder: Path) -> str:
    """What a process of its own prints, in which torch was not imported yet."""
    begin = "import sys; sys.path.insert(0, sys.argv[1])\nfrom test_tuning import *\n"
    done = subprocess.run(
        [sys.executable, "-c", begin + code, str(Path(__file__).parent), str(tiny_encoder)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_is_left_out_before_torch_is_imported_where_the_time_is_short(tiny_encoder: Path) -> None:
    told = told_elsewhere(
        "racing.candidates = lambda names, long: (Candidate('linear', True, None), TUNED)\n"
        "found = run(which_came_first(), Weights([sys.argv[2]]), Limits(max_train_s=2.0))\n"
        "assert 'torch' not in sys.modules\n"
        "print(lost(found))",
        tiny_encoder,
    )
    assert "s at the least" in told and "s are left" in told


def test_without_torch_the_race_goes_on_and_says_how_to_get_it(tiny_encoder: Path) -> None:
    told = told_elsewhere(
        "sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]\n"
        "found = run(which_came_first(), Weights([sys.argv[2]]))\n"
        "assert found.candidate.name != 'tiny tuned'\n"
        "print(lost(found))",
        tiny_encoder,
    )
    assert told.startswith("needs torch") and "pip install 'jitr[train]'" in told


def test_a_tuning_that_fails_is_told_and_the_race_goes_on(
    weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jitr.models.surrogates.heads import tuned_export, tuned_fit

    only(monkeypatch, Candidate("linear", True, None), TUNED)
    monkeypatch.setattr(tuned_export, "_LARGEST_MB", 0.001)
    found = run(which_came_first(), weights)
    assert found.candidate.name == "ngrams linear" and "tune a smaller encoder" in lost(found)

    def no_room(*args: object) -> None:
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr(tuned_fit.Tuner, "fit", no_room)
    assert lost(run(which_came_first(), weights)) == "cannot be tuned: CUDA out of memory"


def test_few_labels_and_an_encoder_without_layers_to_tune_are_told(
    weights: Weights, tiny_encoder: Path
) -> None:
    assert f"needs {LEAST_ROWS} labels" == lost(run(which_came_first(100), weights))
    spec = weights.spec("tiny")
    assert spec.upper is not None
    bare = Weights([tiny_encoder])
    bare._specs["tiny"] = type(spec)(**{f: getattr(spec, f) for f in spec.__struct_fields__ if f != "upper"})
    assert "export it again" in lost(run(which_came_first(), bare))


def test_where_frozen_features_do_it_is_not_tried(weights: Weights) -> None:
    rows = [
        Example(str(i), float(i), f"{['red', 'blue'][i % 2]} thing case {i}", "rb"[i % 2])
        for i in range(LEAST_ROWS)
    ]
    assert lost(run(rows, weights)).startswith("not tried: ngrams linear forecasts a coverage of 1.00")


def test_numbers_are_not_tuned(weights: Weights) -> None:
    rng = np.random.default_rng(0)
    rows = [
        Example(str(i), float(i), f"{'red ' * int(n)} thing case {i}", str(n))
        for i, n in enumerate(rng.integers(0, 30, LEAST_ROWS))
    ]
    assert lost(run(rows, weights)) == "learns no numbers"
