"""Tuned encoders in a race: whether one may take part, what it will take, and its fit.

torch is imported only when everything else is known to be there and the time for it is left.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from jitr.models.encoders.onnx.encoder import OnnxEncoder
from jitr.models.encoders.tuned import TUNED_LAYERS, TunedEncoder
from jitr.models.encoders.weights import Weights
from jitr.models.surrogates.fit import Fitted, with_gates
from jitr.models.surrogates.heads.base import Encoded, Features, Head, Prediction
from jitr.models.surrogates.heads.constant import ConstantHead
from jitr.models.surrogates.heads.fields import FieldSpec
from jitr.models.surrogates.heads.linear import LinearHead
from jitr.schemas.errors import TrainingError, WeightsError
from jitr.schemas.trainings import Limits

if TYPE_CHECKING:
    from jitr.models.surrogates.heads.tuned_fit import Tuned, Tuner

LEAST_ROWS = 300
_NEEDED = ("torch", "sklearn")
_MOST_STATES_MB = 512.0
_IMPORT_S = 3.0
_SAMPLE = 64
_GPU = Path("/dev/nvidiactl")
# what a row takes at least, in passes through a layer: one there and two back, three times an epoch (for two
# folds and in the end), eight epochs; and half precision may be three times as fast
_LEAST_PASSES = 3 * TUNED_LAYERS * 3 * 8 / 3


class Tuning:
    """One encoder's tuning in one race: all candidates that read the tuned layers share it, as do all folds.

    Parameters
    ----------
    weights : Weights
    name : str
        The encoder.
    seed : int
    """

    def __init__(self, weights: Weights, name: str, seed: int) -> None:
        self._weights, self._name, self._seed = weights, name, seed
        self._tuned: tuple[int, Tuned] | None = None
        self._failed = ""
        self._lower: OnnxEncoder | None = None
        self._tuner: Tuner | None = None

    def refuse(self, rows: int, fields: Sequence[FieldSpec], limits: Limits) -> str:
        """Why it cannot take part; empty where it can."""
        if any(spec.scale is not None for spec in fields):
            return "learns no numbers"
        if all(len(spec.values) < 2 for spec in fields):
            return "has nothing to learn"
        needs = [f"{LEAST_ROWS} labels"] if rows < LEAST_ROWS else []
        missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
        if missing:
            needs.append(f"{' and '.join(missing)} (`pip install 'jitr[train]'`)")
        if needs:
            return f"needs {', and '.join(needs)}"
        try:
            spec = self._weights.spec(self._name)
            if spec.upper is None or len(spec.layers) < TUNED_LAYERS:
                return f"`{self._name}` has no layers that torch could tune; export it again"
            self._weights.find(spec.upper.file)
        except WeightsError as error:
            return str(error)
        return f"takes {spec.ram_mb:.0f} MB" if spec.ram_mb > limits.max_ram_mb else ""

    def too_much(self, texts: Sequence[str], rows: int, left: float, clock: Callable[[], float]) -> str:
        """Why it would take too much; empty where it would not.

        torch is not even imported where ``left`` is plainly too little.

        Parameters
        ----------
        texts : sequence of str
            Some of the rows.
        rows : int
            To be tuned on.
        left : float
            Seconds, by the clock.
        """
        if self._failed:
            return self._failed
        if self._tuned is not None and self._tuned[0] == rows:
            return "" if left >= 0 else f"would take {-left:.0f} s more than are left"
        spec = self._weights.spec(self._name)
        assert spec.upper is not None
        lower, sample = self._below(), list(texts[:_SAMPLE])
        before = clock()
        states = lower.states(sample)
        text_s = (clock() - before) / len(sample)
        memory_mb = sum(s.nbytes for s in states) / len(states) * rows / 1e6
        if memory_mb > _MOST_STATES_MB:
            return f"would keep {memory_mb:.0f} MB of its lower layers, {_MOST_STATES_MB:.0f} MB are allowed"
        need = rows * text_s
        if self._tuner is None:
            layer_s = text_s / max(1, spec.upper.depth - TUNED_LAYERS)
            least = need + _IMPORT_S + (0 if _GPU.exists() else rows * layer_s * _LEAST_PASSES)
            if least > left:
                return f"would take {least:.0f} s at the least, {max(0.0, left):.0f} s are left"
        try:
            need += self._begun().seconds(states, rows, clock)
        except (ImportError, OSError, RuntimeError, WeightsError) as error:
            return f"cannot be tuned: {error}"
        if need > left:
            return f"would take {need:.0f} s, {max(0.0, left):.0f} s are left"
        return ""

    def fit(
        self,
        texts: Sequence[str],
        fields: tuple[FieldSpec, ...],
        numbers: NDArray[np.int64],
        weights: NDArray[np.float64],
        groups: NDArray[np.int64],
    ) -> Fitted:
        """A linear head on layers that are tuned on these rows.

        Raises
        ------
        TrainingError
            torch fails, or what it exports is not what it tuned; the race goes on without.
        """
        encoder, opinions = self.opinions(texts, fields, numbers, weights, groups)
        constant = ConstantHead()
        alone = constant.predict(Encoded(None, np.zeros((len(texts), 1, encoder.dim), np.float32)))
        heads: list[tuple[Head, Prediction]] = [o or (constant, alone) for o in opinions]
        return with_gates(Features(None, encoder), fields, heads, numbers, weights, groups, self._seed)

    def opinions(
        self,
        texts: Sequence[str],
        fields: tuple[FieldSpec, ...],
        numbers: NDArray[np.int64],
        weights: NDArray[np.float64],
        groups: NDArray[np.int64],
    ) -> tuple[TunedEncoder, list[tuple[LinearHead, Prediction] | None]]:
        """Tune on these rows, or take what was tuned on so many; None for a field that has one value alone.

        Raises
        ------
        TrainingError
            As `fit`.
        """
        lower = self._below()
        learned = [f for f, spec in enumerate(fields) if len(spec.values) > 1]
        classes = tuple(len(fields[f].values) for f in learned)
        if self._tuned is None or self._tuned[0] != len(texts):
            try:
                made = self._begun().fit(
                    lower.states(texts), numbers[:, learned], classes, weights, groups, texts
                )
            except (RuntimeError, WeightsError) as error:  # of torch: for one, a GPU without room
                self._failed = f"cannot be tuned: {error}"
                raise TrainingError(self._failed) from error
            except TrainingError as error:
                self._failed = str(error)
                raise
            self._tuned = len(texts), made
        tuned = self._tuned[1]
        found = dict(zip(learned, zip(tuned.heads, tuned.out_of_sample, strict=True), strict=True))
        return tuned.encoder, [found.get(f) for f in range(len(fields))]

    def _below(self) -> OnnxEncoder:
        if self._lower is None:
            self._lower = self._weights.encoder(self._name, below=TUNED_LAYERS)
        return self._lower

    def _begun(self) -> Tuner:
        """The tuner; with it torch is imported."""
        if self._tuner is None:
            from jitr.models.surrogates.heads.tuned_fit import Tuner

            spec = self._weights.spec(self._name).upper
            assert spec is not None
            self._tuner = Tuner(self._below(), self._weights.find(spec.file), spec, self._seed)
        return self._tuner
