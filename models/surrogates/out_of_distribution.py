"""The out-of-distribution detector: whether an input is of a kind that a surrogate has learned from at all.

A gate learns from inputs of the task alone, and on those hardly anything tells more than the class
probabilities. With few classes these are as sure of other kinds of input: taught two classes by 1,000
questions to a bank, MiniLM's linear head accepts at 0.95 88% of further ones, and 93% of sentences from film
reviews. So what is less like the training rows than almost any of them is like the others is accepted at no
threshold: of the further ones 87% are then accepted, of the sentences 0.2%, of another assistant's questions
22% (88%). On 77 classes leave-one-out proves the same coverage with it as without (1,000 and 10,003 labels).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jitr.models.surrogates.heads.base import Arrays, Encoded, Features
from jitr.models.surrogates.heads.ridge import from_steps, in_steps
from jitr.schemas.errors import ArtifactError

_MOST_ROWS = 512
_LOST_SHARE = 0.001


@dataclass(frozen=True)
class OutOfDistributionDetector:
    """Some training rows, and how like the nearest of them an input has to be (cosine of sentence vectors).

    Examples
    --------
    >>> rows = np.eye(3, dtype=np.float32)
    >>> views = np.array([[[0.9, 0.1, 0.0]], [[0.1, 0.1, 0.1]]], np.float32)
    >>> OutOfDistributionDetector(rows, 0.5).out_of_distribution(Encoded(None, views)).tolist()
    [False, True]
    """

    rows: NDArray[np.float32]
    floor: float

    def out_of_distribution(self, encoded: Encoded) -> NDArray[np.bool_]:
        """Whether each input is of another kind; shape (n,)."""
        if encoded.views is None:
            return np.zeros(len(encoded), np.bool_)
        return np.asarray((encoded.views[:, 0] @ self.rows.T).max(1) < self.floor)

    @classmethod
    def fit(
        cls, encoded: Encoded, groups: NDArray[np.int64], seed: int
    ) -> tuple[OutOfDistributionDetector | None, NDArray[np.bool_]]:
        """Choose rows and floor; also which rows lie outside, their near-duplicates left out.

        Parameters
        ----------
        encoded : Encoded
            The training rows; without an encoder there is no detector, for texts of all kinds share words.
        groups : int array of shape (n,)
        seed : int
        """
        n = len(groups)
        if encoded.views is None or len(np.unique(groups)) < 2:
            return None, np.zeros(n, np.bool_)
        sentences = encoded.views[:, 0]
        chosen = np.sort(np.random.default_rng(seed).permutation(n)[:_MOST_ROWS])
        rows = from_steps(*in_steps(sentences[chosen]))
        similar = sentences @ rows.T
        similar[groups[:, None] == groups[chosen][None]] = -1.0
        nearest = similar.max(1)
        # a row whose whole neighbourhood was left out with it tells nothing
        floor = float(np.float32(np.quantile(nearest[nearest > -1.0], _LOST_SHARE)))
        return cls(rows, floor), np.asarray(nearest < floor)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything there is to save."""
        whole, step = in_steps(self.rows)
        return {"rows": whole, "rows.step": step, "floor": np.array([self.floor], np.float32)}

    @classmethod
    def from_arrays(cls, arrays: Arrays, features: Features) -> OutOfDistributionDetector | None:
        """Rebuild; None where there are no arrays, as without an encoder.

        Raises
        ------
        ArtifactError
            The arrays do not fit each other or the encoder.
        """
        if not arrays:
            return None
        try:
            whole, step, floor = arrays["rows"], arrays["rows.step"], arrays["floor"]
        except KeyError as missing:
            raise ArtifactError(
                f"the out-of-distribution rows lack {missing}; train the surrogate again"
            ) from missing
        dim = features.encoder.dim if features.encoder is not None else -1
        if whole.ndim != 2 or not len(whole) or whole.shape[1] != dim or step.shape != (len(whole), 1):
            raise ArtifactError(
                "the out-of-distribution rows do not fit the encoder; train the surrogate again"
            )
        if floor.shape != (1,):
            raise ArtifactError("the out-of-distribution rows need one floor; train the surrogate again")
        return cls(from_steps(whole, step), float(floor[0]))
