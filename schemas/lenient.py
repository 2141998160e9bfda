"""JSON as others write it: what Python, for one, puts into it beyond the standard is read all the same."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec

from jitr.schemas.errors import RecordError

_MARK = b"\xef\xbb\xbf"


def loads(raw: bytes | str, *, halves: bool = False) -> Any:
    """Decode JSON; also with a byte order mark, numbers that are none, and halves of surrogate pairs.

    Parameters
    ----------
    raw : bytes or str
        ``NaN``, ``Infinity`` and what no float holds become None.
    halves : bool
        Leave halves of pairs as they are, for pieces of a text that `whole` mends once they are together.

    Raises
    ------
    RecordError
        It is no JSON.

    Examples
    --------
    >>> loads(b'{"logprob": -Infinity, "token": "ok \\\\ud83d"}')
    {'logprob': None, 'token': 'ok �'}
    >>> loads(b"<html>")
    Traceback (most recent call last):
        ...
    jitr.schemas.errors.RecordError: JSON is malformed: invalid character (byte 0)
    """
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        try:
            if isinstance(raw, bytes):
                raw = raw.removeprefix(_MARK).decode("utf-8", "surrogatepass")
            value = json.loads(raw, parse_constant=lambda _: None, parse_float=_finite)
            return value if halves else whole(value)
        except (ValueError, RecursionError):
            raise RecordError(str(error) or type(error).__name__, stage="json") from error


def whole(value: Any) -> Any:
    """The same value with each pair of surrogates put together, and U+FFFD for a half that stands alone.

    Examples
    --------
    >>> whole(["\\ud83d\\ude00", "ok \\ud83d"])
    ['😀', 'ok �']
    """
    if isinstance(value, str):
        if value.isascii():
            return value
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, dict):
        return {whole(k): whole(v) for k, v in value.items()}
    return [whole(v) for v in value] if isinstance(value, list | tuple) else value


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None
