"""What every kind of surrogate promises, asked of each of them."""

from __future__ import annotations

import importlib.util
import itertools
from pathlib import Path

import numpy as np
import pytest

from jitr.models.answers.lists import canonical_list
from jitr.models.datasets.examples import Dataset, Example
from jitr.models.encoders.cache import FeatureCache
from jitr.models.encoders.ngrams import NgramEncoder
from jitr.models.encoders.onnx.encoder import OnnxEncoder
from jitr.models.encoders.paired import PairedEncoder
from jitr.models.encoders.weights import Weights
from jitr.models.surrogates.artifact.artifact import Lineage, read_payload
from jitr.models.surrogates.candidates import Candidate
from jitr.models.surrogates.fit import Fitted, fit_model
from jitr.models.surrogates.heads.base import Features
from jitr.models.surrogates.heads.fields import fields_of
from jitr.models.surrogates.runtime import HEADS, Surrogate, model_arrays
from jitr.models.surrogates.together import answer_together
from jitr.models.training.search.race import Race
from jitr.models.training.search.tuning import LEAST_ROWS, Tuning
from jitr.models.training.train import Recipe, TrainingResult, save
from jitr.schemas.errors import WeightsError
from jitr.schemas.trainings import Limits

VERBS = {"refund": ["refund", "money back", "return"], "card": ["card", "debit", "plastic"]}
KINDS = {
    "ngrams linear": Candidate("linear", True, None),
    "ngrams ridge": Candidate("ridge", True, None),
    "minilm linear": Candidate("linear", False, "minilm"),
    "minilm+ngrams ridge": Candidate("ridge", True, "minilm"),
    "minilm+tiny+ngrams ridge": Candidate("ridge", True, "minilm", "tiny"),
    "minilm+ngrams mixture": Candidate("mixture", True, "minilm"),
    "tiny tuned": Candidate("tuned", False, "tiny"),
    "tiny+ngrams joined": Candidate("joined", True, "tiny"),
}
ODD = ["", "  ", "日本語", "🎉" * 40, "long " * 30_000, "\ud800", "\x00\x01"]


TOLERANCE = 5.0


def examples(kind: str, n: int = 200) -> Dataset:
    """Made data: two intents in many words; one input in six says neither, so that the gate has work."""
    rng = np.random.default_rng(0)
    fillers = ["please", "now", "today", "my", "the", "a", "urgent", "again", "help", "with", "about"]
    rows = []
    for i in range(n):
        label = ["refund", "card"][int(rng.integers(2))]
        said = str(rng.choice(VERBS[label])) if i % 6 else "hello"
        text = " ".join(rng.permutation([*rng.choice(fillers, 4), said, f"case {i}"]))
        if kind == "json":
            label = f'{{"intent":"{label}","source":"mail","urgent":{str("urgent" in text).lower()}}}'
        elif kind == "number":
            label = str({"card": 20, "refund": 80}[label] + 5 * int(rng.integers(-1, 2)))
        elif kind == "labels":
            held = sorted({label, *(word for word in ("again", "urgent") if word in text)})
            label = canonical_list(held)
        elif kind == "single":
            label = "always"
        rows.append(Example(str(i), float(i), text, label))
    return Dataset.from_examples(rows)


def fitted(kind: str, dataset: Dataset, weights: Weights, seed: int = 0) -> Fitted:
    candidate = KINDS[kind]
    try:
        encoder = weights.encoder(candidate.encoder) if candidate.encoder else None
        if candidate.partner:
            encoder = PairedEncoder(encoder, weights.encoder(candidate.partner))
    except WeightsError as missing:
        pytest.skip(str(missing))
    fields, numbers = fields_of(dataset.labels, TOLERANCE)
    beside, seconds = None, ()
    if candidate.tuned:
        tuning = Tuning(weights, "tiny", seed)
        if why := tuning.refuse(LEAST_ROWS, fields, Limits(max_ram_mb=1e6)):
            pytest.skip(f"it {why}")
        told = (dataset.inputs, fields, numbers, dataset.weights, dataset.groups)
        if candidate.head == "tuned":
            return tuning.fit(*told)
        tuned, seconds = tuning.opinions(*told)
        beside = tuned.tuned
    features = Features(NgramEncoder.fit(dataset.inputs) if candidate.ngrams else None, encoder, beside)
    return fit_model(
        features,
        features.encode(dataset.inputs),
        candidate,
        fields,
        numbers,
        dataset.weights,
        dataset.groups,
        seed,
        None,
        seconds,
    )


