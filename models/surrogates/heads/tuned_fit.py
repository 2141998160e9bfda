"""Tuning an encoder's upper layers and a head per field together, on the states of its lower layers.

A head compares a text's vector with one direction per class (cosines times a learned scale). It begins at
the classes' mean vectors, so that tuning begins where frozen features end (after LP-FT, Kumar et al., ICLR
2022), and its targets are smoothed: with few rows a class, weights that are free to grow learn the rows by
heart (77 classes, 3,000 rows: 0.912 of later answers agree; 0.892 with a free head and early stopping). Tuned
on labels, a model must not judge rows that it has seen: every row is predicted by a model that was tuned
without its fold, and what these say is calibrated together.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from jitr.models.datasets.splits import group_folds
from jitr.models.encoders.deterministic import deterministic
from jitr.models.encoders.onnx.encoder import OnnxEncoder
from jitr.models.encoders.registry import UpperSpec
from jitr.models.encoders.tuned import TUNED_FOLDS, TUNED_LAYERS, TunedEncoder
from jitr.models.encoders.upper import STEP, Upper, padded, read_upper
from jitr.models.surrogates.heads.base import Prediction, best_temperature
from jitr.models.surrogates.heads.linear import LinearHead
from jitr.models.surrogates.heads.tuned_export import exported

EPOCHS = 8
_LEAST_SEEN = 5_000  # few rows are gone through more often
_BATCH = 32
_RATE_LAYERS = 2e-4
_RATE_HEADS = 2e-3
_RATE_SCALE = 0.1
_SCALE = 16.0
_SMOOTHING = 0.05
_WARM_UP = 0.1
_DECAY = 0.01
_DROPOUT = 0.1
_TEMPERATURES = np.geomspace(0.2, 5.0, 41)
_TIMED_EPOCHS = 3
_MULTIPLIES_HALVES = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")

States = Sequence[NDArray[np.float16]]


@dataclass(frozen=True)
class Tuned:
    """What serves, and what was seen out of sample; one head and one prediction per field."""

    encoder: TunedEncoder
    heads: tuple[LinearHead, ...]
    out_of_sample: tuple[Prediction, ...]


@dataclass
class _Net:
    """The layers and, side by side, the directions of all fields' classes, a scale for each field."""

    upper: Upper
    directions: nn.Parameter
    bias: nn.Parameter
    scales: nn.Parameter
    field: Any

    def vectors(self, states: Any, mask: Any, owner: Any, texts: int) -> Any:
        sums = self.upper(states, mask).sum(1).float()
        together = torch.zeros(texts, sums.shape[1], device=sums.device).index_add(0, owner, sums)
        return functional.normalize(together, dim=1)

    def coef(self) -> Any:
        """Directions of norm 1 times their field's scale."""
        return functional.normalize(self.directions, dim=0) * self.scales[self.field]

    def logits(self, states: Any, mask: Any, owner: Any, texts: int) -> Any:
        return self.vectors(states, mask, owner, texts) @ self.coef() + self.bias


