"""Which rows were asked for a proof before, and how often: docs/guarantee.md, "Error budget".

A row that was looked at once has told something, whether the proof failed or not, and who fits again with
another seed, target or row more looks again. So it is the rows that remember, not the set of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from itertools import islice

import msgspec

_BYTES = 6
_MOST = 1 << 15


class ProofHistory(msgspec.Struct, frozen=True, kw_only=True):
    """The memory of a folder: rows by the number of the last look at them.

    The first look at some rows has all of delta. One at rows of which any was looked at before is the next
    after the most of these looks, and has half of what that one had. Of all certificates that a row ever had
    part in, however many, the chance that any is wrong is thus under twice delta.

    Attributes
    ----------
    rows : dict of int to bytes
        For each number of looks, the first six bytes of the sha256 of every input. At most 32,768 rows are
        kept, those of the smallest digests: of two large sets that share rows the same ones.

    Examples
    --------
    >>> history = ProofHistory().add(["a", "b"]).add(["b", "c"])
    >>> history.at(["a"]), history.at(["a", "c"]), history.at(["d"])
    (1, 2, 0)
    """

    rows: dict[int, bytes] = {}

    def at(self, inputs: Iterable[str]) -> int:
        """How often these rows were looked at: the most of any of them."""
        asked = {_key(text) for text in inputs}
        return max((look for key, look in self._all() if key in asked), default=0)

    def add(self, inputs: Iterable[str]) -> ProofHistory:
        """The same after one look more, at these rows."""
        asked = list(inputs)
        known = dict(self._all()) | dict.fromkeys(map(_key, asked), self.at(asked) + 1)
        rows: dict[int, bytearray] = {}
        for key, look in islice(sorted(known.items()), _MOST):
            rows.setdefault(look, bytearray()).extend(key)
        return ProofHistory(rows={look: bytes(keys) for look, keys in rows.items()})

    def _all(self) -> Iterator[tuple[bytes, int]]:
        for look, keys in self.rows.items():
            for at in range(0, len(keys), _BYTES):
                yield keys[at : at + _BYTES], look


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:_BYTES]
