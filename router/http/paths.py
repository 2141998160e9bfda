"""Paths below ``/v1``: none that a server could read as leading out of it."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote_to_bytes

PREFIX: Final = "/v1/"
_PLAIN: Final = re.compile(r"[A-Za-z0-9_\-~/:@!$&'()*+,=]*").fullmatch
_DOTS: Final = (b".", b"..")


def below_v1(raw_path: str) -> str | None:
    """What stands behind ``/v1/``, as the caller wrote it; None where it may lead elsewhere.

    A server may decode once more than it should, read a backslash as a slash, or cut a segment at its
    semicolon; a path that leads out of ``/v1`` under any of these is refused, as are control characters
    and what is not ASCII. A slash within a name (``models/org%2Fname``) passes.

    Parameters
    ----------
    raw_path : str
        Undecoded, from ``/v1/`` on.

    Examples
    --------
    >>> below_v1("/v1/models/org%2Fname")
    'models/org%2Fname'
    >>> below_v1("/v1/%2e%2E/admin"), below_v1("/v1/a%252f..%5cb"), below_v1("/v1/..;/admin")
    (None, None, None)
    """
    path = raw_path[len(PREFIX) :]
    if _PLAIN(path):
        return path
    if not path.isascii():
        return None
    decoded = path.encode()
    for _ in range(4):
        if any(byte < 0x20 or byte in b"\x7f\\" for byte in decoded):
            return None
        if any(part.partition(b";")[0].strip() in _DOTS for part in decoded.split(b"/")):
            return None
        once_more = unquote_to_bytes(decoded)
        if once_more == decoded:
            return path
        decoded = once_more
    return None
