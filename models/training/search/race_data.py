"""The rows of a race in racing order, encoded once for all candidates that read them alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from jitr.models.datasets.examples import Dataset
from jitr.models.datasets.splits import group_folds
from jitr.models.encoders.ngrams import NgramEncoder
from jitr.models.encoders.onnx.encoder import OnnxEncoder
from jitr.models.encoders.paired import PairedEncoder, side_by_side
from jitr.models.encoders.weights import Weights
from jitr.models.surrogates.candidates import Candidate
from jitr.models.surrogates.fit import Fitted, fit_model
from jitr.models.surrogates.heads.base import Encoded, Features, Prediction
from jitr.models.surrogates.heads.fields import FieldSpec
from jitr.models.surrogates.heads.linear import LinearHead
from jitr.models.training.search.tuning import Tuning
from jitr.schemas.errors import WeightsError
from jitr.schemas.trainings import Limits

Clock = Callable[[], float]
_TRIED_TEXTS = 16
_HOPELESS = 4.0
# alone a text takes longer than in a batch, but a first run may take longer than all others
_SLOW = 2.0


@dataclass
class RaceData:
    """The rows of a race: candidates are fitted on the first of them; more are encoded when asked for."""

    dataset: Dataset
    fields: tuple[FieldSpec, ...]
    numbers: NDArray[np.int64]
    weights: Weights
    seed: int
    _order: NDArray[np.int64] = field(init=False)
    _encoders: dict[str, OnnxEncoder] = field(init=False, default_factory=dict)
    _views: dict[str, NDArray[np.float32]] = field(init=False, default_factory=dict)
    _grams: dict[int, tuple[NgramEncoder, Encoded]] = field(init=False, default_factory=dict)
    _tunings: dict[str, Tuning] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._order = np.random.default_rng(self.seed).permutation(len(self.dataset))

    def refuse(self, encoder: str, limits: Limits) -> str:
        """Why an encoder cannot take part; empty where it can.

        What is declared of it is looked at before it is loaded. Speed is declared roughly, for short texts
        in batches and some other machine: only who is slower many times over is out by it.
        """
        try:
            spec = self.weights.spec(encoder)
            if spec.ram_mb > limits.max_ram_mb:
                return f"takes {spec.ram_mb:.0f} MB, {limits.max_ram_mb:.0f} MB are allowed"
            text_s = 1 / max(spec.texts_per_s, 1e-9)
            if text_s * 1e3 > _HOPELESS * limits.max_latency_ms:
                return f"takes {text_s * 1e3:.0f} ms a text, {limits.max_latency_ms:.0f} ms are allowed"
            if text_s * len(self.dataset) > _HOPELESS * limits.max_train_s:
                return (
                    f"takes {text_s * len(self.dataset):.0f} s to encode {len(self.dataset)} rows,"
                    f" {limits.max_train_s:.0f} s are allowed in all"
                )
            if encoder not in self._encoders:
                self._encoders[encoder] = self.weights.encoder(encoder)
        except WeightsError as error:
            return str(error)
        return ""

    def refuse_candidate(self, candidate: Candidate, limits: Limits) -> str:
        """Why a candidate cannot take part; empty where it can."""
        rows = len(self.dataset)
        if candidate.too_large(rows):
            return f"takes no {rows} rows"
        why = next((why for name in candidate.encoders if (why := self.refuse(name, limits))), "")
        together = 0.0 if why else sum(self.weights.spec(name).ram_mb for name in candidate.encoders)
        if together > limits.max_ram_mb:
            return f"takes {together:.0f} MB, {limits.max_ram_mb:.0f} MB are allowed"
        if candidate.tuned and not why:
            why = self.tuning(candidate).refuse(rows, self.fields, limits)
        return why

    def too_slow(self, encoder: str, rows: int, left: float, limits: Limits, clock: Clock) -> str:
        """Why encoding so many rows only to look at them would take too long, by trying a few."""
        text_s = self._text_s(encoder, clock)
        need = text_s * self._missing(encoder, rows)
        if text_s * 1e3 > _SLOW * limits.max_latency_ms:
            return f"takes {text_s * 1e3:.0f} ms a text, {limits.max_latency_ms:.0f} ms are allowed"
        if need > left:
            return f"encoding {rows} rows would take {need:.0f} s, {max(0.0, left):.0f} s are left for it"
        return ""

    def tuning(self, candidate: Candidate) -> Tuning:
        """The tuning of a candidate's encoder; one for all candidates."""
        assert candidate.encoder is not None
        if candidate.encoder not in self._tunings:
            self._tunings[candidate.encoder] = Tuning(self.weights, candidate.encoder, self.seed)
        return self._tunings[candidate.encoder]

    def encoding_s(self, candidate: Candidate, size: int, clock: Clock) -> float:
        """Seconds that encoding what is missing of so many rows will take, by trying a few."""
        return sum(
            missing * self._text_s(name, clock)
            for name in candidate.encoders
            if (missing := self._missing(name, size))
        )

    def _missing(self, name: str, size: int) -> int:
        """How many of the first texts in racing order an encoder has not read."""
        unread = self.some(size)[len(self._views.get(name, ())) :]
        return self._encoders[name].missing(unread) if unread else 0

    def _text_s(self, name: str, clock: Clock) -> float:
        """Seconds of a text in a batch."""
        tried, before = self.some(_TRIED_TEXTS), clock()
        self._encoders[name].uncached().encode_views(tried)
        return (clock() - before) / len(tried)

    def some(self, most: int) -> list[str]:
        """The first texts in racing order."""
        return [self.dataset.inputs[i] for i in self._order[:most]]

    def fit(self, candidate: Candidate, size: int, folds: int = 0) -> Fitted:
        """Fit on the first rows in racing order; values that none of them has are left out.

        With ``folds`` a row is predicted without its whole fold, as rows of tuned candidates are.
        """
        rows = self._order[:size]
        if size == len(self.dataset):
            rows = np.arange(size)  # the model that serves is fitted in order of time
        fields, numbers = [], np.empty((size, len(self.fields)), dtype=np.int64)
        for column, spec in enumerate(self.fields):
            narrowed, numbers[:, column] = spec.narrow(self.numbers[rows, column])
            fields.append(narrowed)
        weights, groups = self.dataset.weights[rows], self.dataset.groups[rows]
        if folds:
            groups = group_folds(groups, folds, self.seed)
        seconds: Sequence[tuple[LinearHead, Prediction] | None] = ()
        beside = None
        if candidate.tuned:
            texts = [self.dataset.inputs[i] for i in rows]
            tuning, told = self.tuning(candidate), (texts, tuple(fields), numbers, weights, groups)
            if candidate.head == "tuned":
                return tuning.fit(*told)
            encoder, seconds = tuning.opinions(*told)
            beside = encoder.tuned
        features, encoded = self._encode(candidate, rows)
        return fit_model(
            replace(features, beside=beside),
            encoded,
            candidate,
            tuple(fields),
            numbers,
            weights,
            groups,
            self.seed,
            self._soft(fields, rows),
            seconds,
        )

    def _soft(self, fields: list[FieldSpec], rows: NDArray[np.int64]) -> NDArray[np.float64] | None:
        """The teacher's probabilities of a plain label, where it told them."""
        spec = fields[0]
        if not self.dataset.soft or len(fields) > 1 or spec.name or spec.scale is not None:
            return None
        index = {value: i for i, value in enumerate(spec.values)}
        soft = np.zeros((len(rows), len(index)))
        for at, row in enumerate(rows):
            for label, p in self.dataset.soft[row].items():
                if label in index:
                    soft[at, index[label]] = p
        return np.asarray(soft / soft.sum(1, keepdims=True))

    def encode(self, candidate: Candidate, size: int) -> None:
        """Encode so many rows, for this and all other candidates."""
        for name in candidate.encoders:
            self._read(name, size)

    def sentences(self, encoder: str, size: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Sentence vectors of the first rows in racing order, and the first field's values."""
        rows = self._order[:size]
        _, encoded = self._encode(Candidate("linear", False, encoder), rows)
        assert encoded.views is not None
        return encoded.views[:, 0], self.numbers[rows, 0]

    def _encode(self, candidate: Candidate, rows: NDArray[np.int64]) -> tuple[Features, Encoded]:
        inputs = self.dataset.inputs
        ngrams = sparse = views = None
        encoder: OnnxEncoder | PairedEncoder | None = None
        if candidate.ngrams:
            if len(rows) not in self._grams:
                grams = NgramEncoder.fit(inputs[i] for i in rows)
                self._grams[len(rows)] = grams, Encoded(grams.rows([inputs[i] for i in rows]), None)
            ngrams, found = self._grams[len(rows)]
            sparse = found.ngrams
        if candidate.encoder is not None:
            first = encoder = self._encoders[candidate.encoder]
            views = self._views_of(candidate.encoder, rows)
            if candidate.partner is not None:
                encoder = PairedEncoder(first, self._encoders[candidate.partner])
                views = side_by_side(views, self._views_of(candidate.partner, rows))
        return Features(ngrams, encoder), Encoded(sparse, views)

    def _views_of(self, name: str, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """An encoder's views of some of the first rows in racing order."""
        return self._read(name, len(rows))[np.argsort(self._order)[rows]]

    def _read(self, name: str, size: int) -> NDArray[np.float32]:
        """Its views of the first rows in racing order, so many or more, each computed once."""
        done = self._views.get(name)
        unread = self.some(size)[0 if done is None else len(done) :]
        if done is None or unread:
            more = self._encoders[name].encode_views(unread)
            self._views[name] = done = more if done is None else np.concatenate([done, more])
        return done
