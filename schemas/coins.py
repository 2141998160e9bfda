"""Random numbers that anybody can compute again: they hang on an id and on what they are drawn for."""

from __future__ import annotations

from hashlib import blake2b


def coin(id: str, purpose: str) -> float:
    """A uniform number in [0, 1).

    Coins of different purposes are independent, so that a canary's audits are a fair sample of it.

    Parameters
    ----------
    id : str
        Of a call or a decision.
    purpose : str
        At most 16 bytes, such as ``audit``.

    Examples
    --------
    >>> coin("a", "audit") == coin("a", "audit"), coin("a", "audit") == coin("a", "canary")
    (True, False)
    """
    digest = blake2b(id.encode("utf-8", "surrogatepass"), digest_size=8, person=purpose.encode()).digest()
    # 53 bits: every value is a float, and none rounds up to 1
    return (int.from_bytes(digest) >> 11) / 2**53
