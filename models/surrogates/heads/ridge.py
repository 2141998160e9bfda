"""A kernel ridge head on frozen features: exact leave-one-out scores at fitting, numpy at serving.

Kernel: exp(4 (F F' - 1)) + exp(2 (X X' - 1)) + w N N', where F is the encoder's sentence vector, X its inner
layers (concatenated, centred, projected, normalised) and N the n-grams. The n-gram part is linear, so it is
served in primal form, as one weight per n-gram and class. A vote of the nearest neighbours is mixed in. Where
layers were tuned for the task, a linear head on them is a second opinion: the two err on different inputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from jitr.models.surrogates.heads.base import Arrays, Encoded, Features, Prediction, softmax, top_two
from jitr.models.surrogates.heads.linear import LinearHead
from jitr.schemas.errors import ArtifactError

GAMMA_SENTENCE = 4.0
GAMMA_LAYERS = 2.0
VOTE_SHARE = 0.2
SECOND_SHARE = 0.5
NEIGHBOURS = 12
VOTE_WIDTH = 0.05
_BLOCK = 128
_SECOND = "second."


@dataclass(frozen=True)
class Memory:
    """The training rows as the encoder sees them, sorted by class, with their dual weights.

    ``start[c]`` is the first row of class c; every class has a row. Only the first ``calls`` rows are calls
    and vote; where there are more, they are the names of the classes.
    """

    sentences: NDArray[np.float32]
    layers: NDArray[np.float32]
    dual: NDArray[np.float32]
    calls: int
    start: NDArray[np.int64]
    centre: NDArray[np.float32]
    projection: NDArray[np.float32]

    def project(self, views: NDArray[np.float32]) -> NDArray[np.float32]:
        """X of new texts."""
        return project_layers(views, self.centre, self.projection)


def project_layers(
    views: NDArray[np.float32], centre: NDArray[np.float32], projection: NDArray[np.float32]
) -> NDArray[np.float32]:
    """All views side by side, centred on the training rows, projected, normalised."""
    x = (views.reshape(len(views), -1) - centre) @ projection
    norm = np.linalg.norm(x, axis=1, keepdims=True)
    return np.asarray(np.divide(x, norm, out=np.zeros_like(x), where=norm > 0), np.float32)


class RidgeHead:
    """Kernel ridge regression on +1 / -1/(classes - 1), softmax by a fitted temperature.

    Parameters
    ----------
    temperature : float
    ngrams : float16 array of shape (n-grams, classes), optional
        Primal weights of the n-gram kernel.
    memory : Memory, optional
        The encoder's part.
    second : LinearHead, optional
        On the tuned sentence vectors; needs a memory beside it.
    """

    kind: ClassVar[str] = "ridge"

    def __init__(
        self,
        temperature: float,
        classes: int,
        ngrams: NDArray[np.float16] | None,
        memory: Memory | None,
        second: LinearHead | None = None,
    ) -> None:
        self._temperature, self._classes = temperature, classes
        self._ngrams, self._memory, self._second = ngrams, memory, second
        self.signals = 2 if memory is None else 8 if second is None else 10

    @property
    def classes(self) -> int:
        """Answers it chooses from."""
        return self._classes

    def predict(self, encoded: Encoded) -> Prediction:
        """Score in blocks, so that memory stays bounded however many rows there are."""
        n = len(encoded)
        scores = np.zeros((n, self._classes), dtype=np.float32)
        if self._ngrams is not None and encoded.ngrams is not None:
            scores += encoded.ngrams.dot(self._ngrams)
        if self._memory is None or encoded.views is None:
            return self.prediction(scores, self._temperature, None, None)
        m = self._memory
        votes, nearest = np.zeros_like(scores), np.zeros_like(scores)
        for at in range(0, n, _BLOCK):
            views = encoded.views[at : at + _BLOCK]
            similar = views[:, 0] @ m.sentences.T
            kernel = np.exp(GAMMA_SENTENCE * (similar - 1))
            kernel += np.exp(GAMMA_LAYERS * (m.project(views) @ m.layers.T - 1))
            block = slice(at, at + len(views))
            scores[block] += kernel @ m.dual
            votes[block], nearest[block] = neighbours(similar[:, : m.calls], m.start, self._classes)
        second = None
        if self._second is not None and encoded.tuned is not None:
            second = self._second.predict(Encoded(None, encoded.tuned[:, None])).probs
        return self.prediction(scores, self._temperature, votes, nearest, second)

    @staticmethod
    def prediction(
        scores: NDArray[np.float32],
        temperature: float,
        votes: NDArray[np.float32] | None,
        nearest: NDArray[np.float32] | None,
        second: NDArray[np.float32] | None = None,
    ) -> Prediction:
        """Mix scores, votes and the second opinion; tell the gate what each of them thinks of the answer."""
        probs = softmax(temperature * scores)
        signals = top_two(scores)
        if votes is None or nearest is None:
            return Prediction(probs, signals)
        ridge, probs = probs, (1 - VOTE_SHARE) * probs + VOTE_SHARE * votes
        if second is not None:
            probs = (1 - SECOND_SHARE) * probs + SECOND_SHARE * second
        rows, first = np.arange(len(probs)), probs.argmax(1)
        other = nearest.copy()
        other[rows, first] = -1
        near, far = nearest[rows, first], other.max(1)
        more = [
            *_opinion(ridge, first),
            *(() if second is None else _opinion(second, first)),
            votes[rows, first],
            (votes.argmax(1) == first).astype(np.float32),
            near,
            near - far,
        ]
        return Prediction(probs, np.hstack([signals, np.stack(more, axis=1)]).astype(np.float64))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Weights; rows that are only compared are kept in int8, what is summed in half precision."""
        saved: dict[str, NDArray[Any]] = {"temperature": np.array([self._temperature], np.float32)}
        if self._ngrams is not None:
            saved["ngrams"] = self._ngrams
        if self._memory is not None:
            m = self._memory
            for name, rows in (("sentences", m.sentences), ("layers", m.layers)):
                saved[name], saved[f"{name}.step"] = in_steps(rows)
            saved |= {
                "dual": m.dual.astype(np.float16),
                "calls": np.array([m.calls], np.int64),
                "start": m.start,
                "centre": m.centre,
                "projection": m.projection.astype(np.float16),
            }
        if self._second is not None:
            saved |= {f"{_SECOND}{name}": array for name, array in self._second.arrays().items()}
        return saved

    @classmethod
    def from_arrays(cls, arrays: Arrays, classes: int, features: Features) -> RidgeHead:
        """Rebuild."""
        temperature, ngrams = arrays.get("temperature"), arrays.get("ngrams")
        if temperature is None or temperature.shape != (1,) or not 0 < float(temperature[0]) < 1e6:
            raise ArtifactError("a ridge head needs one positive temperature; train it again")
        if ngrams is not None and (features.ngrams is None or ngrams.shape != (features.ngrams.dim, classes)):
            raise ArtifactError("the ridge head's n-gram weights do not fit its vocabulary; train it again")
        memory = _memory(arrays, classes, features) if "sentences" in arrays else None
        if ngrams is None and memory is None:
            raise ArtifactError("a ridge head needs n-grams, an encoder or both; train it again")
        second = _second(arrays, classes, features)
        if second is not None and memory is None:
            raise ArtifactError("a ridge head's second opinion needs an encoder beside it; train it again")
        weights = None if ngrams is None else ngrams.astype(np.float16)
        return cls(float(temperature[0]), classes, weights, memory, second)


