"""Which events were seen: a bounded window of their ids, so that a second delivery changes nothing."""

from __future__ import annotations

from hashlib import blake2b

_DIGEST = 8


class SeenIds:
    """The last ids, each as a digest of 8 bytes.

    Parameters
    ----------
    most : int
        How many are remembered; the oldest goes first.
    saved : bytes
        What an earlier window saved.

    Examples
    --------
    >>> seen = SeenIds(2)
    >>> [seen.add(id) for id in "aab"], [SeenIds(2, seen.save()).add(id) for id in "b"]
    ([True, False, True], [False])
    >>> seen.add("c"), seen.add("a")
    (True, True)
    """

    def __init__(self, most: int, saved: bytes = b"") -> None:
        self._most = most
        digests = (saved[i : i + _DIGEST] for i in range(0, len(saved), _DIGEST))
        self._digests = dict.fromkeys(digests)

    def add(self, id: str) -> bool:
        """Remember an id; False if it was there."""
        digest = _digest(id)
        if digest in self._digests:
            return False
        self._digests[digest] = None
        if len(self._digests) > self._most:
            del self._digests[next(iter(self._digests))]
        return True

    def forget(self, id: str) -> None:
        """Let an id come again."""
        self._digests.pop(_digest(id), None)

    def save(self) -> bytes:
        """All of it, oldest first."""
        return b"".join(self._digests)


def _digest(id: str) -> bytes:
    return blake2b(id.encode("utf-8", "surrogatepass"), digest_size=_DIGEST).digest()
