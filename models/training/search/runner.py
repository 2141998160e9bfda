"""One candidate in a race: how far it has come, and what answering with it takes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import numpy as np

from jitr.models.surrogates.artifact.artifact import RaceEntry
from jitr.models.surrogates.candidates import Candidate
from jitr.models.surrogates.fit import Fitted
from jitr.models.surrogates.model import Model
from jitr.schemas.trainings import Limits

Clock = Callable[[], float]
_TIMED_TRIES = 2


@dataclass
class Runner:
    """A candidate, its entry in the report, and its model once that is fitted on all rows.

    ``beaten`` is the one that it was compared with alone, and won; ``apart`` its fit with whole folds left
    out; ``credit`` what its coverage and accuracy would gain if single rows were left out in their place.
    """

    candidate: Candidate
    entry: RaceEntry
    fitted: Fitted | None = None
    beaten: Runner | None = None
    apart: Fitted | None = None
    credit: tuple[float, float] = (0.0, 0.0)

    @property
    def ranked(self) -> tuple[float, float]:
        """Coverage and accuracy, in which all are comparable."""
        return self.entry.coverage + self.credit[0], self.entry.accuracy + self.credit[1]

    @property
    def cost(self) -> float:
        """What answering takes, by the second and by the megabyte: their product."""
        return self.entry.p99_ms * self.entry.size_mb

    def record(self, size: int, fitted: Fitted, target: float, seconds: float) -> None:
        """Enter a fit on so many rows."""
        self.entry = msgspec.structs.replace(
            self.entry,
            rows=size,
            accuracy=fitted.accuracy,
            coverage=fitted.forecast.coverage(target),
            seconds=round(seconds, 3),
            curve=(*self.entry.curve, (size, round(fitted.accuracy, 4))),
        )

    def forecast_s(self, size: int) -> float:
        """Seconds that a fit on so many rows will take, by what the last one took."""
        rows = self.entry.rows
        return self.entry.seconds * (size / rows) ** self.candidate.growth if rows else 0.0

    def outside(self, fitted: Fitted, limits: Limits, texts: list[str], clock: Clock) -> str:
        """Measure what answering takes, computing everything; say which limit it breaks, or nothing."""
        model = dataclasses.replace(fitted.model, features=fitted.model.features.uncached())
        p99, ram = _p99_ms(model, texts, clock), _ram_mb(fitted)
        self.entry = msgspec.structs.replace(self.entry, p99_ms=round(p99, 3), size_mb=round(ram, 1))
        if p99 > limits.max_latency_ms:
            return f"answers in {p99:.1f} ms (p99), {limits.max_latency_ms:.0f} ms are allowed"
        if ram > limits.max_ram_mb:
            return f"takes {ram:.0f} MB, {limits.max_ram_mb:.0f} MB are allowed"
        return ""

    def lost(self, why: str) -> RaceEntry:
        """Its entry, with the reason."""
        return msgspec.structs.replace(self.entry, lost=why)


def _p99_ms(model: Model, texts: list[str], clock: Clock) -> float:
    """99th percentile over texts of the best of a few tries: a busy machine fails no fast surrogate."""
    model.answer(texts[:1])
    took = []
    for text in texts:
        tries = []
        for _ in range(_TIMED_TRIES):
            before = clock()
            model.answer([text])
            tries.append(clock() - before)
        took.append(min(tries))
    return float(np.quantile(took, 0.99)) * 1e3


def _ram_mb(fitted: Fitted) -> float:
    features = fitted.model.features
    read = (features.ngrams, features.encoder, features.beside)
    encoders = sum(encoder.cost.ram_mb for encoder in read if encoder is not None)
    # single precision in memory, however little it takes on disk
    heads = sum(array.size * 4 for f in fitted.model.fields for array in f.head.arrays().values()) / 1e6
    return encoders + heads
