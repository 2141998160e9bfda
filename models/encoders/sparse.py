"""Sparse rows in plain numpy: what n-gram features are while a surrogate serves, without scipy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class SparseRows:
    """Rows in compressed form: row i has ``values[indptr[i]:indptr[i+1]]`` in the columns ``indices[...]``.

    Examples
    --------
    >>> rows = SparseRows(np.array([0, 2, 2]), np.array([0, 2]), np.array([0.6, 0.8], np.float32), 3)
    >>> rows.dense().tolist() == [[np.float32(0.6), 0.0, np.float32(0.8)], [0.0, 0.0, 0.0]]
    True
    >>> rows.dot(np.eye(3, dtype=np.float32)).shape
    (2, 3)
    """

    indptr: NDArray[np.int64]
    indices: NDArray[np.int64]
    values: NDArray[np.float32]
    dim: int

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def dense(self) -> NDArray[np.float32]:
        """The rows as a full matrix; only for few rows or few columns."""
        out = np.zeros((len(self), self.dim), dtype=np.float32)
        rows = np.repeat(np.arange(len(self)), np.diff(self.indptr))
        out[rows, self.indices] = self.values
        return out

    def dot(self, weights: NDArray[np.float32] | NDArray[np.float16]) -> NDArray[np.float32]:
        """Product with a matrix of shape (dim, k); reads only the rows of it that are needed."""
        out = np.zeros((len(self), weights.shape[1]), dtype=np.float32)
        for i in range(len(self)):
            span = slice(self.indptr[i], self.indptr[i + 1])
            if span.start != span.stop:
                out[i] = self.values[span] @ weights[self.indices[span]].astype(np.float32)
        return out