class Tuner:
    """Tunes one encoder's upper layers.

    Parameters
    ----------
    lower : OnnxEncoder
        The encoder without its upper layers.
    weights, spec
        The file that the upper layers start from, and its form.
    seed : int
    """

    def __init__(self, lower: OnnxEncoder, weights: Path, spec: UpperSpec, seed: int) -> None:
        self._lower, self._spec, self._seed = lower, spec, seed
        self._start = read_upper(weights, spec, TUNED_LAYERS, _DROPOUT)
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def seconds(self, states: States, rows: int, clock: Callable[[], float]) -> float:
        """Forecast of `fit` on so many rows, by a few steps on some of them."""
        y, classes = np.arange(len(states))[:, None] % 2, (2,)
        with deterministic(self._seed):
            take, ones, took = np.arange(len(states)), np.ones(len(states)), []
            net = self._begin(self._vectors(self._start, states), y, classes)
            # the first warms up, the second shows what each begins with
            for epochs in (1, 1, 1 + _TIMED_EPOCHS):
                before = clock()
                self._epochs(net, states, y, classes, ones, take, epochs)
                took.append(clock() - before)
        length = np.array([s.shape[1] for s in states])
        padded_to = sum(len(batch) * _width(length[batch].max()) for batch in _batches(take, states, None))
        # among many rows each is in a batch with rows of its own length
        alike = sum(map(_width, length)) / padded_to
        per_row = max(took[2] - took[1], 0.0) / _TIMED_EPOCHS / len(states) * alike
        # in an epoch the folds' models see a row once less than there are folds, the last one once
        return (TUNED_FOLDS + 1) * took[1] + per_row * rows * (TUNED_FOLDS * _epochs_of(rows) + 1)

    def fit(
        self,
        states: States,
        y: NDArray[np.int64],
        classes: tuple[int, ...],
        weights: NDArray[np.float64],
        groups: NDArray[np.int64],
        texts: Sequence[str],
    ) -> Tuned:
        """Tune on all rows to serve, and once per fold to predict the rows of that fold.

        Parameters
        ----------
        states : sequence of arrays
            `OnnxEncoder.states` of the rows, by ``lower``.
        y : int array of shape (n, fields)
        classes : tuple of int
            Classes of each field, at least 2.
        weights, groups : arrays of shape (n,)
        texts : sequence of str
            Some of the rows' texts: the layers as they serve must give the same for them.

        Raises
        ------
        TrainingError
            The layers as they serve answer otherwise than the tuned ones.
        """
        with deterministic(self._seed):
            fold, epochs = group_folds(groups, TUNED_FOLDS, self._seed), _epochs_of(len(y))
            frozen = self._vectors(self._start, states)
            logits = np.zeros((len(y), sum(classes)), dtype=np.float32)
            for k in range(TUNED_FOLDS):
                rest, own = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
                if len(rest) and len(own):
                    net = self._begin(frozen[rest], y[rest], classes)
                    self._epochs(net, states, y, classes, weights, rest, epochs)
                    logits[own] = self._logits(net, [states[int(i)] for i in own])
            net = self._begin(frozen, y, classes)
            self._epochs(net, states, y, classes, weights, np.arange(len(y)), epochs)
            encoder = exported(
                self._lower, net.upper, self._spec, texts, lambda found: self._vectors(net.upper, found)
            )
            coef, bias = net.coef().detach().cpu().numpy(), net.bias.detach().cpu().numpy()
        heads, found = [], []
        for column, columns in enumerate(np.split(np.arange(sum(classes)), np.cumsum(classes)[:-1])):
            said = logits[:, columns]
            # how sure the folds' models may be, the one that serves may be too: it has seen more
            t = np.float32(best_temperature(said, y[:, column], weights, _TEMPERATURES))
            heads.append(LinearHead(t * bias[columns], None, np.ascontiguousarray(t * coef[:, columns])))
            found.append(LinearHead.prediction(t * said))
        return Tuned(encoder, tuple(heads), tuple(found))

    def _begin(self, vectors: NDArray[np.float32], y: NDArray[np.int64], classes: tuple[int, ...]) -> _Net:
        """Each class's direction is the mean of its rows' frozen vectors; without rows it is that of all."""
        means = np.empty((vectors.shape[1], sum(classes)), dtype=np.float32)
        column = 0
        for part, count in zip(y.T, classes, strict=True):
            for c in range(count):
                rows = part == c
                means[:, column] = vectors[rows].mean(0) if rows.any() else vectors.mean(0)
                column += 1

        def learned(values: NDArray[np.float32]) -> nn.Parameter:
            return nn.Parameter(torch.from_numpy(values).to(self._device))

        return _Net(
            copy.deepcopy(self._start).to(self._device),
            learned(means),
            learned(np.zeros(len(means.T), np.float32)),
            learned(np.full(len(classes), _SCALE, np.float32)),
            torch.from_numpy(np.repeat(np.arange(len(classes)), classes)).to(self._device),
        )

    def _epochs(
        self,
        net: _Net,
        states: States,
        y: NDArray[np.int64],
        classes: tuple[int, ...],
        weights: NDArray[np.float64],
        rows: NDArray[np.int64],
        epochs: int,
    ) -> None:
        """Tune in place."""
        torch.manual_seed(self._seed)
        rng = np.random.default_rng(self._seed)
        groups = [
            {"params": list(net.upper.parameters()), "lr": _RATE_LAYERS, "weight_decay": _DECAY},
            {"params": [net.directions, net.bias], "lr": _RATE_HEADS, "weight_decay": 0.0},
            {"params": [net.scales], "lr": _RATE_SCALE, "weight_decay": 0.0},
        ]
        steps = max(1, math.ceil(len(rows) / _BATCH)) * epochs
        optimiser = torch.optim.AdamW(groups, fused=True)
        pace = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda at: min((at + 1) / (steps * _WARM_UP), max(0.0, 1 - at / steps))
        )
        net.upper.train()
        for _ in range(epochs):
            for batch in _batches(rows, states, rng):
                with self._half():
                    logits = net.logits(*self._tensors([states[i] for i in batch]), len(batch))
                weight = torch.from_numpy(weights[batch].astype(np.float32)).to(self._device)
                loss = torch.zeros((), device=self._device)
                for part, target in zip(logits.split(classes, 1), y[batch].T, strict=True):
                    wrong = functional.cross_entropy(
                        part,
                        torch.from_numpy(target.copy()).to(self._device),
                        reduction="none",
                        label_smoothing=_SMOOTHING,
                    )
                    loss = loss + (wrong * weight).sum() / weight.sum()
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                nn.utils.clip_grad_norm_(net.upper.parameters(), 1.0)
                optimiser.step()
                pace.step()

    def _vectors(self, upper: Upper, states: States) -> NDArray[np.float32]:
        """Sentence vectors of norm 1, in single precision."""
        none = nn.Parameter(torch.zeros(1), requires_grad=False)
        net = _Net(upper.to(self._device), none, none, none, none)
        return self._run(upper, net.vectors, states, self._lower.dim)

    def _logits(self, net: _Net, states: States) -> NDArray[np.float32]:
        return self._run(net.upper, net.logits, states, net.directions.shape[1])

    def _run(
        self, upper: Upper, ask: Callable[..., Any], states: States, columns: int
    ) -> NDArray[np.float32]:
        upper.eval()
        out = np.zeros((len(states), columns), dtype=np.float32)
        with torch.inference_mode():
            for batch in _batches(np.arange(len(states)), states, None):
                out[batch] = ask(*self._tensors([states[i] for i in batch]), len(batch)).cpu().numpy()
        return out

    def _tensors(self, pieces: list[NDArray[np.float16]]) -> tuple[Any, Any, Any]:
        states, mask, owner = (torch.from_numpy(part).to(self._device) for part in padded(pieces))
        return states, mask, owner

    def _half(self) -> Any:
        """Half precision where the processor multiplies in it: about twice as fast."""
        kind = self._device.type
        found = [getattr(torch.cpu, name, None) for name in _MULTIPLIES_HALVES]
        able = kind == "cuda" or any(ask is not None and ask() for ask in found)
        return torch.autocast(kind, dtype=torch.bfloat16, enabled=able)


def _epochs_of(rows: int) -> int:
    return max(EPOCHS, -(-_LEAST_SEEN // rows))


def _width(tokens: int) -> int:
    return -(-int(tokens) // STEP) * STEP


def _batches(
    rows: NDArray[np.int64], states: States, rng: np.random.Generator | None
) -> Iterator[NDArray[np.int64]]:
    """Rows of like length together, so that little is padded; with a generator in random order."""
    length = np.array([states[i].shape[1] for i in rows]) + (rng.random(len(rows)) * 4 if rng else 0)
    order = rows[np.argsort(length, kind="stable")]
    starts = np.arange(0, len(order), _BATCH)
    for start in rng.permutation(starts) if rng else starts:
        yield order[start : start + _BATCH]