def _opinion(
    probs: NDArray[np.float32], said: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """How far one opinion puts what is said above all else, and whether it would say it too."""
    rows = np.arange(len(said))
    rest = probs.copy()
    rest[rows, said] = 0
    margin = np.log(probs[rows, said] + 1e-4) - np.log(rest.max(1) + 1e-4)
    return margin, (probs.argmax(1) == said).astype(np.float32)


def in_steps(rows: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float16]]:
    """Rows as whole numbers from -127 to 127, and the size of a step in each row; shapes (n, d) and (n, 1).

    Their product is exact in single precision: what was read back is kept as the same bytes again.

    Examples
    --------
    >>> whole, step = in_steps(np.array([[0.25, -0.5]], np.float32))
    >>> whole.tolist(), (whole * step.astype(np.float32)).round(2).tolist()
    ([[64, -127]], [[0.25, -0.5]])
    """
    step = (np.abs(rows).max(1, keepdims=True) / 127).astype(np.float16)
    exact = step.astype(np.float32)
    whole = np.divide(rows, exact, out=np.zeros_like(rows), where=exact > 0)
    return np.clip(np.round(whole), -127, 127).astype(np.int8), step


def from_steps(whole: NDArray[np.int8], step: NDArray[np.float16]) -> NDArray[np.float32]:
    """Rows as they were kept."""
    return np.asarray(whole.astype(np.float32) * step.astype(np.float32), np.float32)


