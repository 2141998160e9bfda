"""JSON as others write it: what Python, for one, puts into it beyond the standard is read all the same."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from jitr.schemas.errors import RecordError


def loads(raw: bytes | str) -> Any:
    """Decode JSON; also with a byte order mark, ``NaN`` and ``Infinity``, and halves of surrogate pairs.

    Halves of pairs stay as they are: pieces of a text may be put together before `whole` mends it.

    Raises
    ------
    RecordError
        It is no JSON.

    Examples
    --------
    >>> loads(b'{"logprob": -Infinity}')
    {'logprob': -inf}
    >>> loads(b"<html>")
    Traceback (most recent call last):
        ...
    jitr.schemas.errors.RecordError: JSON is malformed: invalid character (byte 0)
    """
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        try:
            return json.loads(raw)
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
