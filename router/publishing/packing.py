"""A call as an event: one that every reader takes, or an error that says whose it is."""

from __future__ import annotations

import time
from typing import Annotated, Final

import msgspec

from jitr.router.publishing.wellformed import wellformed
from jitr.schemas.authors import Seal
from jitr.schemas.calls import Call
from jitr.schemas.errors import RecordError
from jitr.schemas.events import encode_event
from jitr.schemas.times import seconds


class _Readable(msgspec.Struct):
    id: Annotated[str, msgspec.Meta(min_length=1)]
    data: Call


_readable: Final = msgspec.json.Decoder(_Readable)


def encoded(call: Call, source: str, seal: Seal | None = None, *, known: bool = False) -> bytes:
    """One call as an event that every reader takes; what is wrong is mended where that is possible.

    ``known`` says that its fields hold what they are declared to, as those do that were read from JSON; else
    the event is read once, as its readers would.

    Raises
    ------
    Exception
        Of many kinds, where it cannot be.
    """
    try:
        time_s = seconds(call.time)
    except RecordError:
        time_s = time.time()  # better a call of now than none
    if time_s != call.time:
        call = msgspec.structs.replace(call, time=time_s)
    try:
        event = encode_event(call.id, call.time, call, source=source, seal=seal)
    except UnicodeEncodeError:
        call = wellformed(call)
        event = encode_event(call.id, call.time, call, source=source, seal=seal)
    if not known:
        # what its readers would refuse is refused here, where it is known whose it is
        _readable.decode(event)
    return event


def is_call(call: Call) -> bool:
    """Whether its fields hold what they are declared to: a program may put anything into them.

    Examples
    --------
    >>> [is_call(Call(id=id, model="m", time=0.0, messages=())) for id in ("c1", 1)]
    [True, False]
    """
    try:
        msgspec.convert(msgspec.to_builtins(call), Call)
    except Exception:
        return False
    return True


def weight(call: Call) -> int:
    """About how many bytes a call has, whatever it holds."""
    size = 500 + len(call.tools or "") + len(call.response_format or "") + len(call.error or "")
    size += len(call.model) + len(call.task or "")
    for message in call.messages:
        size += 20 + len(message.content) + len(message.tool_calls or "")
    for key, value in call.metadata.items():
        size += 6 + len(key) + len(value)
    if call.response is not None:
        size += len(call.response.text) + len(call.response.tool_calls or "")
    if call.decision is not None:
        size += len(call.decision.answer or "")
    return size
