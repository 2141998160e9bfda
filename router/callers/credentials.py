"""What a caller shows to be let in, however it is written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Final

from multidict import CIMultiDict, CIMultiDictProxy

# where clients of one dialect or another put their key; all of them mean the same
HEADERS: Final = ("Authorization", "api-key", "x-api-key")
# with the same key, another organisation or project is another customer
_WHO: Final = ("OpenAI-Organization", "OpenAI-Project")
# headers in which other servers and the proxies before them look for who it is
_SECRET: Final = re.compile(r"auth|cookie|credential|key|passw|secret|signature|token")
_NO_SECRET: Final = frozenset([*[name.lower() for name in HEADERS], "idempotency-key"])


def keys_in(headers: CIMultiDictProxy[str] | CIMultiDict[str]) -> tuple[str, ...]:
    """Every different key of a request; more than one where its headers contradict each other.

    Examples
    --------
    >>> keys_in(CIMultiDict({"Authorization": "bEARER \\t k1 "})), keys_in(CIMultiDict({"api-key": "k1"}))
    (('k1',), ('k1',))
    >>> keys_in(CIMultiDict({"Authorization": "Bearer k1", "x-api-key": "k2"})), keys_in(CIMultiDict())
    (('k1', 'k2'), ())
    """
    found: dict[str, None] = {}
    for name in HEADERS:
        for value in headers.getall(name, ()):
            found[_key(value)] = None
    found.pop("", None)
    return tuple(found)


def identity(headers: CIMultiDictProxy[str] | CIMultiDict[str], query: str = "") -> bytes:
    """A digest of who a request says it is from, with which an upstream's verdict on it is remembered.

    Whatever may be a credential counts: an upstream may look for its keys in a header of its own, in a cookie
    or in the query, and whom it serves by one of them is not whom it serves without.

    Examples
    --------
    >>> plain = identity(CIMultiDict({"Authorization": "Bearer k"}))
    >>> plain == identity(CIMultiDict({"API-Key": "k"})), plain == identity(CIMultiDict())
    (True, False)
    >>> plain == identity(CIMultiDict({"Authorization": "Bearer k", "OpenAI-Project": "p"}))
    False
    >>> identity(CIMultiDict()) == identity(CIMultiDict({"x-goog-api-key": "k"}))
    False
    >>> identity(CIMultiDict()) == identity(CIMultiDict(), "key=k")
    False
    """
    parts = ["\0".join(keys_in(headers)), *[headers.get(name, "").strip() for name in _WHO], query]
    others = [f"{name.lower()}\0{value}" for name, value in headers.items() if _may_be_secret(name)]
    parts += sorted(others)
    return sha256("\0\0".join(parts).encode("utf-8", "surrogateescape")).digest()


def digest(key: str) -> str:
    """The sha256 of a key in hexadecimal, as `gateway.tenants` and the keys in Redis have it.

    Examples
    --------
    >>> digest("sk-1")[:16]
    '0f2c10bf3d128c71'
    """
    return sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def instead(headers: CIMultiDict[str], name: str, key: str) -> None:
    """Put another key in the place of a request's own; none at all where it is empty."""
    for own in (*HEADERS, *_WHO):
        headers.popall(own, None)
    if key:
        headers[name] = f"Bearer {key}" if name.lower() == "authorization" else key


@lru_cache(1000)
def _may_be_secret(name: str) -> bool:
    low = name.lower()
    return low not in _NO_SECRET and _SECRET.search(low) is not None


def _key(value: str) -> str:
    words = value.split()
    if len(words) == 2 and words[0].lower() == "bearer":
        return words[1]
    # a scheme of another kind is part of what was shown
    return " ".join([words[0].lower(), *words[1:]] if len(words) > 1 else words)


def tenant_of(keys: tuple[str, ...], tenants: Mapping[str, str], default: str) -> str:
    """The tenant whose key a request shows; of two that contradict each other, neither's.

    Examples
    --------
    >>> tenants = {digest("k"): "acme"}
    >>> tenant_of(("k",), tenants, "default"), tenant_of(("k", "x"), tenants, "default")
    ('acme', 'default')
    """
    return tenants.get(digest(keys[0]), default) if tenants and len(keys) == 1 else default
