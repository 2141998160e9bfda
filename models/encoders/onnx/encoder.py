"""A frozen sentence encoder in ONNX Runtime: tokens in, pooled layers out, the same for any batch."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby, pairwise
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

from jitr.models.encoders.cache import FeatureCache
from jitr.models.encoders.encoder import Cost
from jitr.models.encoders.onnx.file import with_outputs
from jitr.models.encoders.onnx.int8 import largest_products, with_int8_products
from jitr.schemas.errors import WeightsError

_LONGEST_TEXT = 20_000
_MOST_TOKENS = 256  # of a batch: more do not fit the nearer caches of a processor, and are slower
# one operator in the place of three, and five times as slow as they are (ONNX Runtime 1.31)
_SLOW = ["SkipLayerNormFusion"]

Watch = Callable[[list[int], NDArray[np.float32], list[NDArray[np.float32]]], None]


class OnnxEncoder:
    """Mean-pooled sentence vectors, and on request those of inner layers.

    One thread inside a run, so that a router's pool decides what runs beside what. The texts of a batch have
    as many tokens as each other: nothing is padded, and a row is the same, bit for bit, in any company.

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
    until : str, optional
        The tensor inside the graph at which it ends: what lies above is never computed, and `states` gives
        this layer in the place of the last.

    Attributes
    ----------
    form : str
        Digest of all that a row depends on besides its text: the graph as it is run, tokens, prefix, chunks,
        and whether this processor adds products of integers up exactly.
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
        until: str | None = None,
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
            graph = with_int8_products(model.read_bytes())
            graph = with_outputs(graph, layers) if until is None else with_outputs(graph, [until], only=True)
            self._session = onnxruntime.InferenceSession(
                graph, options, providers=["CPUExecutionProvider"], disabled_optimizers=_SLOW
            )
            self._tokenizer = Tokenizer.from_file(str(tokenizer))
        except Exception as error:  # onnxruntime and tokenizers raise types of their own
            raise WeightsError(
                f"encoder `{name}` cannot be loaded from {model} and {tokenizer}: {error}"
            ) from error
        self._tokenizer.no_padding()
        if chunks == 1:
            self._tokenizer.enable_truncation(max_tokens)
        else:
            self._tokenizer.no_truncation()
        # a file may quantise by the range of its whole batch: alone, a text's row is always the same
        self._most_tokens = 1 if b"DynamicQuantizeLinear" in graph else _MOST_TOKENS
        self._inputs = {i.name for i in self._session.get_inputs()}
        self._last = self._session.get_outputs()[0].name
        sums = _sums(options)  # upper layers tuned on it multiply in int8, even if it does not
        settings = f"{self._most_tokens} {_SLOW} {max_tokens} {chunks} {prefix}".encode()
        self.form = hashlib.sha256(
            b"".join(
                hashlib.sha256(part).digest() for part in (graph, tokenizer.read_bytes(), settings, sums)
            )
        ).hexdigest()

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
        return self._cache.rows(self.form, texts, lambda new: self._encode(new, self._layers))

    def missing(self, texts: Sequence[str]) -> int:
        """How many of these texts `encode_views` would have to compute."""
        return len(texts) if self._cache is None else self._cache.missing(self.form, texts)

    def uncached(self) -> OnnxEncoder:
        """The same encoder, computing every time: what is timed."""
        twin = copy.copy(self)
        twin._cache = None
        return twin

    def runs(
        self, texts: Sequence[str], inner: Sequence[str] = ()
    ) -> Iterator[tuple[list[int], NDArray[np.float32], list[NDArray[np.float32]]]]:
        """Run batch by batch, the shortest first; the rows of a batch have the same number of tokens.

        Yields
        ------
        owner : list of int
            Which text each row of the batch is of: a long text has several rows, its chunks.
        mask : array of shape (rows, tokens)
            All 1; 0 where there is no token at all.
        states : list of arrays of shape (rows, tokens, dim)
            The last layer, then the inner ones that were asked for.
        """
        tokens, owner = self._tokens(texts)
        order = sorted(range(len(tokens)), key=lambda i: (len(tokens[i]), i))
        for length, group in groupby(order, key=lambda i: len(tokens[i])):
            alike, most = list(group), max(1, self._most_tokens // max(1, length))
            for start in range(0, len(alike), most):
                rows = alike[start : start + most]
                # without a token there is one that nothing looks at
                ids = np.array([tokens[i] or [0] for i in rows], dtype=np.int64)
                mask = np.full_like(ids, length > 0)
                feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
                feed = {key: value for key, value in feed.items() if key in self._inputs}
                states = self._session.run([self._last, *inner], feed)
                yield [owner[i] for i in rows], mask.astype(np.float32), states

    def states(self, texts: Sequence[str]) -> list[NDArray[np.float16]]:
        """The last layer token by token: for each text an array (chunks, tokens, dim).

        In half precision, for that many numbers are kept for a training. A chunk that is shorter than
        another of its text ends in rows of zeros, which no token has.
        """
        found: list[list[NDArray[np.float16]]] = [[] for _ in texts]
        for owner, mask, (last,) in self.runs(texts):
            for i, row, length in zip(owner, last, mask.sum(1).astype(int), strict=True):
                found[i].append(row[:length].astype(np.float16))
        out = []
        for pieces in found:
            together = np.zeros((len(pieces), max(map(len, pieces)), self.dim), dtype=np.float16)
            for piece, row in zip(pieces, together, strict=True):
                row[: len(piece)] = piece
            out.append(together)
        return out

    def encode_watched(self, texts: Sequence[str], watch: Watch) -> NDArray[np.float32]:
        """`encode_views`, computing everything; shows all layers' tokens on the way.

        Parameters
        ----------
        texts : sequence of str
        watch : callable
            Told of each batch what `runs` yields, with the states of the last layer and of all inner ones.
        """
        return self._encode(texts, self._layers, watch)

    def _encode(
        self,
        texts: Sequence[str],
        layers: tuple[str, ...],
        watch: Watch | None = None,
    ) -> NDArray[np.float32]:
        total = np.zeros((len(texts), len(layers) + 1, self.dim), dtype=np.float32)
        most = np.full((len(texts), self.dim), -np.inf, dtype=np.float32)
        count = np.zeros((len(texts), 1, 1), dtype=np.float32)
        for owner, mask, states in self.runs(texts, layers):
            if watch is not None:
                watch(owner, mask, states)
            if not mask.any():
                continue
            sums = np.stack([hidden.sum(1) for hidden in states], axis=1)
            greatest = states[0].max(1)
            for row, i in enumerate(owner):  # faster than `np.add.at` for so few rows
                total[i] += sums[row]
                count[i] += mask.shape[1]
                np.maximum(most[i], greatest[row], out=most[i])
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


def _sums(options: onnxruntime.SessionOptions) -> bytes:
    """The largest sums of integer products, as they come out here."""
    session = onnxruntime.InferenceSession(largest_products(), options, providers=["CPUExecutionProvider"])
    (sums,) = session.run(None, {"x": np.full((8, 64), 255, np.uint8)})
    return bytes(sums.tobytes())
