"""Two frozen encoders read side by side: each view of a text is the one's and the other's, at equal weight.

The cosine of two such views is the mean of the encoders' own cosines, so that an exponential kernel of it is
the product of one kernel an encoder: near is what is near to both. They err on different inputs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from jitr.models.encoders.encoder import Cost
from jitr.models.encoders.onnx.encoder import OnnxEncoder

_SHARE = np.float32(0.5**0.5)


class PairedEncoder:
    """What a head reads in the place of a single encoder.

    Attributes
    ----------
    first, partner : OnnxEncoder
    dim : int
        Of both together.
    views : int
        Of the one that has more; where the other has none its half is zero.
    """

    def __init__(self, first: OnnxEncoder, partner: OnnxEncoder) -> None:
        self.first, self.partner = first, partner
        self.name = f"{first.name}+{partner.name}"
        self.dim = first.dim + partner.dim
        self.views = max(first.views, partner.views)
        text_s = 1 / first.cost.texts_per_s + 1 / partner.cost.texts_per_s
        self.cost = Cost(texts_per_s=1 / text_s, ram_mb=first.cost.ram_mb + partner.cost.ram_mb)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Sentence vectors of norm 1; shape (texts, dim)."""
        return self.encode_views(texts)[:, 0]

    def encode_views(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Shape (texts, views, dim)."""
        return side_by_side(self.first.encode_views(texts), self.partner.encode_views(texts))

    def uncached(self) -> PairedEncoder:
        """The same pair, computing every time: what is timed."""
        return PairedEncoder(self.first.uncached(), self.partner.uncached())


def side_by_side(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """Views of two encoders as views of both, of norm 1 where both have one.

    Parameters
    ----------
    one, other : arrays of shape (n, views, dim), which may differ in views and dim

    Examples
    --------
    >>> pair = side_by_side(np.array([[[1.0]]], np.float32), np.array([[[0.6, 0.8], [0.0, 1.0]]], np.float32))
    >>> pair.astype(float).round(2).tolist()
    [[[0.71, 0.42, 0.57], [0.0, 0.0, 0.71]]]
    """
    found = np.zeros((len(one), max(one.shape[1], other.shape[1]), one.shape[2] + other.shape[2]), np.float32)
    found[:, : one.shape[1], : one.shape[2]] = one
    found[:, : other.shape[1], one.shape[2] :] = other
    found *= _SHARE
    return found
