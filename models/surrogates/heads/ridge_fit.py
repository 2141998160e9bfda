"""Fitting a kernel ridge head: one matrix inverse gives the model and every out-of-sample score.

With A = K + lambda / weights and alpha = A^-1 Y, the prediction of the rows of a group by the model fitted
without that group is Y_g - (A^-1)_gg^-1 alpha_g: leave-one-out where the group has one row.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.linalg import eigh, lapack

from jitr.models.surrogates.heads.base import Encoded, Prediction, best_temperature
from jitr.models.surrogates.heads.linear import LinearHead
from jitr.models.surrogates.heads.linear_fit import csr
from jitr.models.surrogates.heads.ridge import (
    GAMMA_LAYERS,
    GAMMA_SENTENCE,
    Memory,
    RidgeHead,
    neighbours,
    project_layers,
)
from jitr.schemas.errors import TrainingError

MAX_ROWS = 12_000
_LAMBDA = 0.3
_WEIGHT_NGRAMS = 0.25
_WEIGHT_NGRAMS_ALONE = 1.0
_LAYER_DIM = 128
_BLOCK = 1024
_TEMPERATURES = np.geomspace(1.0, 60.0, 34)


def fit_ridge(
    encoded: Encoded,
    y: NDArray[np.int64],
    classes: int,
    weights: NDArray[np.float64],
    groups: NDArray[np.int64],
    soft: NDArray[np.float64] | None = None,
    names: Encoded | None = None,
    second: tuple[LinearHead, Prediction] | None = None,
) -> tuple[RidgeHead, Prediction]:
    """Fit on all rows; every row is also predicted without itself and its near-duplicates.

    Parameters
    ----------
    encoded : Encoded
        N-grams, views or both.
    y : int array of shape (n,)
    classes : int
        Classes 0 .. classes - 1, at least 2; each has a row.
    weights : array of shape (n,)
    groups : int array of shape (n,)
        Rows that leave together.
    soft : array of shape (n, classes), optional
        How probable each class was to the teacher.
    names : Encoded, optional
        The classes' names, in their order: one more example of each, which no neighbour is.
    second : (LinearHead, Prediction), optional
        A head on layers that were tuned, and what it said of the rows out of sample.

    Raises
    ------
    TrainingError
        More than `MAX_ROWS` rows: the kernel would not fit in memory.
    """
    n = len(y)
    if n > MAX_ROWS:
        raise TrainingError(f"kernel ridge takes at most {MAX_ROWS} rows, got {n}; use a linear head")
    order = np.argsort(y, kind="stable")
    y, groups = y[order], groups[order]
    rows = n if names is None else n + classes
    kernel = np.zeros((rows, rows), dtype=np.float32)
    sparse: Any = None
    if encoded.ngrams is not None:
        sparse = csr(encoded.ngrams)[order]
        if names is not None and names.ngrams is not None:
            sparse = sp.vstack([sparse, csr(names.ngrams)], format="csr")
        share = _WEIGHT_NGRAMS if encoded.views is not None else _WEIGHT_NGRAMS_ALONE
        kernel += share * (sparse @ sparse.T).toarray()
    start = np.searchsorted(y, np.arange(classes))
    twins = _twins(groups)
    votes = nearest = None
    if encoded.views is not None:
        views = encoded.views[order]
        centre, projection = _principal(views.reshape(n, -1))
        if names is not None and names.views is not None:
            views = np.concatenate([views, names.views])
        sentences = np.ascontiguousarray(views[:, 0])
        similar = sentences @ sentences.T
        kernel += np.exp(GAMMA_SENTENCE * (similar - 1))
        layers = project_layers(views, centre, projection)
        del views
        other = layers @ layers.T
        other -= 1
        other *= GAMMA_LAYERS
        kernel += np.exp(other, out=other)
        del other
        similar = similar[:n, :n]
        for twin in twins:
            similar[np.ix_(twin, twin)] = -1
        np.fill_diagonal(similar, -1)
        votes, nearest = (np.empty((n, classes), np.float32) for _ in range(2))
        for at in range(0, n, _BLOCK):
            block = slice(at, at + _BLOCK)
            votes[block], nearest[block] = neighbours(similar[block], start, classes)
        del similar
    targets = np.full((rows, classes), -1.0 / (classes - 1), dtype=np.float32)
    targets[np.arange(n), y] = 1.0
    if soft is not None:
        targets[:n] = (soft[order] * classes - 1) / (classes - 1)
    penalty = np.full(rows, _LAMBDA)
    penalty[:n] /= weights[order]
    if names is not None:
        targets[np.arange(n, rows), np.arange(classes)] = 1.0
    dual, held_out = _solve(kernel, targets, penalty, twins)
    held_out = held_out[:n]
    temperature = best_temperature(held_out, y, weights[order], _TEMPERATURES)
    head = RidgeHead(
        temperature,
        classes,
        None if sparse is None else (share * (sparse.T @ dual)).astype(np.float16),
        None if votes is None else Memory(sentences, layers, dual, n, start, centre, projection),
        None if second is None else second[0],
    )
    back = np.empty(n, dtype=np.int64)
    back[order] = np.arange(n)
    opinion = None if second is None else second[1].probs[order]
    found = RidgeHead.prediction(held_out, temperature, votes, nearest, opinion)
    return head, Prediction(found.probs[back], found.signals[back])


def _solve(
    kernel: NDArray[np.float32],
    targets: NDArray[np.float32],
    penalty: NDArray[np.float64],
    twins: list[NDArray[np.int64]],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Dual weights and out-of-sample scores; destroys the kernel."""
    n = len(kernel)
    kernel[np.arange(n), np.arange(n)] += penalty.astype(np.float32)
    # the kernel is symmetric: its transpose is the same matrix in the order that lapack wants, uncopied
    factor, failed = lapack.spotrf(kernel.T, lower=1, overwrite_a=1)
    if failed:
        raise TrainingError("the kernel is not positive definite; are weights positive and finite?")
    inverse, _ = lapack.spotri(factor, lower=1, overwrite_c=1)
    at = np.arange(n)
    for i in range(0, n, _BLOCK):  # mirror the lower triangle block by block, without a second matrix
        block = slice(i, min(i + _BLOCK, n))
        inverse[: i + _BLOCK, block][: block.start] = inverse[block, : block.start].T
        corner = np.tril(inverse[block, block])
        inverse[block, block] = corner + np.tril(corner, -1).T
    dual = np.asarray(inverse @ targets, dtype=np.float32)
    held_out = targets - dual / inverse[at, at][:, None]
    for rows in twins:
        held_out[rows] = targets[rows] - np.linalg.solve(inverse[np.ix_(rows, rows)], dual[rows])
    return dual, held_out


def _twins(groups: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Rows of every group with more than one member."""
    order = np.argsort(groups, kind="stable")
    cuts = np.flatnonzero(np.diff(groups[order])) + 1
    return [rows for rows in np.split(order, cuts) if len(rows) > 1]


def _principal(x: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Centre and leading directions of the inner layers: keeps the kernel, drops most of the size."""
    centre = x.mean(0)
    centred = x - centre
    rows, columns = centred.shape
    keep = min(_LAYER_DIM, rows, columns)
    least = min(rows, columns)
    # the smaller of the two Gram matrices has the same leading directions
    gram = centred @ centred.T if rows < columns else centred.T @ centred
    _, vectors = eigh(gram, subset_by_index=[least - keep, least - 1], overwrite_a=True, check_finite=False)
    if rows < columns:
        vectors = centred.T @ vectors
        norm = np.linalg.norm(vectors, axis=0, keepdims=True)
        vectors = np.divide(vectors, norm, out=np.zeros_like(vectors), where=norm > 1e-4)
    return centre, np.ascontiguousarray(vectors[:, ::-1], dtype=np.float32)
