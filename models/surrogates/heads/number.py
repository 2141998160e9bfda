"""A head for numbers: another head chooses among spans of the scale, and the best number of all is said.

The span's probability is shared among the numbers seen in it by how often they came. What is said is the
number with most probability within the tolerance round it: the one most likely to agree. Predicting a
distribution over spans beats predicting the number itself where errors have heavy tails (Farebrother et al.,
"Stop Regressing", 2024).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jitr.models.surrogates.heads.base import Arrays, ClassHead, Encoded, Features, Head, Prediction
from jitr.models.surrogates.heads.fields import Scale
from jitr.schemas.errors import ArtifactError

OWN_SIGNALS = 3
_BLOCK = 256


@dataclass(frozen=True)
class Spans:
    """The numbers seen, sorted, in units of the scale; which span each is in; its share of that span.

    Spans are contiguous and each has a number.
    """

    values: NDArray[np.int64]
    span: NDArray[np.int64]
    share: NDArray[np.float64]
    tolerance: int

    def __len__(self) -> int:
        return int(self.span[-1]) + 1

    def decide(self, probs: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Say a number for every row of span probabilities, and how sure that is.

        Returns
        -------
        numbers : int64 array of shape (n,)
        signals : array of shape (n, 3)
            Log-odds of lying within the tolerance; the log of how much more that is than of any number
            outside of it; minus the log of the spread, in spans.
        """
        low = np.searchsorted(self.values, self.values - self.tolerance, side="left")
        high = np.searchsorted(self.values, self.values + self.tolerance, side="right")
        numbers = np.empty(len(probs), dtype=np.int64)
        signals = np.empty((len(probs), OWN_SIGNALS))
        for at in range(0, len(probs), _BLOCK):
            p = probs[at : at + _BLOCK].astype(np.float64)
            mass = np.zeros((len(p), len(self.values) + 1))
            np.cumsum(p[:, self.span] * self.share, axis=1, out=mass[:, 1:])
            near = mass[:, high] - mass[:, low]
            # of equals the one nearest to the middle of the distribution
            middle = np.abs(mass[:, 1:] + mass[:, :-1] - 1)
            best = (near - 1e-6 * middle).argmax(1)
            rows = np.arange(len(p))
            first = near[rows, best]
            away = np.abs(self.values[None, :] - self.values[best][:, None]) > self.tolerance
            second = np.where(away, near, 0).max(1)
            at_span = np.arange(len(self))
            mean = p @ at_span
            spread = np.sqrt(np.maximum(p @ at_span**2 - mean**2, 0))
            numbers[at : at + len(p)] = self.values[best]
            signals[at : at + len(p), 0] = np.log(first + 1e-6) - np.log(np.maximum(1 - first, 0) + 1e-4)
            signals[at : at + len(p), 1] = np.log(first + 1e-6) - np.log(second + 1e-6)
            signals[at : at + len(p), 2] = -np.log(spread + 0.05)
        return numbers, signals


class NumberHead:
    """Another head over spans, and how its probabilities become a number.

    Parameters
    ----------
    inner : Head
        Chooses a span; it has as many classes as there are spans.
    spans : Spans
    """

    def __init__(self, inner: Head, spans: Spans) -> None:
        self._inner, self._spans = inner, spans
        self.signals = inner.signals + OWN_SIGNALS

    @property
    def kind(self) -> str:
        """That of the head inside; the field's scale says that it is one of numbers."""
        return self._inner.kind

    @property
    def classes(self) -> int:
        """Spans."""
        return len(self._spans)

    def predict(self, encoded: Encoded) -> Prediction:
        """The inner head's probabilities, the number that they make most likely, and more for the gate."""
        return self.prediction(self._inner.predict(encoded), self._spans)

    @staticmethod
    def prediction(inner: Prediction, spans: Spans) -> Prediction:
        """Turn a choice among spans into numbers."""
        numbers, signals = spans.decide(inner.probs)
        return Prediction(inner.probs, np.hstack([inner.signals, signals]), numbers)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Those of the head inside, and the spans."""
        spans = {"values": self._spans.values, "span": self._spans.span, "share": self._spans.share}
        return {**self._inner.arrays(), **{f"spans.{name}": array for name, array in spans.items()}}

    @classmethod
    def from_arrays(
        cls, arrays: Arrays, inner: type[ClassHead], scale: Scale, features: Features
    ) -> NumberHead:
        """Rebuild; raises `ArtifactError` where the arrays do not fit each other."""
        values, span, share = (arrays.get(f"spans.{name}") for name in ("values", "span", "share"))
        if values is None or span is None or share is None:
            raise ArtifactError("a head of numbers needs its spans; train it again")
        fits = (
            values.ndim == 1
            and len(values) > 0
            and values.shape == span.shape == share.shape
            and values.dtype == span.dtype == np.int64
            and bool((np.diff(values) > 0).all())
            and span[0] == 0
            and bool(np.isin(np.diff(span), (0, 1)).all())
            and bool((share >= 0).all())
        )
        if not fits:
            raise ArtifactError("the spans of a head of numbers do not fit each other; train it again")
        spans = Spans(values, span, share.astype(np.float64), scale.tolerance)
        return cls(inner.from_arrays(arrays, len(spans), features), spans)
