"""What a surrogate has never seen the like of goes to the teacher, however sure its head is."""

from __future__ import annotations

import gzip
import json
import os
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from jitr.models.datasets.examples import Dataset, Example
from jitr.models.encoders.cache import FeatureCache
from jitr.models.encoders.ngrams import NgramEncoder
from jitr.models.encoders.weights import Weights
from jitr.models.surrogates.candidates import Candidate
from jitr.models.surrogates.fit import Fitted, fit_model
from jitr.models.surrogates.heads.base import Encoded, Features
from jitr.models.surrogates.heads.fields import fields_of
from jitr.models.surrogates.out_of_distribution import OutOfDistributionDetector
from jitr.schemas.errors import ArtifactError, WeightsError

DATA = os.environ.get("JITR_DATA")
HEADS = {
    "ngrams linear": Candidate("linear", True, None),
    "minilm linear": Candidate("linear", False, "minilm"),
    "minilm+ngrams ridge": Candidate("ridge", True, "minilm"),
}
real_data = [
    pytest.mark.data,
    pytest.mark.slow,
    pytest.mark.skipif(not DATA, reason="JITR_DATA names no folder of public data"),
]


def marked(name: str) -> object:
    return pytest.param(name, marks=real_data)


@cache
def rows(name: str) -> list[dict]:
    path = Path(str(DATA)) / name
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    with gzip.open(path, "rt") as file:
        return [json.loads(line) for line in file]


def some(found: list, n: int) -> list:
    return [found[i] for i in np.random.default_rng(0).permutation(len(found))[:n]]


@cache
def texts_of_other_sets() -> dict[str, list[str]]:
    """Questions to another assistant, sentences from film reviews, prompts of other tasks."""
    asked = rows("clinc150/all.jsonl.gz")
    reviews = [re.split(r"(?<=[.!?])\s", r["text"])[0] for r in some(rows("imdb/reviews.jsonl.gz"), 150)]
    return {
        "intents of another assistant": [r["text"] for r in some(asked, 300)],
        "in no intent of it": [r["text"] for r in some([r for r in asked if r["label"] == "oos"], 300)],
        "sentences": reviews,
        "prompts": [r["prompt"] for r in some(rows("t0-prompt-templates/instances.jsonl.gz"), 100)],
    }


@pytest.fixture(scope="module")
def weights() -> Weights:
    found = Weights(cache=FeatureCache())
    try:
        found.encoder("minilm")
    except WeightsError as missing:
        pytest.skip(str(missing))
    return found


def taught(head: str, pairs: list[tuple[str, str]], weights: Weights) -> Fitted:
    candidate = HEADS[head]
    data = Dataset.from_examples(Example(str(i), float(i), t, a) for i, (t, a) in enumerate(pairs))
    fields, numbers = fields_of(data.labels, 0.0)
    features = Features(
        NgramEncoder.fit(data.inputs) if candidate.ngrams else None,
        weights.encoder(candidate.encoder) if candidate.encoder else None,
    )
    encoded = features.encode(data.inputs)
    return fit_model(features, encoded, candidate, fields, numbers, data.weights, data.groups, 0)


def accepted(fitted: Fitted, texts: list[str], target: float) -> float:
    """The share accepted at the loosest threshold that is forecast to keep the target."""
    forecast = fitted.forecast
    kept = [t for t, q in zip(forecast.thresholds, forecast.agreement, strict=True) if q >= target]
    assert kept, f"nothing is forecast to agree {target} of the time"
    return float((fitted.model.answer(texts)[1] >= kept[-1]).mean())


@pytest.mark.parametrize("head", [marked(name) for name in HEADS])
def test_of_many_classes_every_head_defers_texts_of_other_sets(head: str, weights: Weights) -> None:
    pairs = [(r["text"], r["label"]) for r in some(rows("banking77/train.jsonl.gz"), 1000)]
    fitted = taught(head, pairs, weights)
    own = accepted(fitted, [r["text"] for r in some(rows("banking77/test.jsonl.gz"), 500)], 0.95)
    assert own > 0.35
    for name, texts in texts_of_other_sets().items():
        assert accepted(fitted, texts, 0.95) < own / 4, name


