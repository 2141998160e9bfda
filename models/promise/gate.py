"""The gate: a score per answer, learned to predict whether surrogate and teacher agree.

It needs numpy alone, at fitting too, so that the router can import it. While the forecast is made, no row is
scored by what was learned from it: the gate is cross-fitted, and so are its tables of how often each class is
right. docs/guarantee.md, "Gate".

Every feature has the sign by which more of it means surer, and no weight may be negative. Without that the
gate balances features against each other on inputs that it knows, and accepts inputs of a kind it has never
seen. With it, of 1,000 labels of 77 classes at target 0.95, 7% of another assistant's questions pass where
75% of those in domain do (kernel ridge; linear on MiniLM 10% and 67%, on n-grams 4% and 42%), and at most
0.4% of sentences of film reviews. With two classes it is not enough: 88% to 99% of such questions pass
MiniLM's heads, as many as in domain. That is why `jitr.models.surrogates.out_of_distribution` may refuse
what the gate accepts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jitr.schemas.errors import ArtifactError

Array = NDArray[np.float64]
_SMOOTHING = 8.0
_RIDGE = 3.0


def probability_features(probs: NDArray[np.float32]) -> Array:
    """Compute features of each row's most probable class from the class probabilities.

    Parameters
    ----------
    probs : array of shape (n, classes)

    Returns
    -------
    array of shape (n, 3)
        Log-odds of the first class, log-ratio of the first to the second, minus the entropy.

    Examples
    --------
    >>> np.round(probability_features(np.array([[0.7, 0.2, 0.1]])), 2).tolist()
    [[0.85, 1.25, -0.8]]
    """
    p = np.asarray(probs, dtype=np.float64)
    if p.shape[1] == 1:
        return np.zeros((len(p), 3))
    top = np.partition(p, -2, axis=1)
    first, second = top[:, -1], top[:, -2]
    odds = np.log(first + 1e-6) - np.log(1 - first + 1e-4)
    return np.stack(
        [odds, np.log(first + 1e-6) - np.log(second + 1e-6), (p * np.log(p + 1e-9)).sum(1)], axis=1
    )


def first_two(probs: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the most and the second most probable class of each row; the same twice if there is only one."""
    first = probs.argmax(1).astype(np.int64)
    if probs.shape[1] == 1:
        return first, first
    rest = np.array(probs, copy=True)
    rest[np.arange(len(rest)), first] = -np.inf
    return first, rest.argmax(1).astype(np.int64)


@dataclass(frozen=True)
class ClassAccuracy:
    """How often each predicted class, and each (first, second) pair, agreed; smoothed towards the mean."""

    of_class: Array
    pairs: NDArray[np.int64]
    of_pair: Array
    weight_of_pair: Array

    @classmethod
    def fit(
        cls, first: NDArray[np.int64], second: NDArray[np.int64], agrees: Array, classes: int, weights: Array
    ) -> ClassAccuracy:
        """Count agreement on rows that were predicted out of sample."""
        mean = float(np.average(agrees, weights=weights)) if len(agrees) else 1.0
        n = np.bincount(first, weights=weights, minlength=classes)
        s = np.bincount(first, weights=weights * agrees, minlength=classes)
        pairs, where = np.unique(first * classes + second, return_inverse=True)
        return cls(
            of_class=(s + _SMOOTHING * mean) / (n + _SMOOTHING),
            pairs=pairs.astype(np.int64),
            of_pair=np.asarray(np.bincount(where, weights * agrees, len(pairs)), np.float64),
            weight_of_pair=np.asarray(np.bincount(where, weights, len(pairs)), np.float64),
        )

    def features(self, first: NDArray[np.int64], second: NDArray[np.int64]) -> Array:
        """Return the log-odds of both smoothed rates; shape (n, 2)."""
        base = self.of_class[first]
        s, n = np.zeros(len(first)), np.zeros(len(first))
        if len(self.pairs):
            key = first * len(self.of_class) + second
            at = np.minimum(np.searchsorted(self.pairs, key), len(self.pairs) - 1)
            hit = self.pairs[at] == key
            s, n = np.where(hit, self.of_pair[at], 0.0), np.where(hit, self.weight_of_pair[at], 0.0)
        pair = (s + _SMOOTHING * base) / (n + _SMOOTHING)
        return np.stack([np.log(r / (1 - r + 1e-3) + 1e-9) for r in (base, pair)], axis=1)


