"""An encoder whose upper layers were tuned for one task, while it serves: ONNX Runtime, no torch.

The lower layers are the base's own and shared by all surrogates that read through it; only the upper ones
lie in the artifact, as one ONNX file: states of the lower layers and a mask in, states of the last layer out.
They multiply in int8, as the base does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from jitr.models.bases.base import Cost
from jitr.models.bases.int8 import with_int8_products
from jitr.models.bases.onnx_encoder import OnnxEncoder
from jitr.models.bases.onnx_file import foreign
from jitr.schemas.errors import ArtifactError

TUNED_LAYERS = 3
TUNED_FOLDS = 3  # every row is predicted by layers that were tuned without its fold
LARGEST_BYTES = 25_000_000
STATES, MASK, TOKENS = "states", "mask", "tokens"
_RAM_PER_BYTE = 4  # the file, its weights, and these once more as the processor likes them (3.4, measured)
# all that a transformer layer is made of; none of these reads a file, loops, or makes much out of little
_PLAIN = (
    "Add Cast Concat Constant Div Erf Gather Gelu Identity LayerNormalization MatMul Mul Pow"
    " ReduceMean Reshape Shape Slice Softmax Sqrt Squeeze Sub Transpose Unsqueeze"
)
_OPERATORS = frozenset(_PLAIN.split())


class TunedLayers:
    """Upper layers that were tuned for one task.

    Parameters
    ----------
    upper : bytes
        Their ONNX file.
    dim : int
        Of the states that they read.
    layers : int
        How many they are.

    Raises
    ------
    ArtifactError
        The file is not the upper half of such an encoder.
    """

    def __init__(self, upper: bytes, dim: int, layers: int = TUNED_LAYERS) -> None:
        self.upper, self.layers, self.dim = upper, layers, dim
        self.cost = Cost(texts_per_s=math.inf, ram_mb=_RAM_PER_BYTE * len(upper) / 1e6)
        self._session = _session(upper, dim)

    def encode_beside(
        self, whole: OnnxEncoder, texts: Sequence[str]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The views of a whole base, and the tuned sentence vectors (texts, 1, dim), in one pass.

        Parameters
        ----------
        whole : OnnxEncoder
            The base with its own upper layers: the lower ones are shared.
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
    """A base's lower layers with upper layers of its own; in the place of an encoder for a linear head.

    Parameters
    ----------
    lower : OnnxEncoder
        The base, without the layers that were tuned.
    upper : bytes
        The ONNX file of the tuned layers.
    layers : int
        How many they are.

    Raises
    ------
    ArtifactError
        The file is not the upper half of such an encoder.
    """

    views = 1

    def __init__(self, lower: OnnxEncoder, upper: bytes, layers: int = TUNED_LAYERS) -> None:
        self.name, self.sha256, self.form, self.dim = lower.name, lower.sha256, lower.form, lower.dim
        self.tuned = TunedLayers(upper, lower.dim, layers)
        ram_mb = lower.cost.ram_mb + self.tuned.cost.ram_mb
        self.cost = Cost(texts_per_s=lower.cost.texts_per_s, ram_mb=ram_mb)
        self._lower = lower

    @property
    def upper(self) -> bytes:
        """The ONNX file of the tuned layers."""
        return self.tuned.upper

    def encode_views(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Mean of the tuned last layer over the tokens, of norm 1; shape (texts, 1, dim)."""
        sums = np.zeros((len(texts), 1, self.dim), dtype=np.float32)
        for owner, mask, (states,) in self._lower.runs(texts):
            self.tuned.add(sums, owner, mask, states)
        return _normalised(sums)

    def uncached(self) -> TunedEncoder:
        """Itself: it keeps nothing."""
        return self


def _normalised(sums: NDArray[np.float32]) -> NDArray[np.float32]:
    norm = np.linalg.norm(sums, axis=2, keepdims=True)
    return np.asarray(np.divide(sums, norm, out=sums, where=norm > 0), np.float32)


def _session(upper: bytes, dim: int) -> onnxruntime.InferenceSession:
    """Load the file as if by an enemy's hand: nothing but a plain graph of the right form is run."""
    if told := foreign(upper, _OPERATORS):
        raise ArtifactError(
            f"the tuned layers hold {told}; they are damaged or hostile, fetch or train again"
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        graph = with_int8_products(upper)
        session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        takes = {i.name: (i.type, len(i.shape)) for i in session.get_inputs()}
        gives = [o.name for o in session.get_outputs()]
        if takes != {STATES: ("tensor(float)", 3), MASK: ("tensor(float)", 2)} or gives != [TOKENS]:
            raise ArtifactError(f"the tuned layers take {takes} and give {gives}; train the surrogate again")
        states, mask = np.ones((2, 3, dim), np.float32), np.ones((2, 3), np.float32)
        (tokens,) = session.run(None, {STATES: states, MASK: mask})
    except ArtifactError:
        raise
    except Exception as error:  # onnxruntime raises types of its own
        raise ArtifactError(f"the tuned layers cannot be run: {error}; fetch or train them again") from error
    if tokens.shape != states.shape or not np.isfinite(tokens).all():
        raise ArtifactError(
            f"the tuned layers give {tokens.shape}, not {states.shape} finite numbers; train them again"
        )
    return session
