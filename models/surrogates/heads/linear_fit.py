"""Fitting a linear head by scikit-learn, with cross-fitted predictions for every row.

With two classes the n-grams are scaled by their naive Bayes log-ratio first (NBSVM, Wang and Manning, 2012);
the scale is folded into the weights, so that it costs nothing to serve.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from jitr.models.encoders.sparse import SparseRows
from jitr.models.surrogates.heads.base import Encoded, Prediction
from jitr.models.surrogates.heads.linear import LinearHead

_STRENGTHS = (1.0, 4.0, 16.0)
_SMOOTHING = 0.1
_LEAST_SHARE = 0.02
_ITERATIONS = 150
# the loss is a mean over rows: with two classes its gradient is small long before the weights have settled;
# with many classes stopping early costs nothing and saves most of the time (both measured)
_TOLERANCE_TWO, _TOLERANCE_MANY = 1e-4, 1e-3


def fit_linear(
    encoded: Encoded,
    y: NDArray[np.int64],
    classes: int,
    weights: NDArray[np.float64],
    fold: NDArray[np.int64],
    soft: NDArray[np.float64] | None = None,
) -> tuple[LinearHead, Prediction]:
    """Fit on all rows to serve, and once per fold to predict the rows of that fold.

    Parameters
    ----------
    encoded : Encoded
        N-grams, views, or both side by side.
    y : int array of shape (n,)
    classes : int
        Classes 0 .. classes - 1, at least 2, not all of which need to be in every fold.
    weights : array of shape (n,)
    fold : int array of shape (n,)
    soft : array of shape (n, classes), optional
        How probable each class was to the teacher.

    Returns
    -------
    head : LinearHead
    out_of_sample : Prediction
        Of every row, by the model that was fitted without its fold.
    """
    x, grams = _design(encoded)
    strength = _strength(x, grams, y, classes, weights, fold)
    logits = out_of_fold(
        x,
        classes,
        fold,
        np.unique(fold),
        lambda rest: fit_logistic(*_rows(x, grams, y, classes, weights, soft, rest), strength),
    )
    everything = np.ones(len(y), dtype=np.bool_)
    coef, bias = fit_logistic(*_rows(x, grams, y, classes, weights, soft, everything), strength)
    head = LinearHead(
        bias,
        coef[:grams].astype(np.float16) if encoded.ngrams is not None else None,
        coef[grams:] if encoded.views is not None else None,
    )
    return head, LinearHead.prediction(logits)


def out_of_fold(
    x: Any,
    classes: int,
    fold: NDArray[np.int64],
    folds: NDArray[np.int64],
    fit: Callable[[NDArray[np.bool_]], tuple[NDArray[np.float32], NDArray[np.float32]]],
) -> NDArray[np.float32]:
    """Logits of the rows in ``folds``, by weights fitted on the rows outside their fold; 0 for the others."""
    logits = np.zeros((x.shape[0], classes), dtype=np.float32)
    for k in folds:
        own = fold == k
        coef, bias = fit(~own)
        logits[own] = x[own] @ coef + bias
    return logits


def _rows(
    x: Any,
    grams: int,
    y: NDArray[np.int64],
    classes: int,
    weights: NDArray[np.float64],
    soft: NDArray[np.float64] | None,
    chosen: NDArray[np.bool_],
) -> tuple[Any, int, NDArray[np.int64], int, NDArray[np.float64]]:
    """The chosen rows as `fit_logistic` takes them: one that is soft stands once for each of its classes."""
    if soft is None:
        return x[chosen], grams, y[chosen], classes, weights[chosen]
    row, label = np.nonzero((soft >= _LEAST_SHARE) & chosen[:, None])
    return x[row], grams, label.astype(np.int64), classes, weights[row] * soft[row, label]


def csr(rows: SparseRows) -> sp.csr_matrix:
    """The same rows as scipy's type."""
    return sp.csr_matrix((rows.values, rows.indices, rows.indptr), shape=(len(rows), rows.dim))


def _design(encoded: Encoded) -> tuple[Any, int]:
    """The columns, n-grams first, and how many of them are n-grams."""
    if encoded.ngrams is None:
        assert encoded.views is not None
        return encoded.views[:, 0], 0
    sparse = csr(encoded.ngrams)
    if encoded.views is None:
        return sparse, encoded.ngrams.dim
    return sp.hstack([sparse, sp.csr_matrix(encoded.views[:, 0])], format="csr"), encoded.ngrams.dim


def _strength(
    x: Any,
    grams: int,
    y: NDArray[np.int64],
    classes: int,
    weights: NDArray[np.float64],
    fold: NDArray[np.int64],
) -> float:
    """The inverse penalty that predicts one fold best; one fold is enough to tell factors of four apart."""
    own = fold == fold.max()
    if own.all() or not own.any():
        return _STRENGTHS[1]
    losses = []
    for c in _STRENGTHS:
        coef, bias = fit_logistic(x[~own], grams, y[~own], classes, weights[~own], c)
        p = LinearHead.prediction(np.asarray(x[own] @ coef + bias, np.float32)).probs
        hit = p[np.arange(len(p)), y[own]]
        losses.append(float(np.average(-np.log(hit + 1e-6), weights=weights[own])))
    return _STRENGTHS[int(np.argmin(losses))]


def fit_logistic(
    x: Any, grams: int, y: NDArray[np.int64], classes: int, weights: NDArray[np.float64], strength: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weights of shape (columns, classes) and biases; classes without a row can never win."""
    coef = np.zeros((x.shape[1], classes), dtype=np.float32)
    bias = np.full(classes, -30.0, dtype=np.float32)
    seen = np.unique(y)
    if len(seen) == 1:
        bias[seen[0]] = 0.0
        return coef, bias
    tolerance = _TOLERANCE_TWO if len(seen) == 2 else _TOLERANCE_MANY
    model = LogisticRegression(C=strength, max_iter=_ITERATIONS, tol=tolerance)
    if len(seen) == 2:
        scale = _log_ratio(x, grams, y == seen[1], weights)
        model.fit(x.multiply(scale).tocsr() if grams else x, y, sample_weight=weights)
        coef[:, seen[1]] = model.coef_[0] * scale
        bias[seen[0]], bias[seen[1]] = 0.0, model.intercept_[0]
    else:
        model.fit(x, y, sample_weight=weights)
        coef[:, seen] = model.coef_.T
        bias[seen] = model.intercept_
    return coef, bias


def _log_ratio(
    x: Any, grams: int, positive: NDArray[np.bool_], weights: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Log of how much more of each n-gram the second class has; 1 for columns that are no n-grams."""
    scale = np.ones(x.shape[1], dtype=np.float32)
    if grams:
        share = []
        for side in (positive, ~positive):
            total = np.asarray(weights[side] @ x[side][:, :grams]).ravel() + _SMOOTHING
            share.append(total / total.sum())
        scale[:grams] = np.log(share[0] / share[1])
    return scale