@dataclass(frozen=True)
class Gate:
    """A logistic regression on what is known of an answer; the score is the probability of agreement.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> sure = rng.random(400)
    >>> probs = np.stack([0.5 + sure / 2, 0.5 - sure / 2], axis=1)
    >>> agrees = rng.random(400) < 0.5 + sure / 2
    >>> gate = Gate.fit(probs, np.zeros((400, 0)), agrees, np.ones(400))
    >>> low, high = gate.score(np.array([[0.55, 0.45], [0.99, 0.01]]), np.zeros((2, 0)))
    >>> bool(0 < low < high < 1)
    True
    """

    accuracy: ClassAccuracy
    centre: Array
    scale: Array
    weights: Array

    @classmethod
    def fit(
        cls,
        probs: NDArray[np.float32],
        signals: Array,
        agrees: NDArray[np.bool_],
        weights: Array,
        seed: int = 0,
    ) -> Gate:
        """Fit a gate on out-of-sample predictions.

        Parameters
        ----------
        probs : array of shape (n, classes)
            Predicted without the row itself.
        signals : array of shape (n, k)
            What else the surrogate tells about its answer; of each signal, more means surer.
        agrees : bool array of shape (n,)
        weights : array of shape (n,)
        seed : int
            Assigns rows to the folds of the class tables.
        """
        first, second = first_two(probs)
        ok = agrees.astype(np.float64)
        classes = probs.shape[1]
        tables = np.zeros((len(ok), 2))
        fold = np.random.default_rng(seed).integers(0, 5, len(ok))
        for k in range(5):
            rest, own = fold != k, fold == k
            fitted = ClassAccuracy.fit(first[rest], second[rest], ok[rest], classes, weights[rest])
            tables[own] = fitted.features(first[own], second[own])
        x = np.hstack([probability_features(probs), np.asarray(signals, np.float64), tables])
        centre, scale = x.mean(0), x.std(0)
        scale[scale < 1e-9] = 1.0
        return cls(
            accuracy=ClassAccuracy.fit(first, second, ok, classes, weights),
            centre=centre,
            scale=scale,
            weights=rising_logistic((x - centre) / scale, ok, weights),
        )

    def score(self, probs: NDArray[np.float32], signals: Array) -> Array:
        """Return the probability that the teacher would agree, one per row."""
        first, second = first_two(probs)
        tables = self.accuracy.features(first, second)
        x = np.hstack([probability_features(probs), np.asarray(signals, np.float64), tables])
        z = np.clip((x - self.centre) / self.scale, -20, 20) @ self.weights[1:] + self.weights[0]
        return np.asarray(1.0 / (1.0 + np.exp(-np.clip(z, -36, 36))))

    def arrays(self) -> dict[str, NDArray[np.float64] | NDArray[np.int64]]:
        """Return the arrays that are saved."""
        return {
            "gate.of_class": self.accuracy.of_class,
            "gate.pairs": self.accuracy.pairs,
            "gate.of_pair": self.accuracy.of_pair,
            "gate.weight_of_pair": self.accuracy.weight_of_pair,
            "gate.centre": self.centre,
            "gate.scale": self.scale,
            "gate.weights": self.weights,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.float64]], classes: int, signals: int) -> Gate:
        """Make a gate from saved arrays.

        Raises
        ------
        ArtifactError
            An array is missing, or they do not fit each other.
        """
        try:
            gate = cls(
                accuracy=ClassAccuracy(
                    of_class=np.asarray(arrays["gate.of_class"], np.float64),
                    pairs=np.asarray(arrays["gate.pairs"], np.int64),
                    of_pair=np.asarray(arrays["gate.of_pair"], np.float64),
                    weight_of_pair=np.asarray(arrays["gate.weight_of_pair"], np.float64),
                ),
                centre=np.asarray(arrays["gate.centre"], np.float64),
                scale=np.asarray(arrays["gate.scale"], np.float64),
                weights=np.asarray(arrays["gate.weights"], np.float64),
            )
        except KeyError as missing:
            raise ArtifactError(f"the gate lacks {missing}; train the surrogate again") from missing
        columns = 5 + signals
        pairs = gate.accuracy.pairs.shape
        fits = (
            gate.accuracy.of_class.shape == (classes,)
            and len(pairs) == 1
            and gate.accuracy.of_pair.shape == gate.accuracy.weight_of_pair.shape == pairs
            and gate.centre.shape == gate.scale.shape == (columns,)
            and gate.weights.shape == (columns + 1,)
            and bool((gate.scale > 0).all())
        )
        if not fits:
            raise ArtifactError(
                f"the gate's arrays do not fit {classes} classes and {signals} signals; train it again"
            )
        return gate