def neighbours(
    similar: NDArray[np.float32], start: NDArray[np.int64], classes: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Votes of the nearest rows and the greatest similarity in each class.

    Parameters
    ----------
    similar : array of shape (n, training rows)
        Cosine similarities; the training rows are sorted by class.
    start : int array of shape (classes,)
        First row of each class.

    Returns
    -------
    votes, nearest : arrays of shape (n, classes)
    """
    n, rows = similar.shape
    k = min(NEIGHBOURS, rows)
    at = np.argpartition(-similar, k - 1, axis=1)[:, :k]
    value = np.take_along_axis(similar, at, axis=1)
    weight = np.exp((value - value.max(1, keepdims=True)) / VOTE_WIDTH)
    owner = np.searchsorted(start, at, side="right") - 1
    votes = np.zeros((n, classes), dtype=np.float32)
    np.add.at(votes, (np.arange(n)[:, None], owner), weight)
    nearest = np.maximum.reduceat(similar, start, axis=1)
    return votes / votes.sum(1, keepdims=True), np.asarray(nearest, np.float32)


def _rows(arrays: Arrays, name: str) -> NDArray[np.float32]:
    whole, step = arrays[name], arrays[f"{name}.step"]
    if whole.ndim != 2 or step.shape != (len(whole), 1):
        raise ArtifactError(f"the ridge head's {name} and their steps do not fit; train it again")
    return from_steps(whole, step)


def _second(arrays: Arrays, classes: int, features: Features) -> LinearHead | None:
    own = {name.removeprefix(_SECOND): a for name, a in arrays.items() if name.startswith(_SECOND)}
    dim = None if features.beside is None else features.beside.dim
    wanted = {} if dim is None else {"bias": (classes,), "dense": (dim, classes)}
    if {name: array.shape for name, array in own.items()} != wanted:
        raise ArtifactError("the ridge head's second opinion does not fit its tuned layers; train it again")
    return LinearHead(own["bias"].astype(np.float32), None, own["dense"].astype(np.float32)) if own else None


def _memory(arrays: Arrays, classes: int, features: Features) -> Memory:
    try:
        m = Memory(
            sentences=_rows(arrays, "sentences"),
            layers=_rows(arrays, "layers"),
            dual=arrays["dual"].astype(np.float32),
            calls=int(arrays["calls"].sum()),
            start=arrays["start"].astype(np.int64),
            centre=arrays["centre"].astype(np.float32),
            projection=arrays["projection"].astype(np.float32),
        )
    except KeyError as missing:
        raise ArtifactError(f"the ridge head lacks {missing}; train it again") from missing
    encoder = features.encoder
    n = len(m.sentences)
    fits = (
        encoder is not None
        and m.calls in (n, n - classes)
        and m.calls >= classes
        and m.sentences.shape == (n, encoder.dim)
        and m.layers.ndim == 2
        and len(m.layers) == n
        and m.dual.shape == (n, classes)
        and m.start.shape == (classes,)
        and m.start[0] == 0
        and bool((np.diff(m.start) > 0).all())
        and m.start[-1] < m.calls
        and m.centre.shape == (encoder.views * encoder.dim,)
        and m.projection.shape == (len(m.centre), m.layers.shape[1])
    )
    if not fits:
        raise ArtifactError("the ridge head's arrays do not fit each other or its encoder; train it again")
    return m
