"""What every record on the wire has in common."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

import msgspec

from jitr.schemas.errors import RecordError

R = TypeVar("R", bound="Record")


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A frozen, versioned wire record.

    A type is named ``dev.jitr.<noun>.v<N>``. Fields may be added with a default; a change that an older
    reader would misread raises the number, and the reader keeps both. Fields are given by keyword only
    (msgspec asks each class to say so again).
    """

    event_type: ClassVar[str] = ""


encode = msgspec.json.Encoder(order="deterministic").encode


def decode(data: bytes | str, kind: type[R], *, stage: str = "record") -> R:
    """Read one JSON record.

    Raises
    ------
    RecordError
        Naming the field that is wrong.

    Examples
    --------
    >>> from jitr.schemas.calls import Message
    >>> decode(b'{"role": "user", "content": "hi"}', Message).content
    'hi'
    >>> decode(b'{"role": 1}', Message)
    Traceback (most recent call last):
        ...
    jitr.schemas.errors.RecordError: $.role: Expected `str`, got `int`
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise record_error(error, stage) from error


def convert(value: Any, kind: type[R], *, stage: str = "record") -> R:
    """Read one record from decoded JSON; see `decode`."""
    try:
        return msgspec.convert(value, type=kind)
    except (msgspec.ValidationError, RecursionError) as error:
        raise record_error(error, stage) from error


def record_error(error: Exception, stage: str) -> RecordError:
    """Turn msgspec's message into ours, with the path of the field taken out."""
    reason, _, path = str(error).partition(" - at `")
    field = path.removesuffix("`")
    missing = "Object missing required field `"
    if reason.startswith(missing):
        name = reason.removeprefix(missing).removesuffix("`")
        return RecordError("is required but missing", field=f"{field or '$'}.{name}", stage=stage)
    return RecordError(reason or type(error).__name__, field=field, stage=stage)
