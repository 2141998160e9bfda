"""A surrogate that reads through an encoder, for a task of two labels; made in a second or two."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jitr.models.datasets.examples import Dataset, Example
from jitr.models.encoders.ngrams import NgramEncoder
from jitr.models.encoders.weights import Weights
from jitr.models.surrogates.artifact.artifact import Lineage
from jitr.models.surrogates.candidates import Candidate
from jitr.models.surrogates.fit import fit_model
from jitr.models.surrogates.heads.base import Features
from jitr.models.surrogates.heads.fields import fields_of
from jitr.models.training.search.race import Race
from jitr.models.training.train import Recipe, TrainingResult, save


def encoder_surrogate(
    rows: Sequence[tuple[str, str]], folder: Path, weights: Weights, encoder: str, version: str = "v1"
) -> TrainingResult:
    """Fit kernel ridge on an encoder and n-grams, without a race; `WeightsError` without the encoder."""
    dataset = Dataset.from_examples(Example(str(i), float(i), *row) for i, row in enumerate(rows))
    fields, numbers = fields_of(dataset.labels)
    features = Features(NgramEncoder.fit(dataset.inputs), weights.encoder(encoder))
    candidate = Candidate("ridge", True, encoder)
    fitted = fit_model(
        features,
        features.encode(dataset.inputs),
        candidate,
        fields,
        numbers,
        dataset.weights,
        dataset.groups,
        0,
        None,
        (),
    )
    lineage = Lineage(parts=(), dataset=dataset.digest, code="test", seed=0)
    return save(Race(candidate, fitted, 1.0, ()), dataset, Recipe(task="t1"), folder, version, lineage, 0.0)
