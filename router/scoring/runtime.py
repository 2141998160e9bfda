"""Surrogates as the scoring process runs them; imported there alone, for it needs numpy and ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jitr.models.surrogates.runtime import Surrogate, SurrogateAnswer, Weights
from jitr.models.surrogates.together import answer_together


class Loader:
    """Loads surrogates that share their encoders."""

    def __init__(self) -> None:
        self._weights = Weights()

    def load(self, folder: Path, digest: str) -> Surrogate:
        """Load one."""
        return Surrogate.load(folder, digest, self._weights)

    def answer(self, asked: Sequence[tuple[Surrogate, str]]) -> list[SurrogateAnswer]:
        """Answer texts, each by its surrogate."""
        return answer_together(asked)

    def measure(self, surrogate: Surrogate) -> tuple[float, dict[str, float]]:
        """Megabytes of memory: its own, and of each encoder that it shares with others."""
        return surrogate.ram_mb, {e.form: e.cost.ram_mb for e in surrogate.encoders}

    def release(self, kept: Sequence[Surrogate]) -> None:
        """Let go of encoders that none of these needs."""
        self._weights.release(encoder for surrogate in kept for encoder in surrogate.encoders)
