"""Many encoders of known skill, race data for them, and a clock that goes on by itself."""

from __future__ import annotations

import itertools
import zlib
from collections import Counter
from collections.abc import Callable

import numpy as np

from jitr.models.datasets.examples import Dataset, Example
from jitr.models.encoders.encoder import Cost
from jitr.models.encoders.registry import EncoderSpec, WeightFile
from jitr.models.surrogates.heads.fields import fields_of
from jitr.models.training.search.race_data import RaceData


class Encoder:
    """Features that tell the labels the better the higher its skill; loaded under many names."""

    sha256, chunks, views, dim = "", 1, 2, 8

    def __init__(self, name: str, skill: float, asked: Counter[str]) -> None:
        self.name, self.skill, self.asked = name, skill, asked
        self.cost = Cost(texts_per_s=1000, ram_mb=1)

    def uncached(self) -> Encoder:
        return self

    def missing(self, texts: list[str]) -> int:
        return len(texts)

    def encode_views(self, texts: list[str]) -> np.ndarray:
        self.asked[self.name] += len(texts)
        rows = []
        for text in texts:
            noise = np.random.default_rng(zlib.crc32(f"{self.name} {text}".encode())).normal(size=8)
            rows.append(noise + self.skill * np.eye(8)[int(text.split()[-1]) % 3])
        out = np.stack([rows, rows], axis=1).astype(np.float32)
        return out / np.linalg.norm(out, axis=2, keepdims=True)


class ManyEncoders:
    """A stand-in for `Weights` with five encoders of known skill; ``asked`` counts the texts they encode."""

    def __init__(self, skills: dict[str, float] | None = None, **declared: dict[str, float]) -> None:
        self.skills = skills or {"a": 0.2, "b": 0.5, "c": 5.0, "d": 0.1, "e": 2.5}
        self.declared = declared
        self.asked: Counter[str] = Counter()
        self.loaded: list[str] = []

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.skills)

    def spec(self, name: str) -> EncoderSpec:
        file = WeightFile(sha256="", size=0, name=name)
        told = {"texts_per_s": 1000.0, "ram_mb": 1.0} | self.declared.get(name, {})
        return EncoderSpec(name=name, dim=8, model=file, tokenizer=file, **told)

    def encoder(self, name: str) -> Encoder:
        self.loaded.append(name)
        return Encoder(name, self.skills[name], self.asked)


def race_data_of(encoders: ManyEncoders) -> RaceData:
    dataset = Dataset.from_examples(
        Example(str(i), float(i), f"text number {i}", f"label {i % 3}") for i in range(400)
    )
    fields, numbers = fields_of(dataset.labels)
    return RaceData(dataset, fields, np.array(numbers), encoders, 0)  # type: ignore[arg-type]  # a stand-in


def ticking(step: float = 0.01) -> Callable[[], float]:
    ticks = itertools.count()
    return lambda: next(ticks) * step