def saved(kind: str, dataset: Dataset, weights: Weights, folder: Path) -> tuple[TrainingResult, Fitted]:
    model = fitted(kind, dataset, weights)
    lineage = Lineage(parts=(), dataset=dataset.digest, code="test", seed=0)
    won = Race(KINDS[kind], model, 1.0, ())
    recipe = Recipe(task="t", renderings={"card": "Card.", "refund": "Refund."})
    return save(won, dataset, recipe, folder, "v1", lineage, 0.0), model


@pytest.fixture(scope="module")
def weights(request: pytest.FixtureRequest) -> Weights:
    able = all(importlib.util.find_spec(name) for name in ("torch", "transformers", "onnxscript"))
    folders = [request.getfixturevalue("tiny_encoder")] if able else []
    return Weights(folders, cache=FeatureCache())


each_kind = pytest.mark.parametrize("kind", KINDS)
each_output = pytest.mark.parametrize("output", ["label", "json", "single", "number", "labels"])


def test_every_head_is_asked(weights: Weights) -> None:
    heads = {f.head.kind for kind in ("ngrams linear", "ngrams ridge") for f in _fields(kind, weights)}
    assert heads | {"constant"} == set(HEADS)


def _fields(kind: str, weights: Weights) -> tuple:
    return fitted(kind, examples("label"), weights).model.fields


@each_kind
@each_output
def test_an_artifact_read_back_answers_as_the_model_that_was_fitted(
    kind: str, output: str, weights: Weights, tmp_path: Path
) -> None:
    dataset = examples(output)
    result, model = saved(kind, dataset, weights, tmp_path / "a")
    surrogate = Surrogate.load(tmp_path / "a", result.digest, weights)
    labels, scores = model.model.answer(dataset.inputs)
    answers = surrogate.answer_many(dataset.inputs)
    assert [a.label for a in answers] == labels
    assert np.allclose([a.score for a in answers], scores, atol=0.02)
    again = Surrogate.load(tmp_path / "a", result.digest, weights).answer_many(dataset.inputs)
    assert again == answers


