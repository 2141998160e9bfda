"""A mixture for long and noisy texts: logits of all layers of an encoder, and of n-grams, in one linear head.

The layers' means are standardised and read by one logistic regression, the n-grams by another (with two
classes scaled by their naive Bayes log-ratio). How strongly each is fitted, how they are mixed and how sure
they may be is chosen out of fold. Labels that the mixture contradicts at more than 0.9 out of fold are taken
for slips of the teacher and left out of one last fit: what is deployed; the out-of-sample record is of the
fit before that, which had the slips in it.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jitr.models.surrogates.heads.base import Encoded, Prediction, softmax
from jitr.models.surrogates.heads.linear import LinearHead, layer_means
from jitr.models.surrogates.heads.linear_fit import csr, fit_logistic, out_of_fold

_STRENGTHS_LAYERS = (0.3, 1.0, 3.0)
_STRENGTHS_NGRAMS = (1.0, 4.0, 16.0)
_MIXES = (0.0, 0.2, 0.4, 0.7, 1.0, 1.5, 2.5)
_SHARPNESS = (0.5, 0.7, 1.0, 1.4)
_SLIP = 0.1
_FLOOR = 0.02  # of a probability in the loss: noisy labels must not decide by their worst rows
_MOST_SLIPS = 0.25
_FARTHEST = 5.0


def fit_mixture(
    encoded: Encoded,
    y: NDArray[np.int64],
    classes: int,
    weights: NDArray[np.float64],
    fold: NDArray[np.int64],
) -> tuple[LinearHead, Prediction]:
    """Fit on all rows but the slips; every row is also predicted without its fold.

    Parameters
    ----------
    encoded : Encoded
        N-grams and views.
    y : int array of shape (n,)
    classes : int
    weights : array of shape (n,)
    fold : int array of shape (n,)

    Returns
    -------
    head : LinearHead
    out_of_sample : Prediction
    """
    assert encoded.ngrams is not None and encoded.views is not None
    means = layer_means(encoded.views)
    centre, scale = means.mean(0), means.std(0) + 1e-6
    layers = np.clip((means - centre) / scale, -_FARTHEST, _FARTHEST) / np.sqrt(means.shape[1])
    grams, columns = csr(encoded.ngrams), encoded.ngrams.dim
    dense_c, dense = _chosen(layers, 0, y, classes, weights, fold, _STRENGTHS_LAYERS)
    gram_c, sparse = _chosen(grams, columns, y, classes, weights, fold, _STRENGTHS_NGRAMS)
    mix, sharp = min(
        product(_MIXES, _SHARPNESS), key=lambda p: _loss(p[1] * (dense + p[0] * sparse), y, weights)
    )
    logits = np.asarray(sharp * (dense + mix * sparse), np.float32)
    kept = softmax(logits)[np.arange(len(y)), y] >= _SLIP
    # where that many are contradicted the mixture is what errs; and no class may lose its last row
    if kept.mean() < 1 - _MOST_SLIPS or len(np.unique(y[kept])) < len(np.unique(y)):
        kept[:] = True
    coef, bias = fit_logistic(layers[kept], 0, y[kept], classes, weights[kept], dense_c)
    gram_coef, gram_bias = fit_logistic(grams[kept], columns, y[kept], classes, weights[kept], gram_c)
    # standardising is folded into the weights: the head reads the means as they are
    served = coef / (scale * np.sqrt(means.shape[1]))[:, None]
    head = LinearHead(
        np.asarray(sharp * (bias - centre @ served + mix * gram_bias), np.float32),
        (sharp * mix * gram_coef).astype(np.float16),
        np.asarray(sharp * served, np.float32),
    )
    return head, LinearHead.prediction(logits)


def _chosen(
    x: Any,
    grams: int,
    y: NDArray[np.int64],
    classes: int,
    weights: NDArray[np.float64],
    fold: NDArray[np.int64],
    strengths: tuple[float, ...],
) -> tuple[float, NDArray[np.float32]]:
    """The strength that predicts one fold best, and its logits for every row out of fold."""

    def predicted(strength: float, folds: NDArray[np.int64]) -> NDArray[np.float32]:
        return out_of_fold(
            x,
            classes,
            fold,
            folds,
            lambda rest: fit_logistic(x[rest], grams, y[rest], classes, weights[rest], strength),
        )

    names = np.unique(fold)
    # one fold is enough to tell factors of three apart; with few rows two are steadier
    tried = np.isin(fold, names[: 2 if len(y) < 1000 else 1])
    found = {c: predicted(c, np.unique(fold[tried])) for c in strengths}
    best = min(strengths, key=lambda c: _loss(found[c][tried], y[tried], weights[tried]))
    logits = predicted(best, names[~np.isin(names, fold[tried])])
    logits[tried] = found[best][tried]
    return best, logits


def _loss(logits: NDArray[Any], y: NDArray[np.int64], weights: NDArray[np.float64]) -> float:
    p = softmax(np.asarray(logits, np.float32))[np.arange(len(y)), y]
    return float(np.average(-np.log(np.clip(p, _FLOOR, 1 - _FLOOR)), weights=weights))
