"""Groups of near-duplicate inputs, by MinHash over word shingles (Broder, 1997).

A row whose twin lies on the other side of a fold makes every out-of-sample score too good: the twins of a
group always stay together.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_WORD = re.compile(r"\w+")
_DIGITS = re.compile(r"\d")
_BANDS, _ROWS = 6, 3
_PRIME = np.uint64((1 << 31) - 1)
_LONGEST = 2000


def shingles(text: str) -> NDArray[np.uint32]:
    """Hashes of a text's runs of three words, without case, punctuation and the value of digits.

    Examples
    --------
    >>> bool((shingles("Card 12 is lost!") == shingles("card 77 is LOST")).all())
    True
    """
    words = _WORD.findall(_DIGITS.sub("0", text.casefold()))[:_LONGEST]
    runs = [" ".join(words[i : i + 3]) for i in range(max(1, len(words) - 2))]
    return np.unique(np.array([zlib.crc32(run.encode("utf-8", "surrogatepass")) for run in runs], np.uint32))


def near_duplicate_groups(texts: Sequence[str], similarity: float = 0.6) -> NDArray[np.int64]:
    """Number the texts so that near-duplicates have the same number.

    Parameters
    ----------
    texts : sequence of str
    similarity : float
        Least Jaccard similarity of the word shingles of two near-duplicates, in (0, 1].

    Returns
    -------
    int64 array
        The group of each text: the index of its first member.

    Examples
    --------
    >>> near_duplicate_groups(["pay the bill 12 now", "hello", "Pay the bill 99 now!"]).tolist()
    [0, 1, 0]
    """
    sets = [shingles(text) for text in texts]
    parent = list(range(len(sets)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    rng = np.random.default_rng(0)  # fixed: the hash functions are part of the definition
    a = rng.integers(1, int(_PRIME), size=(_BANDS * _ROWS, 1), dtype=np.uint64)
    b = rng.integers(0, int(_PRIME), size=(_BANDS * _ROWS, 1), dtype=np.uint64)
    # one representative of each distinct (band, hashes) is enough: all that collide are compared with it
    first: dict[tuple[int, bytes], int] = {}
    for i, members in enumerate(sets):
        minima = ((a * members.astype(np.uint64) + b) % _PRIME).min(axis=1)
        for band in range(_BANDS):
            j = first.setdefault((band, minima[band * _ROWS : (band + 1) * _ROWS].tobytes()), i)
            if j != i and root(i) != root(j) and _jaccard(members, sets[j]) >= similarity:
                low, high = sorted((root(i), root(j)))
                parent[high] = low
    return np.array([root(i) for i in range(len(sets))], dtype=np.int64)


def _jaccard(a: NDArray[np.uint32], b: NDArray[np.uint32]) -> float:
    common = len(np.intersect1d(a, b, assume_unique=True))
    return common / (len(a) + len(b) - common)
