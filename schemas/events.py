"""CloudEvents 1.0 on Kafka: we emit batches, and read binary, structured and batch mode.

See the CloudEvents specification's Kafka protocol binding and JSON event format.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from jitr.schemas.authors import UNCHECKED, Author, Seal
from jitr.schemas.encodings import no_json
from jitr.schemas.errors import RecordError
from jitr.schemas.record import Record, encode
from jitr.schemas.times import rfc3339, seconds

# one record of a megabyte could hold half a million things that are no events, each a letter of its own
MOST_EVENTS = 10_000
BATCH = "application/cloudevents-batch+json"
STRUCTURED = "application/cloudevents+json"
Headers = Sequence[tuple[str, bytes | None]] | Mapping[str, bytes | None]
Mode = Literal["binary", "single", "batch"]
# what JSON allows around a value
_BLANK = b" \t\r\n"


@dataclass(frozen=True, slots=True)
class Event:
    """One event as read: its attributes and its data, still encoded.

    ``author`` is who made it, where whoever read it has looked.
    """

    id: str
    type: str
    source: str
    time: float
    data: bytes
    subject: str | None = None
    signature: str = ""
    author: Author = UNCHECKED


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
    data_base64: str | None = None
    jitrsig: str | None = None


class _Sniff(msgspec.Struct):
    specversion: str | None = None


_encode = msgspec.json.Encoder().encode
_envelope = msgspec.json.Decoder(_Envelope)
_sniff = msgspec.json.Decoder(_Sniff)
_raws = msgspec.json.Decoder(Annotated[list[msgspec.Raw], Meta(max_length=MOST_EVENTS)])


def encode_batch(
    records: Iterable[tuple[str, float, Record]], *, source: str, seal: Seal | None = None
) -> tuple[bytes, list[tuple[str, bytes]]]:
    """Pack records into the value and headers of one Kafka record.

    Parameters
    ----------
    records : iterable of (id, time, record)
        The id is the idempotency key; the time is event time in seconds since the epoch, 0 for none.
    source : str
        URI reference of the sender, for example ``/jitr/gateway``.
    seal : Seal, optional
        Signs each event; see `schemas.signing`.

    Examples
    --------
    >>> from jitr.schemas.calls import Message
    >>> value, headers = encode_batch([("e1", 0.0, Message(role="user", content="hi"))], source="/doc")
    >>> [event.id for event in decode_events(value, headers, fallback_id="t/0/0", fallback_time=0.0)]
    ['e1']
    """
    events = [encode_event(id, time, record, source=source, seal=seal) for id, time, record in records]
    return b"[" + b",".join(events) + b"]", [("content-type", BATCH.encode())]


def encode_event(id: str, time: float, record: Record, *, source: str, seal: Seal | None = None) -> bytes:
    """One event of a batch; see `encode_batch`. A batch is a JSON array of them."""
    data = encode(record)
    return _encode(
        _Envelope(
            specversion="1.0",
            id=id,
            source=source,
            type=record.event_type,
            time=rfc3339(time) if round(time, 6) else None,
            datacontenttype="application/json",
            data=msgspec.Raw(data),
            jitrsig=seal(record.event_type, source, id, data) if seal is not None else None,
        )
    )


def decode_events(
    value: bytes | None, headers: Headers, *, fallback_id: str, fallback_time: float
) -> list[Event | Malformed]:
    """Read the events of one Kafka record, in whichever mode it is.

    A value that is no CloudEvent at all is taken as bare data of unknown type (``type == ""``), with the
    given fallback id and time, so that a plain producer of JSON can be heard too; an array is taken as a
    batch of either, of at most `MOST_EVENTS`. Where no content type says that they are, CloudEvents are known
    by their ``specversion``. A tombstone (no value) holds no event. Headers are known in any case, and those
    without a value are left out.

    Raises
    ------
    RecordError
        If the value as a whole cannot be read; one bad event in a batch is a `Malformed` in its place.

    Examples
    --------
    >>> where = {"fallback_id": "t/0/7", "fallback_time": 9.0}
    >>> [event.id for event in decode_events(b'[{"n": 1}, {"n": 2}]', [], **where)]
    ['t/0/7/0', 't/0/7/1']
    >>> decode_events(None, [], **where)
    []
    """
    if value is None:
        return []
    heads = known_headers(headers)
    mode = mode_of(value, heads)
    if mode == "binary":
        return [_binary(value, heads, fallback_time)]
    enveloped = _content_type(heads) in (BATCH, STRUCTURED)
    if mode == "batch":
        try:
            raws = _raws.decode(value)
        except (ValueError, RecursionError) as error:
            raise no_json(value, error, "envelope") from error
        return [
            _one(bytes(raw), enveloped, f"{fallback_id}/{n}", fallback_time) for n, raw in enumerate(raws)
        ]
    event = _one(value, enveloped, fallback_id, fallback_time)
    if isinstance(event, Malformed):
        raise event.error
    return [event]


def known_headers(headers: Headers) -> dict[str, bytes]:
    """Headers by their name in lower case, without those that have no value."""
    items = headers.items() if isinstance(headers, Mapping) else headers
    return {name.lower(): value for name, value in items if value}


def mode_of(value: bytes, heads: Mapping[str, bytes]) -> Mode:
    """How the events of a value are written: by its content type, else by its headers, else by its form.

    ``batch`` is an array of events, each with an envelope or bare; ``single`` is one of them.

    Examples
    --------
    >>> mode_of(b"{}", {"content-type": b"application/cloudevents-batch+json"}), mode_of(b" [", {})
    ('batch', 'batch')
    >>> mode_of(b"[1]", {"ce_id": b"e", "ce_specversion": b"1.0"})
    'binary'
    """
    content = _content_type(heads)
    if content == BATCH:
        return "batch"
    if content == STRUCTURED:
        return "single"
    if "ce_specversion" in heads or "ce_type" in heads:
        return "binary"
    return "batch" if value.lstrip(_BLANK)[:1] == b"[" else "single"


def _content_type(heads: Mapping[str, bytes]) -> str:
    return heads.get("content-type", b"").decode("utf-8", "replace").partition(";")[0].strip().lower()


def _one(raw: bytes, enveloped: bool, id: str, time: float) -> Event | Malformed:
    """One event with an envelope, or bare data under these fallbacks."""
    if not (enveloped or _has_envelope(raw)):
        if not raw.strip(_BLANK):
            return Malformed(raw, no_json(raw, ValueError(), "envelope"))
        return Event(id=id, type="", source="", time=time, data=raw)
    try:
        envelope = _envelope.decode(raw)
        _check(envelope.specversion, envelope.id)
        if envelope.time is not None:
            time = seconds(envelope.time, stage="envelope")
        data = bytes(envelope.data) if envelope.data_base64 is None else _unpacked(envelope.data_base64)
    except (ValueError, RecursionError) as error:
        return Malformed(raw, no_json(raw, error, "envelope"))
    except RecordError as error:
        return Malformed(raw, error)
    return Event(
        id=envelope.id,
        type=envelope.type,
        source=envelope.source,
        time=time,
        data=data,
        subject=envelope.subject,
        signature=envelope.jitrsig or "",
    )


def _has_envelope(raw: bytes) -> bool:
    if b'"specversion"' not in raw:
        return False
    try:
        return _sniff.decode(raw).specversion is not None
    except (ValueError, RecursionError):
        return False


def _unpacked(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        reason = f"expected base64: {error}"
        raise RecordError(reason, field="$.data_base64", stage="envelope") from error


def _binary(value: bytes, heads: Mapping[str, bytes], fallback_time: float) -> Event:
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
        signature=text("ce_jitrsig") if "ce_jitrsig" in heads else "",
    )


def _check(specversion: str, id: str) -> None:
    if not specversion.startswith("1."):
        raise RecordError(f"expected 1.x, got {specversion!r}", field="$.specversion", stage="envelope")
    if not id:
        raise RecordError("must not be empty: it is the idempotency key", field="$.id", stage="envelope")
