"""How well frozen features explain labels: the log of the maximum evidence (You et al., ICML 2021).

For every class a Bayesian linear model on the features; its evidence, maximised over the two precisions, per
row. No label is held back, and there is no step size: one decomposition and a few scalar iterations.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_ROUNDS = 30
_SETTLED = 1e-3


def logme(features: NDArray[np.float32], y: NDArray[np.int64]) -> float:
    """Mean log-evidence per row of one-against-rest labels given the features; the higher, the better.

    Parameters
    ----------
    features : array of shape (n, dim)
    y : int array of shape (n,)
        Classes; those without a row do not count.

    Returns
    -------
    float
        Comparable between features of the same rows; it says nothing by itself.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = rng.integers(0, 2, 200)
    >>> telling = rng.normal(size=(200, 8)) + y[:, None]
    >>> logme(telling, y) > logme(rng.normal(size=(200, 8)), y)
    True
    """
    x = np.asarray(features, np.float64)
    n, dim = x.shape
    u, s, _ = np.linalg.svd(x, full_matrices=False)
    sigma = np.zeros(dim)
    sigma[: len(s)] = s**2
    total, classes = 0.0, np.unique(y)
    for label in classes:
        target = (y == label).astype(np.float64)
        z = u.T @ target
        spare = float(target @ target - z @ z)  # what no linear model of the features reaches
        alpha = beta = 1.0
        for _ in range(_ROUNDS):
            part = s**2
            gamma = float((beta * part / (alpha + beta * part)).sum())
            m2 = float((beta**2 * part * z**2 / (alpha + beta * part) ** 2).sum())
            residual = float(((alpha / (alpha + beta * part)) ** 2 * z**2).sum()) + max(spare, 0.0)
            before = alpha / beta
            alpha, beta = gamma / (m2 + 1e-9), (n - gamma) / (residual + 1e-9)
            if abs(alpha / beta - before) < _SETTLED * before:
                break
        evidence = dim / 2 * np.log(alpha) + n / 2 * np.log(beta) - n / 2 * np.log(2 * np.pi)
        evidence -= beta / 2 * residual + alpha / 2 * m2 + np.log(alpha + beta * sigma).sum() / 2
        total += float(evidence) / n
    return total / len(classes)
