"""Static embeddings: one vector a token, distilled from an encoder, and a text is their mean.

Every token of the vocabulary is run through the encoder alone, the vectors are centred and reduced to their
principal components, and weighted down by how frequent the token is, as in model2vec (Tulkens and van Dongen,
2024) and SIF (Arora, Liang and Ma, 2017). Frequency is taken from the place in the vocabulary, which for
WordPiece falls with it. Offline, once, half a minute on one core; needs no torch and no network.

The table is written as an ONNX graph of two nodes, so that it is served like every other encoder:

    python -m jitr.models.encoders.static FOLDER      # then JITR_WEIGHTS=FOLDER
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path

import msgspec
import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

from jitr.models.encoders.onnx.file import field
from jitr.models.encoders.registry import EncoderSpec, WeightFile
from jitr.models.encoders.weights import Weights

DIM = 256
_SIF = 1e-4
_BATCH = 256
_FIT_ROWS = 15_000
_CLIP = 0.9999
_INT64, _INT8, _FLOAT = 7, 3, 1


def distil(weights: Weights, folder: Path, source: str = "minilm", name: str = "static") -> EncoderSpec:
    """Write ``model.onnx``, ``tokenizer.json`` and ``encoder.json`` of a static encoder; what is there stays.

    Parameters
    ----------
    weights : Weights
        Where the encoder comes from.
    folder : Path
        Made if missing; give it to `Weights` from then on.
    source : str
        Name of the encoder.
    name : str
        By which candidates and artifacts call the encoder.

    Raises
    ------
    WeightsError
        The encoder is not on this machine.
    """
    told = folder / "encoder.json"
    if told.is_file():
        return msgspec.json.decode(told.read_bytes(), type=EncoderSpec)
    spec = weights.spec(source)
    tokenizer = Tokenizer.from_file(str(weights.find(spec.tokenizer)))
    tokenizer.no_padding()
    table = quantised(reduced(token_vectors(weights.find(spec.model), tokenizer), DIM))
    table[tokenizer.encode("").ids] = 0  # what stands round every text says nothing
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(lookup_graph(table))
    shutil.copyfile(weights.find(spec.tokenizer), folder / "tokenizer.json")
    made = EncoderSpec(
        name=name,
        dim=table.shape[1],
        model=_describe(folder / "model.onnx"),
        tokenizer=_describe(folder / "tokenizer.json"),
        title=f"static embeddings distilled from {spec.title}",
        licence=spec.licence,
        max_tokens=512,
        texts_per_s=20_000,  # of twelve words, in batches; 9,800 alone
        ram_mb=60,
    )
    told.write_bytes(msgspec.json.format(msgspec.json.encode(made), indent=1))
    return made


def token_vectors(model: Path, tokenizer: Tokenizer) -> NDArray[np.float32]:
    """The encoder's mean over each token of the vocabulary between the marks that stand round a text."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    wanted = {i.name for i in session.get_inputs()}
    first, last = tokenizer.encode("").ids
    rows = []
    for at in range(0, tokenizer.get_vocab_size(), _BATCH):
        tokens = range(at, min(at + _BATCH, tokenizer.get_vocab_size()))
        ids = np.array([[first, token, last] for token in tokens], dtype=np.int64)
        feed = {
            "input_ids": ids,
            "attention_mask": np.ones_like(ids),
            "token_type_ids": np.zeros_like(ids),
        }
        feed = {key: value for key, value in feed.items() if key in wanted}
        rows.append(session.run([session.get_outputs()[0].name], feed)[0].mean(1))
    return np.asarray(np.concatenate(rows), np.float32)


def reduced(vectors: NDArray[np.float32], dim: int) -> NDArray[np.float32]:
    """Centred, the leading components alone, weighted by inverse frequency (by rank, Zipf's law)."""
    centred = vectors - vectors.mean(0)
    sample = centred[np.random.default_rng(0).permutation(len(centred))[:_FIT_ROWS]]
    _, axes = np.linalg.eigh(sample.T @ sample)
    kept = axes[:, ::-1][:, :dim]
    # an axis and its opposite are one: the sign is fixed so that the same weights give the same table
    kept = kept * np.sign(kept[np.abs(kept).argmax(0), np.arange(kept.shape[1])])
    frequency = 1.0 / (np.arange(len(vectors)) + 2)
    frequency /= frequency.sum()
    weight = _SIF / (_SIF + frequency)
    return np.asarray(centred @ kept * weight[:, None], np.float32)


def quantised(table: NDArray[np.float32]) -> NDArray[np.int8]:
    """In steps of one size for all: rows are normalised after they are summed, so the size does not matter.

    Examples
    --------
    >>> quantised(np.array([[1.0, -0.5], [0.0, 0.25]], np.float32)).tolist()
    [[127, -64], [0, 32]]
    """
    largest = np.quantile(np.abs(table), _CLIP)
    return np.asarray(np.clip(np.round(table / largest * 127), -127, 127), np.int8)


def lookup_graph(table: NDArray[np.int8]) -> bytes:
    """An ONNX model that looks tokens up: Gather, then Cast (numbers of fields from ``onnx.proto``)."""

    def value(name: bytes, kind: int, dims: int) -> bytes:
        shape = b"".join(field(1, field(2, b"%d" % i)) for i in range(dims))
        tensor = _number(1, kind) + field(2, shape)
        return field(1, name) + field(2, field(1, tensor))

    gather = field(1, b"table") + field(1, b"input_ids") + field(2, b"rows") + field(4, b"Gather")
    to_float = field(1, b"to") + _number(3, _FLOAT) + _number(20, 2)
    cast = field(1, b"rows") + field(2, b"last_hidden_state") + field(4, b"Cast") + field(5, to_float)
    rows, dim = table.shape
    dims = _number(1, rows) + _number(1, dim)
    tensor = dims + _number(2, _INT8) + field(8, b"table") + field(9, table.tobytes())
    graph = (
        field(1, gather)
        + field(1, cast)
        + field(2, b"static")
        + field(5, tensor)
        + field(11, value(b"input_ids", _INT64, 2))
        + field(12, value(b"last_hidden_state", _FLOAT, 3))
    )
    return _number(1, 8) + field(7, graph) + field(8, _number(2, 13))


def _number(number: int, value: int) -> bytes:
    """A field with a whole number, seven bits a byte."""
    out = b""
    for n in (number << 3, value):
        while n > 127:
            out += bytes([n & 127 | 128])
            n >>= 7
        out += bytes([n])
    return out


def _describe(path: Path) -> WeightFile:
    data = path.read_bytes()
    return WeightFile(sha256=hashlib.sha256(data).hexdigest(), size=len(data), name=path.name)


if __name__ == "__main__":
    made = distil(Weights(), Path(sys.argv[1]))
    sys.stdout.write(f"{made.name}: {made.title}, sha256 {made.model.sha256}\n")
