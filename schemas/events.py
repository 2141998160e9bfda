"""CloudEvents 1.0 on Kafka: we emit batches, and read binary, structured and batch mode.

See the CloudEvents specification's Kafka protocol binding and JSON event format.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from jitr.schemas.errors import RecordError
from jitr.schemas.record import Record, encode, record_error
from jitr.schemas.times import rfc3339, seconds

BATCH = "application/cloudevents-batch+json"
STRUCTURED = "application/cloudevents+json"
Headers = Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Event:
    """One event as read: its attributes and its data, still encoded."""

    id: str
    type: str
    source: str
    time: float
    data: bytes
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class Malformed:
    """One event of a batch that cannot be read; the others of the batch are unharmed."""

    raw: bytes
    error: RecordError


class _Envelope(msgspec.Struct, omit_defaults=True):
    specversion: str
    id: str
    source: str
    type: str
    time: str | None = None
    subject: str | None = None
    datacontenttype: str | None = None
    data: msgspec.Raw = msgspec.Raw()


_encode = msgspec.json.Encoder().encode
_envelope = msgspec.json.Decoder(_Envelope)
_raws = msgspec.json.Decoder(list[msgspec.Raw])


def encode_batch(
    records: Iterable[tuple[str, float, Record]], *, source: str
) -> tuple[bytes, list[tuple[str, bytes]]]:
    """Pack records into the value and headers of one Kafka record.

    Parameters
    ----------
    records : iterable of (id, time, record)
        The id is the idempotency key; the time is event time in seconds since the epoch, 0 for none.
    source : str
        URI reference of the sender, for example ``/jitr/gateway``.

    Examples
    --------
    >>> from jitr.schemas.calls import Message
    >>> value, headers = encode_batch([("e1", 0.0, Message(role="user", content="hi"))], source="/doc")
    >>> [event.id for event in decode_events(value, headers, fallback_id="t/0/0", fallback_time=0.0)]
    ['e1']
    """
    events = [encode_event(id, time, record, source=source) for id, time, record in records]
    return b"[" + b",".join(events) + b"]", [("content-type", BATCH.encode())]


def encode_event(id: str, time: float, record: Record, *, source: str) -> bytes:
    """One event of a batch; see `encode_batch`. A batch is a JSON array of them."""
    return _encode(
        _Envelope(
            specversion="1.0",
            id=id,
            source=source,
            type=record.event_type,
            time=rfc3339(time) if round(time, 6) else None,
            datacontenttype="application/json",
            data=msgspec.Raw(encode(record)),
        )
    )


def decode_events(
    value: bytes, headers: Headers | Mapping[str, bytes], *, fallback_id: str, fallback_time: float
) -> list[Event | Malformed]:
    """Read the events of one Kafka record, in whichever mode it is.

    A value that is no CloudEvent at all is taken as bare data of unknown type (``type == ""``), with the
    given fallback id and time, so that a plain producer of JSON can be heard too.

    Raises
    ------
    RecordError
        If the value as a whole cannot be read; one bad event in a batch is a `Malformed` in its place.
    """
    heads = dict(headers)
    content = heads.get("content-type", b"").decode("utf-8", "replace").partition(";")[0].strip().lower()
    if "ce_specversion" in heads or "ce_type" in heads:
        return [_binary(value, heads, fallback_time)]
    if content == BATCH:
        try:
            raws = _raws.decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise record_error(error, "envelope") from error
        return [_one(bytes(raw), fallback_time) for raw in raws]
    if content == STRUCTURED:
        event = _one(value, fallback_time)
        if isinstance(event, Malformed):
            raise event.error
        return [event]
    return [Event(id=fallback_id, type="", source="", time=fallback_time, data=value)]


def _one(raw: bytes, fallback_time: float) -> Event | Malformed:
    try:
        envelope = _envelope.decode(raw)
        _check(envelope.specversion, envelope.id)
        time = fallback_time if envelope.time is None else seconds(envelope.time, stage="envelope")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Malformed(raw, record_error(error, "envelope"))
    except RecordError as error:
        return Malformed(raw, error)
    return Event(
        id=envelope.id,
        type=envelope.type,
        source=envelope.source,
        time=time,
        data=bytes(envelope.data),
        subject=envelope.subject,
    )


def _binary(value: bytes, heads: dict[str, bytes], fallback_time: float) -> Event:
    def text(name: str) -> str:
        if name not in heads:
            raise RecordError("is required but missing", field=f"header {name}", stage="envelope")
        try:
            return heads[name].decode()
        except UnicodeDecodeError as error:
            raise RecordError("expected UTF-8", field=f"header {name}", stage="envelope") from error

    _check(text("ce_specversion"), text("ce_id"))
    time = fallback_time
    if "ce_time" in heads:
        time = seconds(text("ce_time"), field="header ce_time", stage="envelope")
    return Event(
        id=text("ce_id"),
        type=text("ce_type"),
        source=text("ce_source"),
        time=time,
        data=value,
        subject=text("ce_subject") if "ce_subject" in heads else None,
    )


def _check(specversion: str, id: str) -> None:
    if not specversion.startswith("1."):
        raise RecordError(f"expected 1.x, got {specversion!r}", field="$.specversion", stage="envelope")
    if not id:
        raise RecordError("must not be empty: it is the idempotency key", field="$.id", stage="envelope")


def json_value(data: bytes, *, stage: str = "dialect") -> Any:
    """Decode data as JSON of any form; a `RecordError` if it is none."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise record_error(error, stage) from error
