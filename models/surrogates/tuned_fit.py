"""Tuning an encoder's upper layers and a head per field together, on the states of its lower layers.

The heads start as logistic regressions on the frozen vectors, so that tuning begins where frozen features end
(LP-FT, Kumar et al., ICLR 2022). Tuned on labels, a model must not judge rows that it has seen: every row is
predicted by a model that was tuned without its fold. How many epochs there are is told by rows that the first
of these models sets aside; the others take as many.
"""

from __future__ import annotations

import contextlib
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

from jitr.models.bases.onnx_encoder import OnnxEncoder
from jitr.models.bases.tuned import LARGEST_BYTES, TUNED_LAYERS, TunedEncoder
from jitr.models.bases.upper import STEP, Upper, padded, quantise, read_upper, to_onnx
from jitr.models.bases.weights import UpperSpec
from jitr.models.datasets.splits import group_folds
from jitr.models.surrogates.base import Prediction
from jitr.models.surrogates.linear import LinearHead
from jitr.models.surrogates.linear_fit import fit_logistic
from jitr.schemas.errors import TrainingError

FOLDS = 3
MOST_EPOCHS = 6
_SET_ASIDE = 5  # one row in so many tells when to stop
_PATIENCE = 2
_BATCH = 32
_RATE_LAYERS = 1e-4
_RATE_HEADS = 2e-3
_WARM_UP = 0.1
_DECAY = 0.01
_DROPOUT = 0.1
_STRENGTHS = (4.0, 16.0, 64.0)
_SAMPLE = 64
_LARGEST_DIFFERENCE = 1e-3
_LARGEST_QUANTISED = 1e-2
_TIMED_EPOCHS = 3

States = Sequence[NDArray[np.float16]]


@dataclass(frozen=True)
class Tuned:
    """What serves, and what was seen out of sample; one head and one prediction per field."""

    encoder: TunedEncoder
    heads: tuple[LinearHead, ...]
    out_of_sample: tuple[Prediction, ...]
    epochs: int


@dataclass
class _Net:
    """The layers and, side by side, the heads of all fields."""

    upper: Upper
    coef: nn.Parameter
    bias: nn.Parameter

    def logits(self, states: Any, mask: Any, owner: Any, texts: int) -> Any:
        sums = self.upper(states, mask).float()
        together = torch.zeros(texts, sums.shape[1], device=sums.device).index_add(0, owner, sums)
        return functional.normalize(together, dim=1) @ self.coef + self.bias


