"""What every encoder offers: texts in, rows of features out, at a stated cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Cost:
    """What an encoder costs on one core: rough figures for choosing, not promises.

    Attributes
    ----------
    texts_per_s : float
        Texts of twelve words, in batches.
    ram_mb : float
        Resident memory once loaded.
    """

    texts_per_s: float
    ram_mb: float


@runtime_checkable
class Encoder(Protocol):
    """A frozen map from texts to rows of features; the same text always gives the same row."""

    @property
    def name(self) -> str:
        """Name in the registry, or of the folder that it was loaded from."""
        ...

    @property
    def dim(self) -> int:
        """Columns of a row."""
        ...

    @property
    def cost(self) -> Cost:
        """What encoding costs."""
        ...

    def encode(self, texts: Sequence[str]) -> Floats:
        """One row of length `dim` per text, each of L2 norm 1, or 0 where nothing is known of the text."""
        ...
