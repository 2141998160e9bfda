"""Fitting a linear head by scikit-learn, with cross-fitted predictions for every row."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from jitr.models.bases.sparse import SparseRows
from jitr.models.surrogates.base import Encoded, Prediction
from jitr.models.surrogates.linear import LinearHead

_C_NGRAMS = 10.0
_C_DENSE = 20.0
_ITERATIONS = 150


def fit_linear(
    encoded: Encoded,
    y: NDArray[np.int64],
    classes: int,
    weights: NDArray[np.float64],
    fold: NDArray[np.int64],
) -> tuple[LinearHead, Prediction]:
    """Fit on all rows to serve, and once per fold to predict the rows of that fold.

    Parameters
    ----------
    encoded : Encoded
        Either n-grams or views; not both.
    y : int array of shape (n,)
    classes : int
        Classes 0 .. classes - 1, at least 2, not all of which need to be in every fold.
    weights : array of shape (n,)
    fold : int array of shape (n,)

    Returns
    -------
    head : LinearHead
    out_of_sample : Prediction
        Of every row, by the model that was fitted without its fold.
    """
    x: Any
    if encoded.ngrams is not None:
        x, c = csr(encoded.ngrams), _C_NGRAMS
    else:
        assert encoded.views is not None
        x, c = encoded.views[:, 0], _C_DENSE
    logits = np.zeros((len(y), classes), dtype=np.float32)
    for k in np.unique(fold):
        own = fold == k
        coef, bias = _fit(x[~own], y[~own], classes, weights[~own], c)
        logits[own] = x[own] @ coef + bias
    coef, bias = _fit(x, y, classes, weights, c)
    sparse = encoded.ngrams is not None
    head = LinearHead(
        bias, coef.astype(np.float16) if sparse else None, None if sparse else coef.astype(np.float32)
    )
    return head, LinearHead.prediction(logits)


def csr(rows: SparseRows) -> sp.csr_matrix:
    """The same rows as scipy's type."""
    return sp.csr_matrix((rows.values, rows.indices, rows.indptr), shape=(len(rows), rows.dim))


def _fit(
    x: Any, y: NDArray[np.int64], classes: int, weights: NDArray[np.float64], c: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weights of shape (columns, classes) and biases; classes without a row can never win."""
    coef = np.zeros((x.shape[1], classes), dtype=np.float32)
    bias = np.full(classes, -30.0, dtype=np.float32)
    seen = np.unique(y)
    if len(seen) == 1:
        bias[seen[0]] = 0.0
        return coef, bias
    model = LogisticRegression(C=c, max_iter=_ITERATIONS, tol=1e-3).fit(x, y, sample_weight=weights)
    if len(seen) == 2:  # scikit-learn gives the second class's side only
        coef[:, seen[1]] = model.coef_[0]
        bias[seen[0]], bias[seen[1]] = 0.0, model.intercept_[0]
    else:
        coef[:, seen] = model.coef_.T
        bias[seen] = model.intercept_
    return coef, bias
