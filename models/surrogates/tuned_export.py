"""Tuned layers as ONNX, checked: what is served is what was tuned."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray

from jitr.models.bases.int8_weights import with_int8_weights
from jitr.models.bases.onnx_encoder import OnnxEncoder
from jitr.models.bases.tuned import LARGEST_BYTES, TunedEncoder
from jitr.models.bases.upper import Upper, to_onnx
from jitr.schemas.errors import TrainingError

_SAMPLE = 64
_LARGEST_DIFFERENCE = 1e-3
_LARGEST_QUANTISED = 1e-2


def exported(
    lower: OnnxEncoder,
    upper: Upper,
    texts: Sequence[str],
    vectors: Callable[[Sequence[NDArray[np.float16]]], NDArray[np.float32]],
) -> TunedEncoder:
    """The layers in int8 where that changes next to nothing, else in single precision.

    Parameters
    ----------
    lower : OnnxEncoder
        The base without its upper layers.
    upper : Upper
        The layers that were tuned.
    texts : sequence of str
        Some texts, on which both must give the same.
    vectors : callable
        The tuned layers' sentence vectors of some states of the lower layers.

    Raises
    ------
    TrainingError
        The exported layers answer otherwise than the tuned ones, or are too large to be served.
    """
    sample = list(texts[:_SAMPLE])
    meant = vectors(lower.states(sample))
    model = to_onnx(upper)
    exact = TunedEncoder(lower, model)
    difference = float(np.abs(exact.encode_views(sample)[:, 0] - meant).max(initial=0.0))
    if not difference < _LARGEST_DIFFERENCE:
        raise TrainingError(
            f"the exported layers differ by {difference:.1e} from the tuned ones,"
            f" {_LARGEST_DIFFERENCE:.0e} is allowed; report this with your version of torch"
        )
    small = TunedEncoder(lower, with_int8_weights(onnx.load_from_string(model)).SerializeToString())
    # of vectors of norm 1, half the squared distance is what the cosine lacks
    lacks = ((small.encode_views(sample)[:, 0] - meant) ** 2).sum(1).max(initial=0.0) / 2
    found = small if lacks < _LARGEST_QUANTISED else exact
    if len(found.upper) > LARGEST_BYTES:
        raise TrainingError(
            f"its layers take {len(found.upper) / 1e6:.0f} MB, {LARGEST_BYTES / 1e6:.0f} MB are allowed;"
            " tune a smaller encoder"
        )
    return found
