"""An encoder whose upper layers were tuned for one task, while it serves: ONNX Runtime, no torch.

The lower layers are the encoder's own and shared by all surrogates that read through it; only the upper ones
lie in the artifact, as arrays. They multiply in int8, as the encoder does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from jitr.models.encoders.encoder import Cost
from jitr.models.encoders.layers import MASK, STATES, TOKENS, Arrays, layers_graph
from jitr.models.encoders.onnx.encoder import OnnxEncoder
from jitr.models.encoders.onnx.int8 import with_int8_products
from jitr.models.encoders.registry import UpperSpec
from jitr.schemas.errors import ArtifactError

TUNED_LAYERS = 3
TUNED_FOLDS = 3  # every row is predicted by layers that were tuned without its fold
_RAM_PER_BYTE = 4  # the arrays, their graph, and that once more as the processor likes it (3.4)


class TunedLayers:
    """Upper layers that were tuned for one task.

    Parameters
    ----------
    arrays : mapping
        Their arrays, as `layers_graph` names them.
    spec : UpperSpec
        The form of the encoder's layers.
    dim : int
        Of the states that they read.
    layers : int
        How many they are.

    Raises
    ------
    ArtifactError
        The arrays are not those of such layers.
    """

    def __init__(self, arrays: Arrays, spec: UpperSpec, dim: int, layers: int = TUNED_LAYERS) -> None:
        self.arrays, self.layers, self.dim = dict(arrays), layers, dim
        self.size_mb = sum(array.nbytes for array in self.arrays.values()) / 1e6
        self.cost = Cost(texts_per_s=math.inf, ram_mb=_RAM_PER_BYTE * self.size_mb)
        self._session = _session(layers_graph(self.arrays, layers, dim, spec.heads, spec.epsilon), dim)

    def encode_beside(
        self, whole: OnnxEncoder, texts: Sequence[str]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The views of a whole encoder, and the tuned sentence vectors (texts, 1, dim), in one pass.

        Parameters
        ----------
        whole : OnnxEncoder
            The encoder with its own upper layers: the lower ones are shared.
        texts : sequence of str
        """
        sums = np.zeros((len(texts), 1, self.dim), dtype=np.float32)

        def watch(owner: list[int], mask: NDArray[np.float32], states: list[NDArray[np.float32]]) -> None:
            self.add(sums, owner, mask, states[-self.layers])

        views = whole.encode_watched(texts, watch)
        return views, _normalised(sums)

    def add(
        self,
        sums: NDArray[np.float32],
        owner: list[int],
        mask: NDArray[np.float32],
        states: NDArray[np.float32],
    ) -> None:
        """Add the sums over the tokens of these rows of states to those of the texts that own them."""
        tokens = self._session.run([TOKENS], {STATES: states, MASK: mask})[0]
        # summed up in the graph, a row would depend on its company in the last bit
        for row, total in zip(owner, tokens.sum(1), strict=True):
            sums[row, 0] += total


class TunedEncoder:
    """An encoder's lower layers with upper layers of its own; in the place of an encoder for a linear head.

    Parameters
    ----------
    lower : OnnxEncoder
        The encoder, without the layers that were tuned.
    tuned : TunedLayers
        What stands in their place.
    """

    views = 1

    def __init__(self, lower: OnnxEncoder, tuned: TunedLayers) -> None:
        self.name, self.sha256, self.form, self.dim = lower.name, lower.sha256, lower.form, lower.dim
        self.tuned = tuned
        ram_mb = lower.cost.ram_mb + self.tuned.cost.ram_mb
        self.cost = Cost(texts_per_s=lower.cost.texts_per_s, ram_mb=ram_mb)
        self.lower = lower

    def encode_views(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Mean of the tuned last layer over the tokens, of norm 1; shape (texts, 1, dim)."""
        sums = np.zeros((len(texts), 1, self.dim), dtype=np.float32)
        for owner, mask, (states,) in self.lower.runs(texts):
            self.tuned.add(sums, owner, mask, states)
        return _normalised(sums)

    def uncached(self) -> TunedEncoder:
        """Itself: it keeps nothing."""
        return self


def _normalised(sums: NDArray[np.float32]) -> NDArray[np.float32]:
    norm = np.linalg.norm(sums, axis=2, keepdims=True)
    return np.asarray(np.divide(sums, norm, out=sums, where=norm > 0), np.float32)


def _session(graph: bytes, dim: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        with_int8_products(graph), options, providers=["CPUExecutionProvider"]
    )
    tried = {STATES: np.ones((2, 3, dim), np.float32), MASK: np.ones((2, 3), np.float32)}
    if not np.isfinite(session.run([TOKENS], tried)[0]).all():
        raise ArtifactError("the tuned layers give numbers that are not finite; train the surrogate again")
    return session
