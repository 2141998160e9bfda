"""Surrogates of known conduct, run by the real scoring process: which one is told by its folder's name."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jitr.schemas.errors import ArtifactError, WeightsError

RUNTIME = "stage.scorers:Runtime"
SLEEPY_S = 0.02


@dataclass(frozen=True)
class Said:
    label: str
    text: str
    score: float


@dataclass(frozen=True)
class Conduct:
    """``good``, ``sleepy`` (`SLEEPY_S` a batch and text), and those that fail in one way or another."""

    name: str
    folder: Path


class Runtime:
    """Texts may ask for a mishap too: "hang", "die" or "fail"."""

    def load(self, folder: Path, digest: str) -> Conduct:
        name = folder.name.partition("-")[0]
        if name == "refused":
            raise ArtifactError("it is damaged")
        if name == "weightless":
            raise WeightsError("its encoder is not here")
        if name == "odd":
            raise ValueError("something else")
        if name == "deadly" and not (folder / "mended").exists():
            os._exit(3)
        if name == "stuck":
            time.sleep(3600)
        while name == "slow" and not (folder / "go").exists():
            time.sleep(0.005)
        return Conduct(name, folder)

    def answer(self, asked: Sequence[tuple[Conduct, str]]) -> list[Said]:
        texts = [text for _, text in asked]
        if "hang" in texts:
            time.sleep(3600)
        if "die" in texts:
            os._exit(3)
        if "fail" in texts:
            raise ValueError("it fails")
        together = f"{len(asked)} of {len({conduct for conduct, _ in asked})}"
        for conduct, _ in asked:
            while conduct.name == "gated" and not (conduct.folder / "go").exists():
                time.sleep(0.001)
            if conduct.name == "sleepy":
                time.sleep(SLEEPY_S)
        return [Said(text, together, 0.9) for text in texts]

    def measure(self, conduct: Conduct) -> tuple[float, dict[str, float]]:
        big = {"big": 60.0, "huge": 200.0}.get(conduct.name, 1.0)
        return big, {"shared": 30.0} if conduct.name in ("big", "huge") else {}

    def release(self, kept: Sequence[Conduct]) -> None: ...