class Tuner:
    """Tunes one base's upper layers.

    Parameters
    ----------
    lower : OnnxEncoder
        The base without its upper layers.
    weights, spec
        The file that the upper layers start from, and its form.
    seed : int
    """

    def __init__(self, lower: OnnxEncoder, weights: Path, spec: UpperSpec, seed: int) -> None:
        self._lower, self._seed = lower, seed
        self._start = read_upper(weights, spec, TUNED_LAYERS, _DROPOUT)
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def seconds(self, states: States, rows: int, clock: Callable[[], float]) -> float:
        """Forecast of `fit` on so many rows, by a few steps on some of them; all epochs are counted."""
        y, classes = np.zeros((len(states), 1), dtype=np.int64), (2,)
        with _alone(self._seed):
            some = np.random.default_rng(self._seed).normal(size=(self._lower.dim, 2)).astype(np.float32)
            net = self._net([(some, np.zeros(2, np.float32))])
            take, ones, took = np.arange(len(states)), np.ones(len(states)), []
            # the first warms up, the second shows what each begins with
            for epochs in (1, 1, 1 + _TIMED_EPOCHS):
                before = clock()
                self._epochs(net, states, y, classes, ones, take, take[:0], epochs)
                took.append(clock() - before)
        length = np.array([s.shape[1] for s in states])
        padded_to = sum(len(batch) * _width(length[batch].max()) for batch in _batches(take, states, None))
        # among many rows each is in a batch with rows of its own length
        alike = sum(map(_width, length)) / padded_to
        per_row = max(took[2] - took[1], 0.0) / _TIMED_EPOCHS / len(states) * alike
        # in an epoch the folds' models see a row FOLDS - 1 times, the last one once; and once it is predicted
        return (FOLDS + 1) * took[1] + per_row * rows * (FOLDS * MOST_EPOCHS + 1)

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
            Some of the rows' texts: the exported layers must give the same for them.

        Raises
        ------
        TrainingError
            The exported layers answer otherwise than the tuned ones.
        """
        with _alone(self._seed):
            fold = group_folds(groups, FOLDS, self._seed)
            frozen = self._vectors(self._start, states)
            logits = np.zeros((len(y), sum(classes)), dtype=np.float32)
            epochs, strengths = MOST_EPOCHS, [_STRENGTHS[0]] * len(classes)
            for k in range(FOLDS):
                rest, own = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
                if not len(rest) or not len(own):
                    continue
                aside = rest[:0]
                if k == 0:
                    part = group_folds(groups[rest], _SET_ASIDE, self._seed + 1) == 0
                    rest, aside = rest[~part], rest[part]
                    strengths = [
                        _strength(frozen, y[:, f], c, weights, rest, aside) for f, c in enumerate(classes)
                    ]
                net = self._begin(frozen[rest], y[rest], classes, weights[rest], strengths)
                took = self._epochs(net, states, y, classes, weights, rest, aside, epochs)
                epochs = took if k == 0 else epochs
                logits[own] = self._logits(net, [states[int(i)] for i in own])
            net = self._begin(frozen, y, classes, weights, strengths)
            every = np.arange(len(y))
            self._epochs(net, states, y, classes, weights, every, every[:0], epochs)
            encoder = self._export(net.upper, texts)
        cuts = np.cumsum(classes)[:-1]
        coefs = np.split(net.coef.detach().cpu().numpy(), cuts, axis=1)
        biases = np.split(net.bias.detach().cpu().numpy(), cuts)
        heads = [LinearHead(b, None, np.ascontiguousarray(c)) for b, c in zip(biases, coefs, strict=True)]
        found = [LinearHead.prediction(part) for part in np.split(logits, cuts, axis=1)]
        return Tuned(encoder, tuple(heads), tuple(found), epochs)

    def _net(self, heads: Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]]) -> _Net:
        coef = torch.from_numpy(np.concatenate([c for c, _ in heads], axis=1))
        bias = torch.from_numpy(np.concatenate([b for _, b in heads]))
        upper = copy.deepcopy(self._start).to(self._device)
        return _Net(upper, nn.Parameter(coef.to(self._device)), nn.Parameter(bias.to(self._device)))

    def _begin(
        self,
        vectors: NDArray[np.float32],
        y: NDArray[np.int64],
        classes: tuple[int, ...],
        weights: NDArray[np.float64],
        strengths: Sequence[float],
    ) -> _Net:
        """Heads that know what frozen vectors tell."""
        return self._net(
            [
                fit_logistic(vectors, 0, y[:, f], c, weights, strength)
                for f, (c, strength) in enumerate(zip(classes, strengths, strict=True))
            ]
        )

    def _epochs(
        self,
        net: _Net,
        states: States,
        y: NDArray[np.int64],
        classes: tuple[int, ...],
        weights: NDArray[np.float64],
        rows: NDArray[np.int64],
        aside: NDArray[np.int64],
        epochs: int,
    ) -> int:
        """Tune in place; with rows set aside, until their loss no longer falls. The best epoch; 0 is none."""
        torch.manual_seed(self._seed)
        rng = np.random.default_rng(self._seed)
        groups = [
            {"params": list(net.upper.parameters()), "lr": _RATE_LAYERS, "weight_decay": _DECAY},
            {"params": [net.coef, net.bias], "lr": _RATE_HEADS, "weight_decay": 0.0},
        ]
        steps = max(1, math.ceil(len(rows) / _BATCH)) * MOST_EPOCHS
        optimiser = torch.optim.AdamW(groups, fused=True)
        pace = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda at: min((at + 1) / (steps * _WARM_UP), max(0.0, 1 - at / steps))
        )
        best, least = 0, math.inf
        if len(aside):
            least = self._loss(
                self._logits(net, [states[i] for i in aside]), y[aside], classes, weights[aside]
            )
        for epoch in range(1, epochs + 1):
            net.upper.train()
            for batch in _batches(rows, states, rng):
                with self._half():
                    logits = net.logits(*self._tensors([states[i] for i in batch]), len(batch))
                weight = torch.from_numpy(weights[batch].astype(np.float32)).to(self._device)
                loss = torch.zeros((), device=self._device)
                for part, target in zip(logits.split(classes, 1), y[batch].T, strict=True):
                    wrong = functional.cross_entropy(
                        part, torch.from_numpy(target.copy()).to(self._device), reduction="none"
                    )
                    loss = loss + (wrong * weight).sum() / weight.sum()
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                nn.utils.clip_grad_norm_(net.upper.parameters(), 1.0)
                optimiser.step()
                pace.step()
            if len(aside):
                now = self._loss(
                    self._logits(net, [states[i] for i in aside]), y[aside], classes, weights[aside]
                )
                if now < least:
                    best, least = epoch, now
                elif epoch - best >= _PATIENCE:
                    break
        return best if len(aside) else epochs

    @staticmethod
    def _loss(
        logits: NDArray[np.float32],
        y: NDArray[np.int64],
        classes: tuple[int, ...],
        weights: NDArray[np.float64],
    ) -> float:
        total = 0.0
        for part, target in zip(np.split(logits, np.cumsum(classes)[:-1], axis=1), y.T, strict=True):
            probs = LinearHead.prediction(part).probs[np.arange(len(target)), target]
            total += float(np.average(-np.log(probs + 1e-6), weights=weights))
        return total

    def _vectors(self, upper: Upper, states: States) -> NDArray[np.float32]:
        """Sentence vectors of norm 1, in single precision."""
        dim = self._lower.dim
        eye = nn.Parameter(torch.eye(dim, device=self._device), requires_grad=False)
        none = nn.Parameter(torch.zeros(dim, device=self._device), requires_grad=False)
        return self._logits(_Net(upper.to(self._device), eye, none), states)

    def _logits(self, net: _Net, states: States) -> NDArray[np.float32]:
        net.upper.eval()
        out = np.zeros((len(states), net.coef.shape[1]), dtype=np.float32)
        with torch.inference_mode():
            for batch in _batches(np.arange(len(states)), states, None):
                found = net.logits(*self._tensors([states[i] for i in batch]), len(batch))
                out[batch] = found.cpu().numpy()
        return out

    def _tensors(self, pieces: list[NDArray[np.float16]]) -> tuple[Any, Any, Any]:
        states, mask, owner = (torch.from_numpy(part).to(self._device) for part in padded(pieces))
        return states, mask, owner

    def _half(self) -> Any:
        """Half precision where the processor multiplies in it: two to three times as fast."""
        kind = self._device.type
        able = kind == "cuda" or getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)()
        return torch.autocast(kind, dtype=torch.bfloat16, enabled=able)

    def _export(self, upper: Upper, texts: Sequence[str]) -> TunedEncoder:
        """The layers as ONNX, in int8 where that changes next to nothing; refused where they differ."""
        model = to_onnx(upper)
        sample = list(texts[:_SAMPLE])
        meant = self._vectors(upper, self._lower.states(sample))
        exact = TunedEncoder(self._lower, model)
        difference = float(np.abs(exact.encode_views(sample)[:, 0] - meant).max(initial=0.0))
        if not difference < _LARGEST_DIFFERENCE:
            raise TrainingError(
                f"the exported layers differ by {difference:.1e} from the tuned ones,"
                f" {_LARGEST_DIFFERENCE:.0e} is allowed; report this with your version of torch"
            )
        small = TunedEncoder(self._lower, quantise(model))
        # of vectors of norm 1, half the squared distance is what the cosine lacks
        lacks = ((small.encode_views(sample)[:, 0] - meant) ** 2).sum(1).max(initial=0.0) / 2
        found = small if lacks < _LARGEST_QUANTISED else exact
        if len(found.upper) > LARGEST_BYTES:
            raise TrainingError(
                f"its layers take {len(found.upper) / 1e6:.0f} MB, {LARGEST_BYTES / 1e6:.0f} MB are allowed;"
                " tune a smaller encoder"
            )
        return found


def _strength(
    vectors: NDArray[np.float32],
    y: NDArray[np.int64],
    classes: int,
    weights: NDArray[np.float64],
    rest: NDArray[np.int64],
    aside: NDArray[np.int64],
) -> float:
    """The inverse penalty with which the rows set aside are predicted best."""

    def loss(strength: float) -> float:
        coef, bias = fit_logistic(vectors[rest], 0, y[rest], classes, weights[rest], strength)
        logits = np.asarray(vectors[aside] @ coef + bias, np.float32)
        return Tuner._loss(logits, y[aside, None], (classes,), weights[aside])

    return min(_STRENGTHS, key=loss) if len(aside) else _STRENGTHS[0]


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


@contextlib.contextmanager
def _alone(seed: int) -> Iterator[None]:
    """Deterministic, on one thread, and nothing of torch's own state changed afterwards."""
    threads = torch.get_num_threads()
    strict, fill = (
        torch.are_deterministic_algorithms_enabled(),
        torch.utils.deterministic.fill_uninitialized_memory,
    )
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False
    torch.set_flush_denormal(True)  # gradients that have all but vanished would take ten times as long
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(strict)
        torch.utils.deterministic.fill_uninitialized_memory = fill
        torch.set_flush_denormal(False)
