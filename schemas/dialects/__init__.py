"""The forms in which others write a call, each read into the canonical `Call`.

A dialect is one file with one class; add it to `DIALECTS`.
"""

from __future__ import annotations

from typing import Any

from jitr.schemas.calls import Call, checked
from jitr.schemas.dialects.base import Dialect, Origin
from jitr.schemas.dialects.canonical import Canonical
from jitr.schemas.dialects.openai import OpenAIPair
from jitr.schemas.encodings import json_value
from jitr.schemas.errors import RecordError
from jitr.schemas.events import Event
from jitr.schemas.times import seconds

DIALECTS: tuple[Dialect, ...] = (Canonical(), OpenAIPair())

__all__ = ["DIALECTS", "Dialect", "Origin", "read_call"]


def read_call(event: Event, *, tenant: str = "default") -> Call:
    """Read a call from an event of any dialect.

    The event's type chooses the dialect; where it names none, the form of the data does. In all of them the
    data's own ``time`` is read by `seconds`.

    Raises
    ------
    RecordError
        If no dialect reads it, or the one that should finds a field wrong.

    Examples
    --------
    >>> event = Event(id="e", type="", source="", time=1.0, data=b'''{
    ...     "request": {"model": "m", "messages": [{"role": "user", "content": "hi"}]},
    ...     "response": {"model": "m-1", "choices": [{"message": {"content": "yo"}}]}}''')
    >>> call = read_call(event)
    >>> call.messages[0].content, call.response.text
    ('hi', 'yo')
    """
    value = json_value(event.data)
    if isinstance(value, dict) and value.get("time") is not None:
        value["time"] = seconds(value["time"])
    origin = Origin(id=event.id, time=event.time, tenant=tenant)
    for dialect in DIALECTS:
        if event.type in dialect.types:
            return _read(dialect, value, origin)
    if event.type:
        known = ", ".join(sorted(t for dialect in DIALECTS for t in dialect.types))
        raise RecordError(
            f"unknown event type {event.type!r}; known: {known}", field="$.type", stage="dialect"
        )
    for dialect in DIALECTS:
        if dialect.sniff(value):
            return _read(dialect, value, origin)
    forms = " or ".join(dialect.form for dialect in DIALECTS)
    raise RecordError(f"no dialect reads this: expected {forms}, got {_form(value)}", stage="dialect")


def _read(dialect: Dialect, value: Any, origin: Origin) -> Call:
    call = dialect.read(value, origin)
    # the canonical form was checked as it was read
    return call if isinstance(dialect, Canonical) else checked(call)


def _form(value: Any) -> str:
    """What decoded JSON is, in a few words."""
    if isinstance(value, dict):
        keys = ", ".join(ascii(key)[1:-1][:30] for key in list(value)[:6])
        return f"an object with {keys}" if keys else "an empty object"
    if isinstance(value, list):
        return "an array; give one call a record"
    return "null" if value is None else f"a JSON {type(value).__name__}"
