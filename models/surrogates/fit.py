"""Fitting one candidate on encoded rows: heads, gates, and what was seen out of sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jitr.models.datasets.splits import group_folds
from jitr.models.promise.gate import Gate, cross_fit
from jitr.models.surrogates.candidates import Candidate
from jitr.models.surrogates.confusion import Confusion, Pair, confusion, most_confused
from jitr.models.surrogates.forecast import Forecast, forecast
from jitr.models.surrogates.heads.base import Encoded, Features, Head, Prediction
from jitr.models.surrogates.heads.constant import ConstantHead
from jitr.models.surrogates.heads.fields import FieldSpec
from jitr.models.surrogates.heads.linear import LinearHead
from jitr.models.surrogates.heads.linear_fit import fit_linear
from jitr.models.surrogates.heads.mixture_fit import fit_mixture
from jitr.models.surrogates.heads.number_fit import fit_number
from jitr.models.surrogates.heads.ridge_fit import fit_ridge
from jitr.models.surrogates.model import FieldModel, Model, joint_signals
from jitr.models.surrogates.out_of_distribution import OutOfDistributionDetector

_FOLDS = 5
_GATE_FOLDS = 10
_MOST_CONFUSED = 10


@dataclass(frozen=True)
class Fitted:
    """A model with its out-of-sample record on the rows it was fitted on.

    Attributes
    ----------
    agrees : bool array of shape (n,)
        Whether the answer given without the row (and its near-duplicates) is the teacher's.
    scores : array of shape (n,)
        Gate scores, by gates that have not seen the row.
    confused : tuple of (str, str, int)
        The teacher's label, what was said in its place out of sample, and how often; most often first. Of a
        single closed field only.
    confusion : Confusion or None
        How often the most confused labels were taken for each other; None where nothing was confused.
    """

    model: Model
    agrees: NDArray[np.bool_]
    scores: NDArray[np.float64]
    forecast: Forecast
    accuracy: float
    confused: tuple[Pair, ...] = ()
    confusion: Confusion | None = None


def fit_model(
    features: Features,
    encoded: Encoded,
    candidate: Candidate,
    fields: tuple[FieldSpec, ...],
    numbers: NDArray[np.int64],
    weights: NDArray[np.float64],
    groups: NDArray[np.int64],
    seed: int,
    soft: NDArray[np.float64] | None = None,
    seconds: Sequence[tuple[LinearHead, Prediction] | None] = (),
) -> Fitted:
    """Fit heads and gates of every field, and the joint gate where there are several.

    Parameters
    ----------
    features : Features
        Encoders that the model will serve with.
    encoded : Encoded
        The rows, by those encoders.
    numbers : int array of shape (n, fields)
        Index of each row's value in each field, every value having a row; or units of a number's scale.
    weights, groups : arrays of shape (n,)
    seed : int
    soft : array of shape (n, classes), optional
        How probable each class was to the teacher, where there is one field and it told.
    seconds : sequence of (LinearHead, Prediction) or None
        Per field of a joined candidate: a head on tuned layers, and what it said of the rows out of sample.
    """
    fold = group_folds(groups, _FOLDS, seed)
    heads: list[tuple[Head, Prediction]] = []
    for column, spec in enumerate(fields):
        y = numbers[:, column]
        second = seconds[column] if seconds else None

        def fit_head(
            y: NDArray[np.int64],
            classes: int,
            soft: NDArray[np.float64] | None = None,
            names: Encoded | None = None,
            second: tuple[LinearHead, Prediction] | None = second,
        ) -> tuple[Head, Prediction]:
            return _fit_head(encoded, candidate, y, classes, weights, groups, fold, soft, names, second)

        if spec.scale is not None:
            heads.append(fit_number(fit_head, spec, y, weights, near=candidate.head == "ridge"))
        else:
            heads.append(fit_head(y, len(spec.values), soft, _names(features, candidate, spec)))
    detector = OutOfDistributionDetector.fit(encoded, groups, seed)
    return with_gates(features, fields, heads, numbers, weights, groups, seed, *detector)


def with_gates(
    features: Features,
    fields: tuple[FieldSpec, ...],
    heads: Sequence[tuple[Head, Prediction]],
    numbers: NDArray[np.int64],
    weights: NDArray[np.float64],
    groups: NDArray[np.int64],
    seed: int,
    detector: OutOfDistributionDetector | None = None,
    outside: NDArray[np.bool_] | None = None,
) -> Fitted:
    """Fit the gates of heads that are fitted, by what each of them said out of sample of every row.

    Rows that are ``outside`` the distribution without themselves are the last to be accepted.
    """
    n = len(numbers)
    gate_fold = group_folds(groups, _GATE_FOLDS, seed + 1)
    models, scores, right = [], [], []
    for column, (spec, (head, found)) in enumerate(zip(fields, heads, strict=True)):
        y = numbers[:, column]
        agrees = spec.agrees(found.chosen, y)
        scores.append(cross_fit(found.probs, found.signals, agrees, weights, gate_fold, seed))
        right.append(agrees)
        gate = Gate.fit(found.probs, found.signals, agrees, weights, seed)
        models.append(FieldModel(spec, head, gate))
    whole = np.all(right, axis=0)
    joint = None
    score = scores[0]
    if len(fields) > 1:
        ones, signals = np.ones((n, 1), np.float32), joint_signals(scores)
        score = cross_fit(ones, signals, whole, weights, gate_fold, seed)
        joint = Gate.fit(ones, signals, whole, weights, seed)
    if outside is not None:
        score = np.where(outside, score.min(), score)
    said = [found.chosen for _, found in heads]
    return Fitted(
        model=Model(features, tuple(models), joint, detector),
        agrees=whole,
        scores=score,
        forecast=forecast(score, whole, weights),
        accuracy=float(np.average(whole, weights=weights)),
        confused=most_confused(fields[0], said[0], numbers[:, 0], _MOST_CONFUSED) if len(fields) == 1 else (),
        confusion=confusion(fields, said, numbers),
    )


def _fit_head(
    encoded: Encoded,
    candidate: Candidate,
    y: NDArray[np.int64],
    classes: int,
    weights: NDArray[np.float64],
    groups: NDArray[np.int64],
    fold: NDArray[np.int64],
    soft: NDArray[np.float64] | None,
    names: Encoded | None,
    second: tuple[LinearHead, Prediction] | None,
) -> tuple[Head, Prediction]:
    if classes == 1:
        constant = ConstantHead()
        return constant, constant.predict(encoded)
    if candidate.head in ("ridge", "joined"):
        return fit_ridge(encoded, y, classes, weights, groups, soft, names, second)
    if candidate.head == "mixture":
        return fit_mixture(encoded, y, classes, weights, fold)
    return fit_linear(encoded, y, classes, weights, fold, soft)


def _names(features: Features, candidate: Candidate, spec: FieldSpec) -> Encoded | None:
    """What a field's values are called, as one would say it: an example of each that costs no call."""
    if candidate.head not in ("ridge", "joined") or features.encoder is None:
        return None
    named = [value.strip('"').replace("_", " ") for value in spec.values]
    return Features(features.ngrams, features.encoder).encode(named)
