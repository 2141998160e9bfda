"""A training runs in a process of its own, and whatever happens there becomes evidence."""

import os

import msgspec
import psutil
import pytest

from jitr.agents.auditing.scoring import AuditScorer
from jitr.agents.training.child import _train, run_training
from jitr.agents.training.race_store import keep_race, race_before
from jitr.models.datasets.examples import Example
from jitr.models.datasets.parts import read_parts, write_parts
from jitr.models.economics.money import cpu_usd
from jitr.models.encoders.cache import FeatureCache
from jitr.models.encoders.weights import Weights
from jitr.models.surrogates.artifact.artifact import RaceEntry
from jitr.models.training.search.prior import Prior
from jitr.schemas.errors import ArtifactError, WeightsError
from jitr.schemas.evidence import Trained, TrainingFailed
from jitr.schemas.trainings import Limits, Training

WORDS = {"good": ["lovely", "fine", "great", "sunny"], "bad": ["awful", "grim", "poor", "rainy"]}


@pytest.fixture
def training(tmp_path):
    rows = [
        Example(f"c{n}", float(n), f"{WORDS[label][n // 2 % 4]} day number {n} {'xyz'[n % 3]}", label)
        for n in range(60)
        for label in [("good", "bad")[n % 2]]
    ]
    parts = write_parts(str(tmp_path / "data"), "k", 0, rows, list(range(60)))
    return Training(
        id="training",
        tenant="t",
        task="k",
        task_version=1,
        kind="label",
        parts=tuple(parts),
        labels=60,
        renderings={"good": "Good", "bad": "Bad"},
        target=0.9,
        delta=0.05,
        limits=Limits(max_train_s=20.0, max_latency_ms=1000.0),
        until_offset=59,
        requested_at=7.0,
    )


def children():
    return {child.pid for child in psutil.Process().children(recursive=True)}


@pytest.mark.slow
async def test_the_same_training_twice_is_one_artifact_and_it_answers(training, tmp_path):
    first = await run_training(training, str(tmp_path / "out"), 4096)
    again = await run_training(training, str(tmp_path / "out"), 4096)
    assert isinstance(first, Trained), first
    assert isinstance(again, Trained)
    assert (first.id, first.surrogate) == (again.id, again.surrogate)
    assert (first.time, first.surrogate.after_offset) == (7.0, 59)
    # the second found it trained: what it was paid for is told all the same
    assert min(first.cost_usd, again.cost_usd) >= cpu_usd(first.surrogate.train_s) > 0
    scorer = AuditScorer()
    try:
        ((label, score, _),) = await scorer.answers(first.surrogate, ["lovely day number 3 x"])
        assert label == "good"
        assert 0 <= score <= 1
    finally:
        scorer.stop()


@pytest.mark.slow
async def test_what_a_training_embedded_the_next_one_of_the_task_finds(training, tmp_path):
    weights = Weights()
    try:
        encoder = weights.encoder("minilm")
    except WeightsError as missing:
        pytest.skip(str(missing))
    first = await run_training(training, str(tmp_path / "out"), 4096)
    assert isinstance(first, Trained), first
    cache = FeatureCache(tmp_path / "out-features" / training.task)
    inputs = read_parts(training.parts).inputs
    assert cache.missing(encoder.form, inputs) == 0
    assert (cache.rows(encoder.form, inputs[:9], None) == encoder.encode_views(inputs[:9])).all()


def test_a_training_begins_where_the_race_it_names_ended(training, tmp_path):
    try:
        Weights().encoder("minilm")
    except WeightsError as missing:
        pytest.skip(str(missing))
    root = str(tmp_path / "out")
    won = RaceEntry(candidate="minilm+ngrams ridge", rows=300, accuracy=0.9, curve=((300, 0.9),))
    beaten = RaceEntry(candidate="minilm linear", rows=300, accuracy=0.6, curve=((300, 0.6),))
    keep_race(root, msgspec.structs.replace(training, id="before"), (won, beaten))
    _train(training, root)
    # it is named by nobody, and changes nothing
    assert "beaten" not in told(race_before(root, msgspec.structs.replace(training, previous="training")))
    later = msgspec.structs.replace(training, id="later", previous="before", seed=1)
    _train(later, root)
    found = race_before(root, msgspec.structs.replace(training, previous="later"))
    assert "was beaten by minilm+ngrams ridge on 300 labels" in told(found)


def test_a_race_that_was_not_run_or_is_damaged_tells_nothing(training, tmp_path):
    root = str(tmp_path / "out")
    asked = msgspec.structs.replace(training, previous="before")
    assert race_before(root, training) == race_before(root, asked) == Prior()
    keep_race(root, msgspec.structs.replace(training, id="before"), (RaceEntry(candidate="a"),))
    assert race_before(root, asked).entries == (RaceEntry(candidate="a"),)
    (tmp_path / "out-races" / "k" / "before.json").write_bytes(b"[{")
    assert race_before(root, asked) == Prior()


def told(prior):
    return next(e.lost for e in prior.entries if e.candidate == "minilm linear")


async def test_too_much_memory_ends_the_child_and_says_so(training, tmp_path):
    before = children()
    failed = await run_training(training, str(tmp_path / "out"), 1)
    assert isinstance(failed, TrainingFailed)
    assert "memory" in failed.reason
    assert failed.labels == 60
    assert children() <= before


async def test_data_that_cannot_be_read_is_the_reason(training, tmp_path):
    os.unlink(training.parts[0].url)
    failed = await run_training(training, str(tmp_path / "out"), 4096)
    assert isinstance(failed, TrainingFailed)
    assert "cannot be read" in failed.reason


async def test_a_surrogate_that_is_not_there_is_an_artifact_error(training, tmp_path):
    from jitr.schemas.routes import SurrogateRef

    scorer = AuditScorer()
    try:
        with pytest.raises(ArtifactError):
            await scorer.answers(
                SurrogateRef(version="v", uri=str(tmp_path), digest="d", encoders="b"), ["x"]
            )
    finally:
        scorer.stop()
