"""Fitting a head of numbers: spans are cut in several ways, and what agrees most out of sample is kept."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from jitr.models.surrogates.heads.base import Head, Prediction
from jitr.models.surrogates.heads.fields import FieldSpec
from jitr.models.surrogates.heads.number import NumberHead, Spans

_MOST_VALUES = 2000
_MOST_CLASSES = 120
_ROWS_A_CLASS = 3
_SPANS = 24
_ROWS_A_SPAN = 8

_WIDTH = 2.0


class FitHead(Protocol):
    """Fits a head to classes 0 .. classes - 1, or to how probable each is, and predicts out of sample."""

    def __call__(
        self, y: NDArray[np.int64], classes: int, soft: NDArray[np.float64] | None = None
    ) -> tuple[Head, Prediction]: ...


def fit_number(
    fit: FitHead,
    spec: FieldSpec,
    y: NDArray[np.int64],
    weights: NDArray[np.float64],
    near: bool,
) -> tuple[NumberHead, Prediction]:
    """Fit a head over spans, and one over every number where those are few; keep what agrees more.

    Parameters
    ----------
    fit : callable
        See `FitHead`.
    spec : FieldSpec
        Of a number.
    y : int array of shape (n,)
        Numbers in units of its scale.
    weights : array of shape (n,)
    near : bool
        Whether the heads are told that neighbouring spans are nearly right too, as soft labels; it adds two
        to four points of agreement (measured: IMDB's stars, scores of 0 to 100) and costs a ridge nothing.

    Returns
    -------
    head : NumberHead
    out_of_sample : Prediction
    """
    assert spec.scale is not None
    best: tuple[float, NumberHead, Prediction] | None = None
    for spans, which in _cuts(y, weights, spec.scale.tolerance):
        for soft in (None, _neighbours(which, len(spans))) if near and len(spans) > 2 else (None,):
            inner, found = fit(which, len(spans), soft)
            prediction = NumberHead.prediction(found, spans)
            agreed = float(np.average(spec.agrees(prediction.chosen, y), weights=weights))
            if best is None or agreed > best[0]:
                best = agreed, NumberHead(inner, spans), prediction
    assert best is not None
    return best[1], best[2]


def _neighbours(span: NDArray[np.int64], spans: int) -> NDArray[np.float64]:
    """A bell over the spans round each row's own; shape (n, spans), rows sum to 1."""
    away = (np.arange(spans)[None, :] - span[:, None]) / _WIDTH
    bell = np.exp(-0.5 * away * away)
    return np.asarray(bell / bell.sum(1, keepdims=True))


def _cuts(
    y: NDArray[np.int64], weights: NDArray[np.float64], tolerance: int
) -> list[tuple[Spans, NDArray[np.int64]]]:
    """Ways to cut the scale: one span for each number where they are few, and spans of equally many rows."""
    values, at = np.unique(y, return_inverse=True)
    heavy = np.bincount(at, weights=weights)
    cuts = []
    if len(values) <= _MOST_CLASSES and (len(y) >= _ROWS_A_CLASS * len(values) or len(values) <= 2):
        cuts.append(np.arange(len(values)))
    spans = int(np.clip(len(y) // _ROWS_A_SPAN, 2, _SPANS))
    if len(values) > spans or not cuts:
        # the middle of each number's rows among all of them says which span it is in
        middle = (np.cumsum(heavy) - heavy / 2) / heavy.sum()
        _, span = np.unique(np.minimum((middle * spans).astype(int), spans - 1), return_inverse=True)
        cuts.append(span)
    made = []
    for span in cuts:
        share = heavy / np.bincount(span, weights=heavy)[span]
        made.append((_thinned(Spans(values, span.astype(np.int64), share, tolerance)), span[at]))
    return made


def _thinned(spans: Spans) -> Spans:
    """At most so many numbers to choose from: of neighbours in a span one stands for all."""
    n = len(spans.values)
    if n <= _MOST_VALUES:
        return spans
    step = -(-n // (_MOST_VALUES - len(spans)))
    place = np.arange(n) - np.searchsorted(spans.span, spans.span)  # within its span
    group = np.cumsum(place % step == 0) - 1
    first = np.flatnonzero(np.diff(group, prepend=-1))
    size = np.diff(np.append(first, n))
    kept = first + size // 2
    share = np.asarray(np.bincount(group, weights=spans.share), np.float64)
    return Spans(spans.values[kept], spans.span[kept], share, spans.tolerance)
