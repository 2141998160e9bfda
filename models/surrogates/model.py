"""A surrogate's model while it serves: features, one head and one gate per field, one joint gate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jitr.models.promise.gate import Gate
from jitr.models.surrogates.heads.base import Encoded, Features, Head, ViewsOf
from jitr.models.surrogates.heads.fields import FieldSpec, join_label
from jitr.models.surrogates.out_of_distribution import OutOfDistributionDetector


@dataclass(frozen=True)
class FieldModel:
    """Head and gate of one field."""

    spec: FieldSpec
    head: Head
    gate: Gate


@dataclass(frozen=True)
class Model:
    """Answers texts; agreement is on the whole answer, so with several fields a joint gate decides.

    The score of an input that ``detector`` finds to be out of distribution lies below 0, where no threshold
    accepts it.
    """

    features: Features
    fields: tuple[FieldModel, ...]
    joint: Gate | None = None
    detector: OutOfDistributionDetector | None = None

    @property
    def ram_mb(self) -> float:
        """Resident memory, less the encoders that others may read through too."""
        features = self.features
        encoders = [
            encoder.cost.ram_mb for encoder in (features.ngrams, features.own_layers) if encoder is not None
        ]
        arrays = [array for field in self.fields for array in field.head.arrays().values()]
        if self.detector is not None:
            arrays.append(self.detector.rows)
        # single precision in memory, however little it takes on disk
        return sum(encoders) + sum(array.size for array in arrays) * 4 / 1e6

    def answer(
        self, texts: Sequence[str], views_of: ViewsOf | None = None
    ) -> tuple[list[str], NDArray[np.float64]]:
        """Labels and the gate's scores, one per text."""
        return self.decide(self.features.encode(texts, views_of))

    def decide(self, encoded: Encoded) -> tuple[list[str], NDArray[np.float64]]:
        """The same for texts that are encoded already."""
        choices, scores = [], []
        for field in self.fields:
            prediction = field.head.predict(encoded)
            choices.append([field.spec.text(i) for i in prediction.chosen.tolist()])
            scores.append(field.gate.score(prediction.probs, prediction.signals))
        specs = [field.spec for field in self.fields]
        labels = [join_label(specs, row) for row in zip(*choices, strict=True)]
        score = scores[0]
        if self.joint is not None:
            score = self.joint.score(np.ones((len(labels), 1), np.float32), joint_signals(scores))
        if self.detector is not None:
            score = score - self.detector.out_of_distribution(encoded)
        return labels, score


def joint_signals(scores: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """What the joint gate sees of the fields' scores: the least sure one, and all together; shape (n, 2)."""
    p = np.clip(np.stack(scores, axis=1), 1e-9, 1 - 1e-9)
    least = p.min(1)
    return np.stack([np.log(least / (1 - least)), np.log(p).sum(1)], axis=1)
