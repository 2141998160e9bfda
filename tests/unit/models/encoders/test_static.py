"""A static encoder is distilled from an encoder without torch, and serves like one, much faster."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from jitr.models.datasets.examples import Dataset, Example
from jitr.models.encoders.static import DIM, distil, lookup_graph, reduced
from jitr.models.encoders.weights import Weights
from jitr.models.surrogates.artifact.artifact import Lineage
from jitr.models.surrogates.runtime import Surrogate
from jitr.models.training.search.race import race
from jitr.models.training.train import Recipe, save
from jitr.schemas.errors import WeightsError
from jitr.schemas.settings import Settings
from jitr.schemas.trainings import Limits

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("static")
    try:
        distil(Weights(), made)
    except WeightsError as missing:
        pytest.skip(str(missing))
    return made


def test_the_graph_looks_tokens_up() -> None:
    table = np.arange(-6, 6, dtype=np.int8).reshape(4, 3)
    session = onnxruntime.InferenceSession(lookup_graph(table), providers=["CPUExecutionProvider"])
    [out] = session.run(None, {"input_ids": np.array([[3, 0], [1, 1]], dtype=np.int64)})
    assert out.dtype == np.float32 and out.tolist() == table[[[3, 0], [1, 1]]].tolist()


def test_frequent_tokens_weigh_little() -> None:
    vectors = np.random.default_rng(0).normal(size=(200, 16)).astype(np.float32)
    norms = np.linalg.norm(reduced(vectors, 16), axis=1) / np.linalg.norm(vectors, axis=1)
    assert norms[:5].max() < 0.1 * norms[-5:].min()


def test_like_texts_are_near_and_the_order_of_words_is_none(folder: Path) -> None:
    encoder = Weights([folder]).encoder("static")
    rows = encoder.encode(
        ["my card was stolen", "stolen was my card", "someone took my debit card", "hello there"]
    )
    assert rows.shape == (4, DIM) and np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    near = rows @ rows.T
    assert near[0, 1] > 0.999 and near[0, 2] > near[0, 3] + 0.1


def test_alone_and_in_a_batch_a_text_has_the_same_row(folder: Path) -> None:
    encoder = Weights([folder]).encoder("static")
    texts = ["short", "a longer text about a card", "", "日本語"]
    assert np.allclose(encoder.encode(texts), np.concatenate([encoder.encode([t]) for t in texts]), atol=1e-6)


def test_what_was_distilled_stays(folder: Path) -> None:
    before = (folder / "model.onnx").stat().st_mtime_ns
    assert distil(Weights(), folder).model.sha256 == Weights([folder]).spec("static").model.sha256
    assert (folder / "model.onnx").stat().st_mtime_ns == before


def test_it_races_and_serves_by_the_folder_that_the_environment_names(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JITR_WEIGHTS", str(folder))
    assert Settings.load().redact  # the name is no setting, and no mistake
    words = {"refund": ["refund", "repay", "reimburse"], "card": ["card", "plastic", "visa"]}
    rng = np.random.default_rng(0)
    rows = []
    for i in range(120):
        label = ["refund", "card"][i % 2]
        rows.append(Example(str(i), float(i), f"please {rng.choice(words[label])} number {i}", label))
    dataset = Dataset.from_examples(rows)
    weights = Weights()
    won = race(
        dataset, limits=Limits(max_latency_ms=1e6), target=0.9, seed=0, weights=weights,
        clock=lambda: 0.0, encoders=("static",),
    )  # fmt: skip
    raced = {entry.candidate for entry in won.entries}
    assert {"static linear", "static+ngrams ridge"} <= raced
    lineage = Lineage(parts=(), dataset=dataset.digest, code="test", seed=0)
    result = save(won, dataset, Recipe(task="t"), tmp_path / "a", "v", lineage, 0.0)
    surrogate = Surrogate.load(result.path, result.digest, Weights())
    assert surrogate.answer("please refund this").label == "refund"
