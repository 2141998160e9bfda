"""What every surrogate's head offers while it serves, and the features that it reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from jitr.models.encoders.ngrams import NgramEncoder
from jitr.models.encoders.onnx.encoder import OnnxEncoder
from jitr.models.encoders.paired import PairedEncoder, side_by_side
from jitr.models.encoders.sparse import SparseRows
from jitr.models.encoders.tuned import TunedEncoder, TunedLayers

Arrays = Mapping[str, NDArray[Any]]
ViewsOf = Callable[[OnnxEncoder, Sequence[str]], NDArray[np.float32]]


@dataclass(frozen=True)
class Encoded:
    """Texts as features: n-grams, the encoder's views of shape (n, views, dim), or both.

    ``tuned`` are sentence vectors (n, dim) of layers that were tuned for the task, beside the frozen views.
    """

    ngrams: SparseRows | None
    views: NDArray[np.float32] | None
    tuned: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        if self.ngrams is not None:
            return len(self.ngrams)
        return 0 if self.views is None else len(self.views)


@dataclass(frozen=True)
class Features:
    """The encoders that a surrogate reads through; ``beside`` has tuned what ``encoder`` has frozen."""

    ngrams: NgramEncoder | None = None
    encoder: OnnxEncoder | PairedEncoder | TunedEncoder | None = None
    beside: TunedLayers | None = None

    def encode(self, texts: Sequence[str], views_of: ViewsOf | None = None) -> Encoded:
        """Encode once for all heads.

        Parameters
        ----------
        texts : sequence of str
        views_of : callable, optional
            Gives the views of the `shared` encoders, where they have read these texts before.
        """
        ngrams = self.ngrams.rows(texts) if self.ngrams else None
        if self.beside is not None and isinstance(self.encoder, OnnxEncoder):
            views, tuned = self.beside.encode_beside(self.encoder, texts)
            return Encoded(ngrams, views, tuned[:, 0])
        if views_of is not None and self.shared:
            read = [views_of(encoder, texts) for encoder in self.shared]
            return Encoded(ngrams, read[0] if len(read) == 1 else side_by_side(*read))
        return Encoded(ngrams, self.encoder.encode_views(texts) if self.encoder else None)

    @property
    def shared(self) -> tuple[OnnxEncoder, ...]:
        """The encoders whose views are the same for every surrogate that reads through them."""
        if isinstance(self.encoder, PairedEncoder):
            return self.encoder.first, self.encoder.partner
        return (self.encoder,) if isinstance(self.encoder, OnnxEncoder) and self.beside is None else ()

    @property
    def loaded(self) -> tuple[OnnxEncoder, ...]:
        """The encoders that must be in memory."""
        if isinstance(self.encoder, OnnxEncoder):
            return (self.encoder,)
        return (self.encoder.lower,) if isinstance(self.encoder, TunedEncoder) else self.shared

    def uncached(self) -> Features:
        """The same, computing every time: what is timed."""
        return Features(self.ngrams, self.encoder.uncached() if self.encoder else None, self.beside)

    @property
    def own_layers(self) -> TunedLayers | None:
        """The layers that are the surrogate's own: in the encoder's place, or beside its frozen ones."""
        return self.encoder.tuned if isinstance(self.encoder, TunedEncoder) else self.beside


@dataclass(frozen=True)
class Prediction:
    """What a head says: class probabilities of shape (n, classes), and signals (n, k) for the gate.

    Of every signal more must mean surer: the gate takes nothing else from it. A head of numbers says
    ``numbers``, one per row in units of its field's scale; its probabilities are of spans of the scale.
    """

    probs: NDArray[np.float32]
    signals: NDArray[np.float64]
    numbers: NDArray[np.int64] | None = None

    @property
    def chosen(self) -> NDArray[np.int64]:
        """What is said: the number, or the index of the most probable class; shape (n,)."""
        return self.probs.argmax(1).astype(np.int64) if self.numbers is None else self.numbers


class Head(Protocol):
    """Features in, class probabilities out; numpy alone.

    ``kind`` names the class in a manifest; ``signals`` counts the columns that it tells the gate.
    """

    signals: int

    @property
    def kind(self) -> str:
        """Names the class in a manifest."""
        ...

    @property
    def classes(self) -> int:
        """How many answers it chooses from."""
        ...

    def predict(self, encoded: Encoded) -> Prediction:
        """Answer every row."""
        ...

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything there is to save."""
        ...


class ClassHead(Head, Protocol):
    """A head that is rebuilt from its own arrays alone, and is known by its kind."""

    @classmethod
    def from_arrays(cls, arrays: Arrays, classes: int, features: Features) -> Self:
        """Rebuild; raises `ArtifactError` where the arrays do not fit the classes or the features."""
        ...


def softmax(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities along the last axis.

    Examples
    --------
    >>> softmax(np.array([[1000.0, 1000.0]])).tolist()
    [[0.5, 0.5]]
    """
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True), dtype=np.float32)


def top_two(scores: NDArray[np.float32]) -> NDArray[np.float64]:
    """The greatest score of each row and its distance to the next; shape (n, 2)."""
    if scores.shape[1] == 1:
        return np.stack([scores[:, 0], np.zeros(len(scores))], axis=1).astype(np.float64)
    top = np.partition(scores, -2, axis=1)[:, -2:]
    return np.stack([top[:, 1], top[:, 1] - top[:, 0]], axis=1).astype(np.float64)


def best_temperature(
    scores: NDArray[np.float32],
    y: NDArray[np.int64],
    weights: NDArray[np.float64],
    tried: NDArray[np.float64],
) -> float:
    """The factor of scores with the least log-loss of their softmax; of scores that were made out of sample.

    Examples
    --------
    >>> scores = np.array([[1.0, -1.0], [1.0, -1.0], [1.0, -1.0], [-1.0, 1.0]], np.float32)
    >>> best_temperature(scores, np.array([0, 0, 1, 1]), np.ones(4), np.array([0.1, 0.5, 5.0]))
    0.5
    """
    rows = np.arange(len(y))
    losses = []
    for t in tried:
        p = softmax(np.float32(t) * scores)[rows, y]
        losses.append(float(np.average(-np.log(p + 1e-9), weights=weights)))
    return float(tried[int(np.argmin(losses))])
