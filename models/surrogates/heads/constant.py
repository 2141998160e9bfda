"""A head for a field that has always had one value."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from jitr.models.surrogates.heads.base import Arrays, Encoded, Features, Prediction
from jitr.schemas.errors import ArtifactError


class ConstantHead:
    """Says the one thing that the teacher ever said; the audits will tell when that changes."""

    kind: ClassVar[str] = "constant"
    signals = 0
    classes = 1

    def predict(self, encoded: Encoded) -> Prediction:
        """Class 0 for every row."""
        n = len(encoded)
        return Prediction(np.ones((n, 1), np.float32), np.zeros((n, 0)))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Nothing is learned."""
        return {}

    @classmethod
    def from_arrays(cls, arrays: Arrays, classes: int, features: Features) -> ConstantHead:
        """Rebuild."""
        if classes != 1:
            raise ArtifactError(f"a constant head has 1 class, the manifest says {classes}; train it again")
        return cls()