@each_kind
@each_output
def test_the_same_data_and_seed_give_the_same_digest(
    kind: str, output: str, weights: Weights, tmp_path: Path
) -> None:
    dataset = examples(output)
    first, _ = saved(kind, dataset, weights, tmp_path / "a")
    second, _ = saved(kind, dataset, weights, tmp_path / "b")
    assert first.digest == second.digest
    for name in ("manifest.json", "model.safetensors"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@each_kind
def test_saving_what_was_loaded_gives_the_same_bytes(kind: str, weights: Weights, tmp_path: Path) -> None:
    result, _ = saved(kind, examples("number"), weights, tmp_path / "a")
    loaded = Surrogate.load(result.path, weights=weights)
    arrays = read_payload(tmp_path / "a", loaded.manifest)[0]
    again = model_arrays(loaded._model)
    assert again.keys() == arrays.keys()
    for name, array in arrays.items():
        assert again[name].dtype == array.dtype and again[name].tobytes() == array.tobytes(), name


@each_kind
@pytest.mark.parametrize("output", ["label", "number", "labels"])
def test_it_learns_and_its_gate_is_worth_something(kind: str, output: str, weights: Weights) -> None:
    model = fitted(kind, examples(output), weights)
    assert model.accuracy > 0.7
    assert model.forecast.agreement[0] >= model.forecast.agreement[-1] + 0.03
    assert list(model.forecast.thresholds) == sorted(model.forecast.thresholds, reverse=True)


@each_kind
@each_output
def test_odd_inputs_get_an_answer_and_a_score(
    kind: str, output: str, weights: Weights, tmp_path: Path
) -> None:
    dataset = examples(output)
    result, _ = saved(kind, dataset, weights, tmp_path / "a")
    surrogate = Surrogate.load(result.path, result.digest, weights)
    for answer in [*surrogate.answer_many(ODD), surrogate.answer("")]:
        assert answer.label in dataset.labels or output in ("json", "labels")
        assert -1 <= answer.score <= 1  # below 0 it is out of distribution
    assert surrogate.answer_many([]) == []


@each_kind
def test_alone_and_in_a_batch_the_answer_is_the_same(kind: str, weights: Weights, tmp_path: Path) -> None:
    dataset = examples("label")
    result, _ = saved(kind, dataset, weights, tmp_path / "a")
    surrogate = Surrogate.load(result.path, weights=weights)
    batch = surrogate.answer_many(dataset.inputs[:20])
    for text, answer in zip(dataset.inputs[:20], batch, strict=True):
        alone = surrogate.answer(text)
        assert alone.label == answer.label and abs(alone.score - answer.score) < 1e-3


@each_kind
def test_together_with_others_the_answers_are_those_of_each_by_itself(
    kind: str, weights: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = []
    for name, output in (("one", "label"), ("other", "number")):
        saved(kind, examples(output), weights, tmp_path / name)
        loaded.append(Surrogate.load(tmp_path / name, weights=weights))
    plain = Surrogate.load(saved("ngrams linear", examples("label"), weights, tmp_path / "plain")[0].path)
    texts = [*examples("label").inputs[:8], "\ud800", ""]
    asked = [(one, text) for text in texts for one in (*loaded, plain)]
    read: list[str] = []
    whole = OnnxEncoder.encode_views
    monkeypatch.setattr(
        OnnxEncoder, "encode_views", lambda self, texts: read.append(self.form) or whole(self, texts)
    )
    found = answer_together(asked)
    assert len(read) == len(set(read)), "an encoder that two share reads once"
    monkeypatch.undo()
    for at, one in enumerate((*loaded, plain)):
        assert found[at::3] == one.answer_many(texts)


@each_kind
def test_what_a_surrogate_holds_in_memory_is_known(kind: str, weights: Weights, tmp_path: Path) -> None:
    result, model = saved(kind, examples("label"), weights, tmp_path / "a")
    own = Weights(weights.folders)
    surrogate = Surrogate.load(result.path, weights=own)
    assert (
        surrogate.ram_mb >= sum(a.nbytes for f in model.model.fields for a in f.head.arrays().values()) / 1e6
    )
    wanted = {"minilm+tiny+ngrams ridge": 2, "ngrams linear": 0, "ngrams ridge": 0}.get(kind, 1)
    assert len(surrogate.encoders) == wanted
    own.release(surrogate.encoders)
    again = Surrogate.load(result.path, weights=own)
    assert again.encoders == surrogate.encoders, "those in use stay"
    own.release(())
    if wanted:
        assert Surrogate.load(result.path, weights=own).encoders != surrogate.encoders


@each_kind
def test_the_answer_is_written_as_the_teacher_writes_it(kind: str, weights: Weights, tmp_path: Path) -> None:
    result, _ = saved(kind, examples("label"), weights, tmp_path / "a")
    answer = Surrogate.load(result.path, weights=weights).answer("my debit card please")
    assert answer.text == {"card": "Card.", "refund": "Refund."}[answer.label]


@each_kind
def test_a_row_that_stands_for_many_calls_weighs_as_many(kind: str, weights: Weights) -> None:
    pairs = list(zip(examples("label").inputs, examples("label").labels, strict=True))
    other = {"card": "refund", "refund": "card"}

    def taught(weight: float) -> tuple[Dataset, Fitted]:
        """The teacher says one thing on most calls, and another on a few that were sampled."""
        rows = [Example(str(i), i, text, label) for i, (text, label) in enumerate(pairs[:150])]
        rows += [
            Example(f"s{i}", i, text, other[label], weight) for i, (text, label) in enumerate(pairs[150:])
        ]
        dataset = Dataset.from_examples(rows)
        return dataset, fitted(kind, dataset, weights)

    (_, light), (dataset, heavy) = taught(1.0), taught(30.0)
    assert heavy.accuracy == pytest.approx(np.average(heavy.agrees, weights=dataset.weights))
    seldom = dataset.weights > 1
    assert heavy.agrees[~seldom].mean() < light.agrees[~seldom].mean()


@each_kind
def test_folders_hold_no_pickle(kind: str, weights: Weights, tmp_path: Path) -> None:
    saved(kind, examples("label"), weights, tmp_path / "a")
    names = {path.name for path in (tmp_path / "a").iterdir()}
    files = {"manifest.json", "model.safetensors", "ngrams.json", "measured.json", "card.md"}
    files |= {"coverage.svg", "confusion.svg", "learning.svg"}
    assert names <= files
    assert list(itertools.chain(tmp_path.glob("*.tmp"))) == []
