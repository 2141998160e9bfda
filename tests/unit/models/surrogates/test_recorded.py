"""What the recipes reach on public data; the figures are floors, not goals."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import numpy as np
import pytest

from jitr.models.datasets.examples import Dataset, Example
from jitr.models.encoders.weights import Weights
from jitr.models.surrogates.runtime import Surrogate
from jitr.models.training.train import Recipe, train_dataset
from jitr.schemas.errors import WeightsError
from jitr.schemas.trainings import Limits

DATA = os.environ.get("JITR_DATA")
pytestmark = [
    pytest.mark.data,
    pytest.mark.slow,
    pytest.mark.skipif(not DATA, reason="JITR_DATA names no folder of public data"),
]


def rows(name: str) -> list[dict]:
    path = Path(str(DATA)) / "banking77" / name
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    with gzip.open(path, "rt") as file:
        return [json.loads(line) for line in file]


def test_a_thousand_labels_of_77_intents_cover_most_calls_at_the_target(tmp_path: Path) -> None:
    weights = Weights()
    try:
        weights.encoder("minilm")
    except WeightsError as missing:
        pytest.skip(str(missing))
    known, new = rows("train.jsonl.gz"), rows("test.jsonl.gz")[::4]
    pick = np.random.default_rng(0).permutation(len(known))[:1000]
    dataset = Dataset.from_examples(
        Example(str(i), float(i), known[i]["text"], str(known[i]["label"])) for i in pick
    )
    result = train_dataset(
        dataset,
        Recipe(task="t"),
        Limits(max_latency_ms=1e4, max_train_s=60.0),
        tmp_path / "v",
        weights=weights,
    )
    assert result.manifest.encoders == "minilm+ngrams" and result.measured.size_mb < 10
    surrogate = Surrogate.load(result.path, result.digest, weights)
    answers = surrogate.answer_many([row["text"] for row in new])
    right = np.array([a.label == str(row["label"]) for a, row in zip(answers, new, strict=True)])
    shares = dict(zip(result.manifest.shares, result.manifest.thresholds, strict=True))
    accepted = np.array([a.score for a in answers]) >= shares[0.70]
    assert right.mean() > 0.82
    assert abs(accepted.mean() - 0.70) < 0.08
    assert right[accepted].mean() > 0.94
