"""The race keeps its limits, tells why each candidate lost, and goes on without what is missing."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

import jitr
from jitr.models.datasets.examples import Dataset, Example
from jitr.models.datasets.parts import write_parts
from jitr.models.encoders.registry import registry
from jitr.models.encoders.weights import Weights
from jitr.models.surrogates.artifact.artifact import RaceEntry
from jitr.models.surrogates.candidates import Candidate
from jitr.models.surrogates.forecast import SHARES
from jitr.models.surrogates.runtime import Surrogate
from jitr.models.training import train as training
from jitr.models.training.search.race import decide, race
from jitr.models.training.search.runner import Runner
from jitr.models.training.train import Recipe, train, training_id
from jitr.schemas.errors import TrainingError, WeightsError
from jitr.schemas.trainings import Limits


def rows(n: int = 500) -> list[Example]:
    rng = np.random.default_rng(0)
    words = {"yes": ["sure", "gladly", "agreed"], "no": ["never", "refuse", "reject"]}
    found = []
    for i in range(n):
        label = "yes" if rng.random() < 0.5 else "no"
        text = f"{rng.choice(words[label])} {rng.choice(['on', 'at', 'by'])} item {rng.integers(1e6)} {i}"
        found.append(Example(str(i), float(i), text, label))
    return found


def steps(size: float = 0.001):
    count = itertools.count()
    return lambda: next(count) * size


class Bare(Weights):
    """A machine without any weights."""

    def encoder(self, name: str, sha256: str | None = None):
        raise WeightsError(f"{name} is not on this machine: `pip install it`")


def run(limits: Limits | None = None, weights: Weights | None = None, clock=None, n: int = 500, **more):
    return race(
        Dataset.from_examples(rows(n)),
        limits=limits or Limits(),
        target=0.9,
        seed=0,
        weights=weights or Bare(),
        clock=clock or steps(),
        **more,
    )


def test_it_goes_on_without_missing_weights_and_says_so() -> None:
    found = run()
    assert found.candidate.name == "ngrams linear" and found.fitted.accuracy > 0.95
    lost = {entry.candidate: entry.lost for entry in found.entries}
    assert lost["ngrams linear"] == ""
    assert all("pip install" in why for name, why in lost.items() if name != "ngrams linear")


def test_it_is_the_same_race_twice() -> None:
    first, second = run(), run()
    assert first.fitted.forecast == second.fitted.forecast
    assert (first.fitted.scores == second.fitted.scores).all()


def test_a_surrogate_that_is_too_slow_or_too_large_is_refused() -> None:
    with pytest.raises(TrainingError, match=r"ms \(p99\), 50 ms are allowed"):
        run(clock=steps(0.2))
    with pytest.raises(TrainingError, match="1 MB are allowed"):
        run(Limits(max_ram_mb=1.0))


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(TrainingError, match="too few"):
        run(n=10)


def test_progress_is_told_and_rises() -> None:
    told: list[float] = []
    run(n=600, progress=lambda stage, done: told.append(done))
    assert told == sorted(told) and told[0] == 0 and told[-1] == 1 and len(told) >= 3


def test_encoders_join_where_their_weights_are() -> None:
    weights = Weights()
    try:
        weights.encoder("minilm")
    except WeightsError as missing:
        pytest.skip(str(missing))
    names = {entry.candidate for entry in run(weights=weights, n=200).entries}
    encoders = {f"{encoder} {head}" for encoder in registry() for head in ("linear", "tuned")}
    assert names == {"ngrams linear", *encoders, "minilm+ngrams ridge", "minilm+ngrams joined"}


def test_an_encoder_that_would_take_too_long_is_left_out_before_it_runs() -> None:
    weights = Weights()
    try:
        weights.encoder("minilm")
    except WeightsError as missing:
        pytest.skip(str(missing))
    # half a second passes between two looks at the clock: 16 texts take that long
    found = run(Limits(max_train_s=4.0, max_latency_ms=1e6), weights=weights, clock=steps(0.5), n=200)
    lost = {entry.candidate: entry.lost for entry in found.entries}
    assert lost["ngrams linear"] == "" and "4 s are allowed" in lost["minilm linear"]


@pytest.mark.parametrize(
    ("rivals", "winner"),
    [
        ({"a": (0.0, 0.91, 10.0), "b": (0.0, 0.907, 9.0)}, "a"),  # hardly cheaper: the better
        ({"a": (0.0, 0.91, 10.0), "b": (0.0, 0.907, 2.0)}, "b"),  # as good within a tie, and cheap
        ({"a": (0.0, 0.91, 10.0), "b": (0.0, 0.90, 2.0)}, "a"),  # no tie
        ({"a": (0.8, 0.90, 10.0), "b": (0.7, 0.95, 2.0)}, "a"),  # coverage comes before agreement
        ({"a": (0.8, 0.90, 3.0), "b": (0.8, 0.90, 2.5)}, "b"),
    ],
)
def test_within_a_tie_only_what_is_much_cheaper_beats_what_is_better(
    rivals: dict[str, tuple[float, float, float]], winner: str
) -> None:
    assert decide(runners_of(rivals), []).candidate.encoder == winner


def test_the_loser_is_told_what_decided() -> None:
    def told(**rivals: tuple[float, float, float]) -> str:
        return decide(runners_of(rivals), []).entries[1].lost

    assert told(a=(0.8, 0.90, 10.0), b=(0.7, 0.95, 2.0)) == (
        "forecasts a coverage of 0.70 at an agreement of 0.950; a+ngrams linear: 0.80 at 0.900"
    )
    # 2 ms and 10 ms, each of 30 MB: time alone does not say it
    assert told(a=(0.0, 0.91, 10.0), b=(0.0, 0.907, 2.0)).endswith(
        "b+ngrams linear: 0.00 at 0.907, for 60 ms x MB instead of 300"
    )


def runners_of(rivals: dict[str, tuple[float, float, float]]) -> list[Runner]:
    """Candidates by their coverage, agreement and milliseconds, each of 30 MB."""
    fitted = run().fitted
    return [
        Runner(
            Candidate("linear", True, name),
            RaceEntry(candidate=name, coverage=coverage, accuracy=accuracy, p99_ms=p99_ms, size_mb=30.0),
            fitted,
        )
        for name, (coverage, accuracy, p99_ms) in rivals.items()
    ]


def test_what_another_revision_of_the_code_trained_is_not_taken_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder of before a change of format was taken for the training's own, and refused at serving."""
    made = rows(120)
    parts = write_parts(str(tmp_path / "data"), "t", 0, made, list(range(120)))
    recipe = Recipe(task="t", encoders=())
    first = train(parts, recipe, Limits(), tmp_path / "out")
    assert first.manifest.lineage.code == training.CODE == f"{jitr.__version__}+{training.REVISION}"
    monkeypatch.setattr(training, "CODE", "another")
    second = train(parts, recipe, Limits(), tmp_path / "out")
    assert second.version != first.version and second.path != first.path
    assert second.manifest.lineage.code == "another"


def test_training_from_parts_is_done_once(tmp_path: Path) -> None:
    made = rows(120)
    parts = write_parts(str(tmp_path / "data"), "t", 0, made, list(range(120)))
    recipe = Recipe(task="t", encoders=(), renderings={"yes": "Yes!", "no": "No!"})
    first = train(parts, recipe, Limits(), tmp_path / "out", 7)
    assert first.version == training_id(parts, recipe, Limits(), 7)

    def must_not_run(stage: str, done: float) -> None:
        raise AssertionError("trained again")

    assert train(parts, recipe, Limits(), tmp_path / "out", 7, progress=must_not_run) == first
    other = train(parts, recipe, Limits(), tmp_path / "elsewhere", 7)
    assert other.digest == first.digest
    assert Surrogate.load(first.path, first.digest).answer("gladly by item 5").text == "Yes!"
    ref = first.ref()
    assert (
        len(ref.shares) == len(ref.thresholds) == len(ref.forecast) == len(SHARES)
        and ref.digest == first.digest
    )
