"""Word and character n-grams weighted by TF-IDF: an encoder without weights, the same at fitting and serving.

Two views stand side by side, each of norm 1: words and pairs of words (with ``? $ € £``, which carry meaning
in short questions), and runs of 3 to 5 characters inside words. Sublinear counts, smoothed idf, as in
scikit-learn's `TfidfVectorizer`, in pure Python so that a router needs no scikit-learn.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from jitr.models.encoders.encoder import Cost
from jitr.models.encoders.sparse import SparseRows

_TOKEN = re.compile(r"\w+|[?$€£]")
_LONGEST_TEXT = 20_000
_LONGEST_WORD = 40
_CACHED_WORDS = 50_000


class NgramEncoder:
    """A vocabulary of n-grams with their idf.

    Parameters
    ----------
    grams : sequence of str
        The columns; word n-grams begin with ``w`` and character n-grams with ``c``.
    idf : float32 array
        One weight per column.

    Examples
    --------
    >>> encoder = NgramEncoder.fit(["where is my card", "my card is lost", "top up my card"])
    >>> rows = encoder.encode(["my card", "unseen", ""])
    >>> np.round(np.linalg.norm(rows, axis=1), 3).tolist()[0], bool((rows[2] == 0).all())
    (1.0, True)
    """

    name = "ngrams"

    def __init__(self, grams: Sequence[str], idf: NDArray[np.float32]) -> None:
        if len(grams) != len(idf):
            raise ValueError(f"{len(grams)} n-grams need as many idf weights, got {len(idf)}")
        self.grams = tuple(grams)
        self.idf = np.asarray(idf, dtype=np.float32)
        self._idf = self.idf.tolist()
        self._words = {g[1:]: i for i, g in enumerate(self.grams) if g[0] == "w"}
        self._chars = {g[1:]: i for i, g in enumerate(self.grams) if g[0] == "c"}
        # the columns of a word's character runs; words repeat, so this saves most of the work
        self._seen: dict[str, tuple[int, ...]] = {}

    @classmethod
    def fit(cls, texts: Iterable[str], max_features: int = 60_000) -> NgramEncoder:
        """Learn vocabulary and idf; no label is looked at.

        Parameters
        ----------
        texts : iterable of str
        max_features : int
            Most columns of each view; the most frequent stay.
        """
        words: Counter[str] = Counter()
        chars: Counter[str] = Counter()
        n = 0
        for text in texts:
            n += 1
            tokens = _tokens(text)
            words.update(set(_word_grams(tokens)))
            chars.update({gram for token in set(tokens) for gram in _char_grams(token)})
        kept = [("w" + gram, df) for gram, df in _most_frequent(words, 1 if n < 2000 else 2, max_features)]
        kept += [("c" + gram, df) for gram, df in _most_frequent(chars, 2, max_features)]
        idf = np.array([math.log((1 + n) / (1 + df)) + 1 for _, df in kept], dtype=np.float32)
        return cls([gram for gram, _ in kept], idf)

    @property
    def dim(self) -> int:
        """Columns: n-grams known."""
        return len(self.grams)

    @property
    def cost(self) -> Cost:
        """Measured on twelve-word texts; the cache of words is the greater part of the memory."""
        return Cost(texts_per_s=15_000, ram_mb=20 + self.dim * 400 / 1e6)

    def rows(self, texts: Sequence[str]) -> SparseRows:
        """Encode sparsely: both views side by side, each of norm 1 (or 0, if nothing of it is known)."""
        indptr = [0]
        indices: list[int] = []
        values: list[float] = []
        for text in texts:
            tokens = _tokens(text)
            known = self._words
            words = Counter([known[gram] for gram in _word_grams(tokens) if gram in known])
            self._weigh(words, indices, values)
            chars: Counter[int] = Counter()
            for token in tokens:
                chars.update(self._columns(token))
            self._weigh(chars, indices, values)
            indptr.append(len(indices))
        return SparseRows(
            np.array(indptr, np.int64), np.array(indices, np.int64), np.array(values, np.float32), self.dim
        )

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode densely, both views scaled so that a row has norm 1."""
        rows = self.rows(texts).dense()
        norm = np.linalg.norm(rows, axis=1, keepdims=True)
        return np.asarray(np.divide(rows, norm, out=np.zeros_like(rows), where=norm > 0), np.float32)

    def _weigh(self, counts: Mapping[int, int], indices: list[int], values: list[float]) -> None:
        idf = self._idf
        weights = [(1.0 + math.log(tf)) * idf[i] if tf > 1 else idf[i] for i, tf in counts.items()]
        norm = math.sqrt(sum(w * w for w in weights))
        indices += counts
        values += [w / norm for w in weights]

    def _columns(self, token: str) -> tuple[int, ...]:
        columns = self._seen.get(token)
        if columns is None:
            known = self._chars
            columns = tuple(known[gram] for gram in _char_grams(token) if gram in known)
            if len(self._seen) < _CACHED_WORDS:
                self._seen[token] = columns
        return columns


def _tokens(text: str) -> list[str]:
    return [token[:_LONGEST_WORD] for token in _TOKEN.findall(text[:_LONGEST_TEXT].lower())]


def _word_grams(tokens: list[str]) -> list[str]:
    return tokens + [f"{a} {b}" for a, b in pairwise(tokens)]


def _char_grams(token: str) -> list[str]:
    padded = f" {token} "
    return [padded[i : i + n] for n in (3, 4, 5) for i in range(len(padded) - n + 1)]


def _most_frequent(counts: Counter[str], least: int, most: int) -> list[tuple[str, int]]:
    """The n-grams seen in enough texts, the most frequent first and ties by name, at most so many."""
    kept = [(gram, df) for gram, df in counts.items() if df >= least]
    kept.sort(key=lambda item: (-item[1], item[0]))
    return kept[:most]
