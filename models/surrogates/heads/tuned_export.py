"""Tuned layers as they serve, checked: what is served is what was tuned."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from jitr.models.encoders.layers import in_int8
from jitr.models.encoders.onnx.encoder import OnnxEncoder
from jitr.models.encoders.registry import UpperSpec
from jitr.models.encoders.tuned import TunedEncoder, TunedLayers
from jitr.models.encoders.upper import Upper, arrays_of
from jitr.schemas.errors import TrainingError

_SAMPLE = 64
_LARGEST_DIFFERENCE = 1e-3
_LARGEST_QUANTISED = 1e-2
_LARGEST_MB = 25.0


def exported(
    lower: OnnxEncoder,
    upper: Upper,
    spec: UpperSpec,
    texts: Sequence[str],
    vectors: Callable[[Sequence[NDArray[np.float16]]], NDArray[np.float32]],
) -> TunedEncoder:
    """The layers in int8 where that changes next to nothing, else in single precision.

    Parameters
    ----------
    lower : OnnxEncoder
        The encoder without its upper layers.
    upper : Upper
        The layers that were tuned.
    spec : UpperSpec
        Their form.
    texts : sequence of str
        Some texts, on which both must give the same.
    vectors : callable
        The tuned layers' sentence vectors of some states of the lower layers.

    Raises
    ------
    TrainingError
        The layers answer otherwise than the tuned ones, or are too large to be served.
    """
    sample = list(texts[:_SAMPLE])
    meant = vectors(lower.states(sample))
    arrays = arrays_of(upper)
    exact = TunedEncoder(lower, TunedLayers(arrays, spec, lower.dim, len(upper.layers)))
    difference = float(np.abs(exact.encode_views(sample)[:, 0] - meant).max(initial=0.0))
    if not difference < _LARGEST_DIFFERENCE:
        raise TrainingError(
            f"the layers as they serve differ by {difference:.1e} from the tuned ones,"
            f" {_LARGEST_DIFFERENCE:.0e} is allowed; report this with your versions of torch and onnxruntime"
        )
    small = TunedEncoder(lower, TunedLayers(in_int8(arrays), spec, lower.dim, len(upper.layers)))
    # of vectors of norm 1, half the squared distance is what the cosine lacks
    lacks = ((small.encode_views(sample)[:, 0] - meant) ** 2).sum(1).max(initial=0.0) / 2
    found = small if lacks < _LARGEST_QUANTISED else exact
    if found.tuned.size_mb > _LARGEST_MB:
        raise TrainingError(
            f"its layers take {found.tuned.size_mb:.0f} MB, {_LARGEST_MB:.0f} MB are allowed;"
            " tune a smaller encoder"
        )
    return found
