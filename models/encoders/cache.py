"""Rows of features that were computed before: by text and encoder, in memory and, if asked for, in a file.

Encoding is most of what a training costs, and the same texts come back: at the next doubling of labels, for
the next candidate, in the next run of a benchmark.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

_KEY_BYTES = 16

Rows = NDArray[np.floating[Any]]
Compute = Callable[[Sequence[str]], Sequence[Rows] | Rows]


class FeatureCache:
    """Rows by text, one store per encoder.

    Parameters
    ----------
    folder : Path, optional
        Where `save` writes one file per encoder, and where they are read from; memory alone without.
    most_mb : float
        Of all rows together; what comes later is computed and not kept.

    Examples
    --------
    >>> cache, asked = FeatureCache(), []
    >>> def lengths(texts):
    ...     asked.extend(texts)
    ...     return np.array([[[len(text)]] for text in texts], dtype=np.float32)
    >>> cache.rows("encoder", ["a", "bb", "a"], lengths)[:, 0, 0].tolist()
    [1.0, 2.0, 1.0]
    >>> _ = cache.rows("encoder", ["bb", "ccc"], lengths)
    >>> asked
    ['a', 'bb', 'ccc']
    """

    def __init__(self, folder: str | Path | None = None, most_mb: float = 512.0) -> None:
        self._folder = None if folder is None else Path(folder)
        self._room = most_mb * 1e6
        self._stores: dict[str, dict[bytes, Rows]] = {}
        self._new: set[str] = set()

    def rows(self, encoder: str, texts: Sequence[str], compute: Compute) -> NDArray[np.float32]:
        """The rows of these texts as one array; see `arrays`."""
        if not texts:
            return np.asarray(compute(texts), np.float32)
        return np.stack(self.arrays(encoder, texts, compute))

    def arrays(self, encoder: str, texts: Sequence[str], compute: Compute) -> list[Any]:
        """The rows of these texts, which may differ in shape; `compute` is asked for new ones, each once.

        Parameters
        ----------
        encoder : str
            What tells one encoder from another: its digest and all settings that its rows depend on.
        texts : sequence of str
        compute : callable
            Texts in, as many arrays out.
        """
        store = self._store(encoder)
        keys = [_key(text) for text in texts]
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in store}
        found: dict[bytes, Rows] = dict(zip(new, compute(list(new.values())), strict=True)) if new else {}
        for key, row in found.items():
            if row.nbytes <= self._room:
                store[key] = row
                self._room -= row.nbytes
                self._new.add(encoder)
        return [found[key] if key in found else store[key] for key in keys]

    def missing(self, encoder: str, texts: Sequence[str]) -> int:
        """How many of these texts would have to be computed."""
        store = self._store(encoder)
        return sum(_key(text) not in store for text in texts)

    def save(self) -> None:
        """Write what is new into the folder, each file aside and renamed."""
        if self._folder is None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        for encoder in sorted(self._new):
            store = self._stores[encoder]
            aside = self._path(encoder).with_suffix(f".{os.getpid()}.tmp")
            with aside.open("wb") as file:
                np.savez(
                    file,
                    keys=np.frombuffer(b"".join(store), np.uint8).reshape(-1, _KEY_BYTES),
                    rows=np.stack(list(store.values())),
                )
            aside.rename(self._path(encoder))
        self._new.clear()

    def _store(self, encoder: str) -> dict[bytes, Rows]:
        if encoder not in self._stores:
            self._stores[encoder] = {}
            if self._folder is not None and self._path(encoder).is_file():
                try:
                    with np.load(self._path(encoder), allow_pickle=False) as saved:
                        keys, rows = saved["keys"], saved["rows"]
                    self._stores[encoder] = {key.tobytes(): row for key, row in zip(keys, rows, strict=True)}
                    self._room -= rows.nbytes
                except (OSError, ValueError, KeyError, EOFError, BadZipFile):
                    pass  # damaged: what it held is computed again
        return self._stores[encoder]

    def _path(self, encoder: str) -> Path:
        assert self._folder is not None
        return self._folder / f"{hashlib.sha256(encoder.encode()).hexdigest()[:32]}.npz"


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_KEY_BYTES).digest()
