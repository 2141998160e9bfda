"""Event times: what others write as a time is read as seconds since the epoch, or refused with a reason.

Producers write seconds, milliseconds (JavaScript, Java), microseconds or nanoseconds, or RFC 3339. The size
of a number tells its unit: in the next smaller unit the same number would lie before March 1973.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated

from msgspec import Meta

from jitr.schemas.errors import RecordError

# the year 10000 in seconds since the epoch: RFC 3339 and Python's datetime cannot write it
END = 253_402_300_800.0
Time = Annotated[float, Meta(ge=0, lt=END)]

# a number below each of these is taken in that many units a second
_UNITS = ((1e11, 1), (1e14, 10**3), (1e17, 10**6), (1e20, 10**9))
_NUMBER = re.compile(r"[+-]?\d{1,40}(\.\d{0,40})?", re.ASCII)
_LEAP = re.compile(r"(?<=:\d\d):60(?=[.,Z+-]|$)", re.ASCII)
_WANTED = "expected seconds since the epoch or an RFC 3339 time such as 2026-01-31T12:00:00Z"
# what RFC 3339 with microseconds can tell from 0
_LEAST = 1e-6
_NONE = "0 stands for no time; leave it out or give Unix seconds"


def rfc3339(time: float) -> str:
    """Write seconds since the epoch, 0 to `END`, as an RFC 3339 time.

    Examples
    --------
    >>> rfc3339(0.25)
    '1970-01-01T00:00:00.250000Z'
    """
    whole = int(time)
    micros = round((time - whole) * 1e6)
    if micros == 1_000_000:
        whole, micros = whole + 1, 0
    return f"{_whole_second(whole)}.{micros:06d}Z"


@lru_cache(maxsize=64)
def _whole_second(time: int) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def seconds(time: object, *, field: str = "$.time", stage: str = "dialect") -> float:
    """Read a time as seconds since the epoch.

    Parameters
    ----------
    time : float, int or str
        A number in seconds, milliseconds, microseconds or nanoseconds, or its digits as text, or an RFC 3339
        time; one without an offset is taken as UTC, and a leap second as the second after it.
    field, stage : str
        Where it stood, for the error.

    Raises
    ------
    RecordError
        If it is no time, or lies outside of the years 1970 to 9999; 0 stands for a time that is not known.

    Examples
    --------
    >>> seconds(1795935600), seconds(1795935600250), seconds("2026-11-29T07:00:00.25Z")
    (1795935600.0, 1795935600.25, 1795935600.25)
    >>> seconds(0)
    Traceback (most recent call last):
        ...
    jitr.schemas.errors.RecordError: $.time: 0 stands for no time; leave it out or give Unix seconds
    """
    if isinstance(time, float) and _LEAST <= time < _UNITS[0][0]:
        return time
    number: object = time
    if isinstance(time, str):
        written = _written(time)
        if written is not None:
            return _in_range(written, time, field, stage)
        if _NUMBER.fullmatch(time):
            number = float(time) if "." in time else int(time)
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number < _UNITS[-1][0]:
        raise RecordError(f"{_WANTED}, got {_short(time)}", field=field, stage=stage)
    per_second = next(unit for below, unit in _UNITS if number < below)
    return _in_range(number / per_second, time, field, stage)


def _written(text: str) -> float | None:
    """An RFC 3339 time, or what ISO 8601 allows beside it; None where the text is neither."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        plain = text.strip().upper()
        whole = _LEAP.sub(":59", plain)
        return None if whole == text else _and(_written(whole), whole != plain)
    try:
        return (parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)).timestamp()
    except OverflowError:
        return -1.0


def _and(time: float | None, more: float) -> float | None:
    return None if time is None else time + more


def _in_range(time: float, given: object, field: str, stage: str) -> float:
    if 0 <= time < _LEAST:
        raise RecordError(_NONE, field=field, stage=stage)
    if not _LEAST <= time < END:
        reason = f"expected a time in the years 1970 to 9999, got {_short(given)}"
        raise RecordError(reason, field=field, stage=stage)
    return time


def _short(value: object) -> str:
    """What was given, within bounds: also a number of a million digits, or a text that is no Unicode."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**40:
        return f"a number of {value.bit_length()} bits"
    if not isinstance(value, str | int | float):
        return {type(None): "null", dict: "an object", list: "an array"}.get(type(value), "no number")
    return ascii(value)[:60]
