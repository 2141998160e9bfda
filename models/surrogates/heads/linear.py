"""A linear head: softmax of features times weights. Fitted in `linear_fit`, served in numpy."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from jitr.models.surrogates.heads.base import Arrays, Encoded, Features, Prediction, softmax, top_two
from jitr.schemas.errors import ArtifactError


class LinearHead:
    """Multinomial logistic regression on n-grams, on the encoder's sentence vector or layers, or on both.

    Parameters
    ----------
    bias : float32 array of shape (classes,)
    ngrams : float16 array of shape (n-grams, classes), optional
    dense : float32 array of shape (dim, classes) or (layers * dim, classes), optional
        Of the sentence vector, or of all layers' means.
    """

    kind: ClassVar[str] = "linear"
    signals = 2

    def __init__(
        self,
        bias: NDArray[np.float32],
        ngrams: NDArray[np.float16] | None,
        dense: NDArray[np.float32] | None,
    ) -> None:
        self._bias, self._ngrams, self._dense = bias, ngrams, dense

    @property
    def classes(self) -> int:
        """Answers it chooses from."""
        return len(self._bias)

    def predict(self, encoded: Encoded) -> Prediction:
        """Softmax of the logits; the two greatest logits' size and distance tell the gate more."""
        logits = np.broadcast_to(self._bias, (len(encoded), self.classes)).astype(np.float32)
        if self._ngrams is not None and encoded.ngrams is not None:
            logits = logits + encoded.ngrams.dot(self._ngrams)
        if self._dense is not None and encoded.views is not None:
            sentences = len(self._dense) == encoded.views.shape[2]
            x = encoded.views[:, 0] if sentences else layer_means(encoded.views)
            logits = logits + x @ self._dense
        return self.prediction(logits)

    @staticmethod
    def prediction(logits: NDArray[np.float32]) -> Prediction:
        """Turn logits into what the gate reads."""
        return Prediction(softmax(logits), top_two(logits))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Weights and bias."""
        saved: dict[str, NDArray[Any]] = {"bias": self._bias}
        if self._ngrams is not None:
            saved["ngrams"] = self._ngrams
        if self._dense is not None:
            saved["dense"] = self._dense
        return saved

    @classmethod
    def from_arrays(cls, arrays: Arrays, classes: int, features: Features) -> LinearHead:
        """Rebuild."""
        bias, ngrams, dense = arrays.get("bias"), arrays.get("ngrams"), arrays.get("dense")
        if bias is None or bias.shape != (classes,):
            raise ArtifactError(f"a linear head over {classes} classes needs as many biases; train it again")
        if ngrams is not None and (features.ngrams is None or ngrams.shape != (features.ngrams.dim, classes)):
            raise ArtifactError("the linear head's n-gram weights do not fit its vocabulary; train it again")
        if dense is not None and dense.shape not in _dense_shapes(features, classes):
            raise ArtifactError("the linear head's weights do not fit its encoder; train it again")
        return cls(
            bias.astype(np.float32),
            None if ngrams is None else ngrams.astype(np.float16),
            None if dense is None else dense.astype(np.float32),
        )


def layer_means(views: NDArray[np.float32]) -> NDArray[np.float32]:
    """The means of all layers side by side: every view but the second, which is a maximum."""
    return np.delete(views, 1, axis=1).reshape(len(views), -1)


def _dense_shapes(features: Features, classes: int) -> tuple[tuple[int, int], ...]:
    """What an encoder's weights may look like."""
    encoder = features.encoder
    if encoder is None:
        return ()
    return (encoder.dim, classes), ((encoder.views - 1) * encoder.dim, classes)
