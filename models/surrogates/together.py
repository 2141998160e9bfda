"""Surrogates that answer together: an encoder that several read through reads all their texts at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from jitr.models.encoders.onnx.encoder import OnnxEncoder
from jitr.models.surrogates.runtime import Surrogate, SurrogateAnswer


def answer_together(asked: Sequence[tuple[Surrogate, str]]) -> list[SurrogateAnswer]:
    """Answer texts of many surrogates, in order; the same answers as of each by itself, faster.

    A text goes through an encoder once, however many ask for it; a row is the same in any company. Layers
    that were tuned for one surrogate read its texts alone.

    Parameters
    ----------
    asked : sequence of (surrogate, text)
        Surrogates that were loaded with one `Weights`, so that they share their encoders.

    Examples
    --------
    >>> answer_together([])
    []
    """
    owner: dict[Surrogate, list[int]] = {}
    reads: dict[OnnxEncoder, dict[str, None]] = {}
    for at, (surrogate, text) in enumerate(asked):
        owner.setdefault(surrogate, []).append(at)
        for encoder in surrogate.shared:
            reads.setdefault(encoder, {})[text] = None
    rows: dict[OnnxEncoder, dict[str, NDArray[np.float32]]] = {}
    for encoder, texts in reads.items():
        unique = list(texts)
        rows[encoder] = dict(zip(unique, encoder.encode_views(unique), strict=True))

    def views_of(encoder: OnnxEncoder, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.stack([rows[encoder][text] for text in texts])

    answers: dict[int, SurrogateAnswer] = {}
    for surrogate, places in owner.items():
        found = surrogate.answer_many([asked[at][1] for at in places], views_of)
        answers.update(zip(places, found, strict=True))
    return [answers[at] for at in range(len(asked))]