def cross_fit(
    probs: NDArray[np.float32],
    signals: Array,
    agrees: NDArray[np.bool_],
    weights: Array,
    fold: NDArray[np.int64],
    seed: int = 0,
) -> Array:
    """Score each row by a gate that was fitted without the rows of its fold."""
    scores = np.zeros(len(agrees))
    for k in np.unique(fold):
        own = fold == k
        gate = Gate.fit(probs[~own], signals[~own], agrees[~own], weights[~own], seed)
        scores[own] = gate.score(probs[own], signals[own])
    return scores


def rising_logistic(x: Array, y: Array, weights: Array) -> Array:
    """Fit a logistic regression without negative weights: the most negative is set to 0 until none is left.

    Examples
    --------
    >>> x = np.array([[-2.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [2.0, 0.0]])
    >>> rising_logistic(x, np.array([0.0, 0.0, 1.0, 1.0]), np.ones(4))[2]
    np.float64(0.0)
    """
    kept = np.arange(x.shape[1])
    while True:
        fitted = logistic(x[:, kept], y, weights)
        if len(kept) == 0 or fitted[1:].min() >= 0:
            break
        kept = np.delete(kept, int(np.argmin(fitted[1:])))
    full = np.zeros(x.shape[1] + 1)
    full[0], full[1 + kept] = fitted[0], fitted[1:]
    return full


def logistic(x: Array, y: Array, weights: Array, ridge: float = _RIDGE) -> Array:
    """Fit a ridge-penalised logistic regression by Newton's method; the intercept comes first, unpenalised.

    Examples
    --------
    >>> x = np.array([[-2.0], [-1.0], [1.0], [2.0]])
    >>> w = logistic(x, np.array([0.0, 0.0, 1.0, 1.0]), np.ones(4))
    >>> bool(w[1] > 0.3), bool(abs(w[0]) < 1e-6)
    (True, True)
    """
    design = np.hstack([np.ones((len(x), 1)), x])
    penalty = np.full(design.shape[1], ridge)
    penalty[0] = 1e-3  # keeps the intercept finite where all agree
    w = np.zeros(design.shape[1])
    for _ in range(50):
        p = 1.0 / (1.0 + np.exp(-np.clip(design @ w, -36, 36)))
        gradient = design.T @ (weights * (p - y)) + penalty * w
        hessian = (design * (weights * p * (1 - p))[:, None]).T @ design + np.diag(penalty)
        step = np.linalg.solve(hessian, gradient)
        # half steps where a full one would overshoot (near separation)
        w = w - step * min(1.0, 4.0 / (np.abs(step).max() + 1e-12))
        if np.abs(step).max() < 1e-8:
            break
    return w
