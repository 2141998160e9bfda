"""The forms in which others write a call, each read into the canonical `Call`.

A dialect is one file with one class; add it to `DIALECTS`.
"""

from __future__ import annotations

from jitr.schemas.calls import Call
from jitr.schemas.dialects.base import Dialect, Origin
from jitr.schemas.dialects.canonical import Canonical
from jitr.schemas.dialects.openai import OpenAIPair
from jitr.schemas.errors import RecordError
from jitr.schemas.events import Event, json_value
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
            return dialect.read(value, origin)
    if event.type:
        known = ", ".join(sorted(t for dialect in DIALECTS for t in dialect.types))
        raise RecordError(
            f"unknown event type {event.type!r}; known: {known}", field="$.type", stage="dialect"
        )
    for dialect in DIALECTS:
        if dialect.sniff(value):
            return dialect.read(value, origin)
    forms = " or ".join(dialect.form for dialect in DIALECTS)
    raise RecordError(f"no dialect reads this: expected {forms}", stage="dialect")
