"""A frozen sentence encoder in ONNX Runtime: tokens in, pooled layers out, the same for any batch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

from jitr.models.bases.base import Cost
from jitr.models.bases.cache import FeatureCache
from jitr.schemas.errors import WeightsError

_LONGEST_TEXT = 20_000


class OnnxEncoder:
    """Mean-pooled sentence vectors, and on request those of inner layers.

    One thread inside a run, so that a router's pool decides what runs beside what. Batches are sorted by
    length, so that little padding is computed.

    Parameters
    ----------
    name : str
    model, tokenizer : Path
        The ONNX file (inputs ``input_ids``, ``attention_mask`` and perhaps ``token_type_ids``; first output
        of shape (batch, tokens, dim)) and the ``tokenizer.json``.
    dim : int
    max_tokens : int
        Longer texts are cut into chunks of equal length, at most so long.
    chunks : int
        Most chunks of a text; what follows is left out. With 1 a longer text is cut off.
    prefix : str
        Put before every text (``"query: "`` for e5).
    layers : tuple of str
        Tensors inside the graph that hold the outputs of inner layers.
    sha256 : str
        Digest of the model file.
    cache : FeatureCache, optional
        Keeps the rows of `encode_views`.
    """

    def __init__(
        self,
        *,
        name: str,
        model: Path,
        tokenizer: Path,
        dim: int,
        max_tokens: int = 128,
        prefix: str = "",
        layers: tuple[str, ...] = (),
        sha256: str = "",
        chunks: int = 1,
        cache: FeatureCache | None = None,
        texts_per_s: float = 100.0,
        ram_mb: float = 500.0,
    ) -> None:
        self.name = name
        self.dim = dim
        self.sha256 = sha256
        self.cost = Cost(texts_per_s=texts_per_s, ram_mb=ram_mb)
        self.chunks = chunks
        self._cache = cache
        self._max_tokens = max_tokens
        self._prefix = prefix
        self._layers = layers
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            graph = model.read_bytes() + _more_outputs(layers)
            self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
            self._tokenizer = Tokenizer.from_file(str(tokenizer))
        except Exception as error:  # onnxruntime and tokenizers raise types of their own
            raise WeightsError(
                f"base `{name}` cannot be loaded from {model} and {tokenizer}: {error}"
            ) from error
        self._tokenizer.no_padding()
        if chunks == 1:
            self._tokenizer.enable_truncation(max_tokens)
        else:
            self._tokenizer.no_truncation()
        self._inputs = {i.name for i in self._session.get_inputs()}
        self._last = self._session.get_outputs()[0].name

    @property
    def views(self) -> int:
        """Vectors per text that `encode_views` gives."""
        return len(self._layers) + 2

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Mean of the last layer over the tokens, of norm 1."""
        return self._encode(texts, ())[:, 0]

    def encode_views(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Shape (texts, views, dim), mean and maximum of the last layer, then inner means."""
        if self._cache is None:
            return self._encode(texts, self._layers)
        key = f"{self.name} {self.sha256} {self._prefix} {self._max_tokens} {self.chunks} {self._layers}"
        return self._cache.rows(key, texts, lambda new: self._encode(new, self._layers))

    def _encode(self, texts: Sequence[str], layers: tuple[str, ...], batch: int = 32) -> NDArray[np.float32]:
        total = np.zeros((len(texts), len(layers) + 1, self.dim), dtype=np.float32)
        most = np.full((len(texts), self.dim), -np.inf, dtype=np.float32)
        count = np.zeros((len(texts), 1, 1), dtype=np.float32)
        tokens, owner = self._tokens(texts)
        order = sorted(range(len(tokens)), key=lambda i: (len(tokens[i]), i))
        for start in range(0, len(order), batch):
            rows = order[start : start + batch]
            width = max(1, len(tokens[rows[-1]]))
            ids = np.zeros((len(rows), width), dtype=np.int64)
            mask = np.zeros((len(rows), width), dtype=np.int64)
            for r, i in enumerate(rows):
                ids[r, : len(tokens[i])] = tokens[i]
                mask[r, : len(tokens[i])] = 1
            feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
            feed = {key: value for key, value in feed.items() if key in self._inputs}
            last, *inner = self._session.run([self._last, *layers], feed)
            weight = mask[..., None].astype(np.float32)
            whose = [owner[i] for i in rows]
            for v, hidden in enumerate((last, *inner)):
                np.add.at(total, (whose, v), (hidden * weight).sum(1))
            np.add.at(count, (whose, 0), weight.sum(1))
            np.maximum.at(most, whose, np.where(weight > 0, last, -np.inf).max(1))
        mean = total / np.maximum(count, 1)
        out = np.concatenate([mean[:, :1], most[:, None], mean[:, 1:]], axis=1)
        out[~np.isfinite(out)] = 0
        norm = np.linalg.norm(out, axis=2, keepdims=True)
        return np.asarray(np.divide(out, norm, out=out, where=norm > 0), np.float32)

    def _tokens(self, texts: Sequence[str]) -> tuple[list[list[int]], list[int]]:
        """Tokens of every chunk, and which text each chunk is of; the prefix stands before each chunk."""
        # a lone surrogate code point is no text; tokenizers refuses it
        clean = [text[:_LONGEST_TEXT].encode("utf-8", "replace").decode("utf-8") for text in texts]
        whole = self._tokenizer.encode_batch([self._prefix + text for text in clean])
        tokens: list[list[int]] = []
        owner: list[int] = []
        for i, (text, encoding) in enumerate(zip(clean, whole, strict=True)):
            pieces = [encoding.ids]
            if len(encoding.ids) > self._max_tokens:
                pieces = self._chunks(text)
            tokens += pieces
            owner += [i] * len(pieces)
        return tokens, owner

    def _chunks(self, text: str) -> list[list[int]]:
        """Cut a long text into pieces of equal length, so that little is padded."""
        around = len(self._tokenizer.encode(self._prefix).ids)
        room = self._max_tokens - around
        spans = [span for span in self._tokenizer.encode(text, add_special_tokens=False).offsets if span[1]]
        spans = spans[: room * self.chunks]
        parts = max(1, -(-len(spans) // room))
        cuts = [round(len(spans) * k / parts) for k in range(parts + 1)]
        pieces = [self._prefix + text[spans[a][0] : spans[b - 1][1]] for a, b in pairwise(cuts) if b > a]
        return [e.ids[: self._max_tokens] for e in self._tokenizer.encode_batch(pieces)] or [[]]


def _more_outputs(names: Sequence[str]) -> bytes:
    """Bytes that, put after an ONNX file, make inner tensors outputs too.

    Protobuf merges a message field that comes twice and concatenates its repeated fields, so a second
    `ModelProto.graph` (field 7) with nothing but `GraphProto.output` entries (field 12) adds just these.
    """
    values = b""
    for name in names:
        float_tensor = _field(1, b"\x08\x01")  # TypeProto.tensor_type { elem_type: FLOAT }
        values += _field(12, _field(1, name.encode()) + _field(2, float_tensor))
    return _field(7, values) if names else b""


def _field(number: int, payload: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _varint(n: int) -> bytes:
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])