@pytest.mark.parametrize("head", [marked("minilm linear"), marked("minilm+ngrams ridge")])
def test_of_two_classes_it_does_so_though_its_gate_is_sure_of_them(head: str, weights: Weights) -> None:
    known, new = rows("banking77/train.jsonl.gz"), rows("banking77/test.jsonl.gz")
    pairs = [(r["text"], "card" if "card" in r["label"] else "other") for r in some(known, 1000)]
    fitted = taught(head, pairs, weights)
    blind = replace(fitted, model=replace(fitted.model, detector=None))
    texts = [r["text"] for r in some(new, 500)]
    own = accepted(fitted, texts, 0.95)
    assert own > accepted(blind, texts, 0.95) - 0.02
    for name, others in texts_of_other_sets().items():
        assert accepted(blind, others, 0.95) > 0.8 * own, name
        assert accepted(fitted, others, 0.95) < own / 2, name


def views(n: int, where: int, seed: int = 0) -> NDArray[np.float32]:
    """Sentence vectors around one axis."""
    made = np.random.default_rng(seed).normal(scale=0.2, size=(n, 1, 8)).astype(np.float32)
    made[:, 0, where] += 1
    return np.asarray(made / np.linalg.norm(made, axis=2, keepdims=True), np.float32)


def test_hardly_any_row_is_out_of_distribution_without_itself_and_whatever_lies_elsewhere_is() -> None:
    detector, out = OutOfDistributionDetector.fit(Encoded(None, views(600, 0)), np.arange(600), 0)
    assert detector is not None and 0 < out.sum() <= 3
    assert detector.out_of_distribution(Encoded(None, views(1000, 0, seed=1))).mean() < 0.02
    assert detector.out_of_distribution(Encoded(None, views(200, 5))).all()


def test_near_duplicates_do_not_vouch_for_each_other() -> None:
    pairs = np.repeat(views(200, 0), 2, axis=0)
    alone, _ = OutOfDistributionDetector.fit(Encoded(None, pairs), np.repeat(np.arange(200), 2), 0)
    vouched, _ = OutOfDistributionDetector.fit(Encoded(None, pairs), np.arange(400), 0)
    assert alone is not None and vouched is not None and alone.floor < vouched.floor


def test_nothing_is_told_apart_without_an_encoder_or_where_all_rows_are_one_group() -> None:
    assert OutOfDistributionDetector.fit(Encoded(None, views(50, 0)), np.zeros(50, np.int64), 0)[0] is None
    encoder = NgramEncoder.fit(["a text", "another text"])
    detector, out = OutOfDistributionDetector.fit(
        Encoded(encoder.rows(["a text", "another text"]), None), np.arange(2), 0
    )
    assert detector is None and not out.any()


def test_it_is_read_back_as_it_was_and_refused_where_it_does_not_fit(weights: Weights) -> None:
    features = Features(None, weights.encoder("minilm"))
    encoded = features.encode([f"where is card number {i}" for i in range(40)])
    detector, _ = OutOfDistributionDetector.fit(encoded, np.arange(40), 0)
    assert detector is not None
    arrays = detector.arrays()
    again = OutOfDistributionDetector.from_arrays(arrays, features)
    assert again is not None and again.floor == detector.floor and (again.rows == detector.rows).all()
    assert OutOfDistributionDetector.from_arrays({}, features) is None  # a model without an encoder
    wrong = [{"rows": arrays["rows"][:, 1:]}, {"rows": arrays["rows"][:0]}, {"floor": np.zeros(2)}]
    for change in wrong:
        with pytest.raises(ArtifactError, match="train the surrogate again"):
            OutOfDistributionDetector.from_arrays(arrays | change, features)
    with pytest.raises(ArtifactError, match="lack"):
        OutOfDistributionDetector.from_arrays({"rows": arrays["rows"]}, features)
