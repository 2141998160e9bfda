"""From a Kafka record to its events: whatever cannot be read becomes a dead letter, alone."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

import msgspec

from jitr.agents.runtime.handler import IncomingEvent
from jitr.agents.runtime.snapshot_store import Outgoing
from jitr.models.redaction.redaction import Redaction
from jitr.schemas.deadletters import DeadLetter
from jitr.schemas.errors import RecordError
from jitr.schemas.events import Event, Malformed, decode_events, known_headers, mode_of
from jitr.schemas.fetching import UNREADABLE
from jitr.schemas.settings import Settings
from jitr.schemas.signing import Signing

T = TypeVar("T")
# a signature is no secret, though it looks like one, and without it nothing can be sent again
_SIGNATURE = re.compile(rb'(?<="jitrsig":")[0-9a-f]{8}\.[0-9a-f]{64}(?=")')
_PLACE = re.compile(rb'(?<="jitrsig":")#([0-9]{1,6})(?=")')
# how CloudEvents carry bytes in JSON
_BASE64 = re.compile(rb'("data_base64"\s{0,8}:\s{0,8}")([A-Za-z0-9+/=]*+)(")')


@dataclass(frozen=True, slots=True)
class KafkaRecord:
    """One record as Kafka gave it, and how to acknowledge it; one without a value is a tombstone.

    ``redaction`` is what is done to it where it is kept as a dead letter.
    """

    topic: str
    partition: int
    offset: int
    timestamp: float
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    ack: Callable[[], object]
    redaction: Redaction = field(default_factory=lambda: Redaction(Settings()))


@dataclass(slots=True)
class Unpacked(Generic[T]):
    """A record with the events in it that can be read, and letters for those that cannot."""

    source: KafkaRecord
    events: list[IncomingEvent[T]] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)
    _raws: list[msgspec.Raw] | None = None

    def alone(self, index: int) -> bytes:
        """The bytes of one event, as a record that can be sent again as it is: of a batch, a batch of one."""
        value = self.source.value or b""
        if self._raws is None and mode_of(value, known_headers(self.source.headers)) == "batch":
            self._raws = msgspec.json.decode(value, type=list[msgspec.Raw])
        return value if self._raws is None else b"[" + self._raws[index] + b"]"


def unpack(source: KafkaRecord, read: Callable[[Event], T], signing: Signing | None = None) -> Unpacked[T]:
    """Decode a record event by event, and see who made each.

    Examples
    --------
    >>> content = b"application/cloudevents-batch+json"
    >>> source = KafkaRecord("t", 0, 7, 0.0, None, b'[{"id": "a"}, {"specversion": "1.0", "id": "b",'
    ...     b' "source": "/", "type": "x", "data": 1}]', (("content-type", content),), lambda: None)
    >>> unpacked = unpack(source, lambda event: event.data)
    >>> [d.id for d in unpacked.events], [letter.reason for letter in unpacked.letters]
    (['b'], ['$.specversion: is required but missing'])
    """
    unpacked: Unpacked[T] = Unpacked(source)
    if source.value is None:
        return unpacked
    broken = dict(source.headers).get(UNREADABLE)
    if broken is not None:
        error = RecordError(broken.decode("utf-8", "replace"), stage="kafka")
        unpacked.letters.append(letter(source, source.value, (), error))
        return unpacked
    place = f"{source.topic}/{source.partition}/{source.offset}"
    try:
        found = decode_events(source.value, source.headers, fallback_id=place, fallback_time=source.timestamp)
    except Exception as error:
        unpacked.letters.append(letter(source, source.value, source.headers, error, "envelope"))
        return unpacked
    last = len(found) - 1
    for index, event in enumerate(found):
        if isinstance(event, Malformed):
            raw = unpacked.alone(index)
            unpacked.letters.append(letter(source, raw, source.headers, event.error, "record"))
            continue
        try:
            if signing is not None and signing.on:
                event = replace(event, author=signing.admitted(source.topic, event))
            incoming = IncomingEvent(
                event.id,
                event.time,
                read(event),
                source.partition,
                source.offset,
                index,
                index == last,
                event.author,
            )
            unpacked.events.append(incoming)
        except Exception as error:
            unpacked.letters.append(letter(source, unpacked.alone(index), source.headers, error, "record"))
    return unpacked


def blame(unpacked: Unpacked[T], incoming: IncomingEvent[T], error: BaseException, stage: str) -> DeadLetter:
    """A letter for an event that could be read but not worked on."""
    source = unpacked.source
    return letter(source, unpacked.alone(incoming.index), source.headers, error, stage)


def letter(
    source: KafkaRecord,
    value: bytes,
    headers: Sequence[tuple[str, bytes]],
    error: BaseException,
    stage: str = "",
) -> DeadLetter:
    """A dead letter for a value that stood at a place, redacted: whatever could not be read is kept."""
    try:
        said = str(error) or type(error).__name__
        stack = "".join(traceback.format_exception(error, limit=-8)) if error.__traceback__ else repr(error)
    except Exception:
        said = stack = type(error).__name__
    redaction = source.redaction
    try:
        value = _redacted(value, redaction)
        key = None if source.key is None else redaction.data(source.key)
        kept = tuple([(name, redaction.data(held)) for name, held in headers])
        said = redaction.text(said[:2000])
    except Exception as failed:
        # nothing of it is written that was not looked through
        value, key, kept = b"", None, ()
        why = type(failed).__name__
        said = f"{type(error).__name__}; its bytes could not be redacted ({why}), and are left out"
    return DeadLetter(
        value=value,
        key=key,
        original_headers=kept,
        reason=said,
        stage=error.stage if isinstance(error, RecordError) else stage,
        stack=hashlib.sha256(stack.encode("utf-8", "replace")).hexdigest()[:16],
        topic=source.topic,
        partition=source.partition,
        offset=source.offset,
    )


def _redacted(value: bytes, redaction: Redaction) -> bytes:
    signatures: list[bytes] = []

    def lift(found: re.Match[bytes]) -> bytes:
        signatures.append(found[0])
        return b"#%d" % (len(signatures) - 1)

    def put(found: re.Match[bytes]) -> bytes:
        at = int(found[1])
        return signatures[at] if at < len(signatures) else found[0]

    def inner(found: re.Match[bytes]) -> bytes:
        try:
            held = base64.b64decode(found[2], validate=True)
        except binascii.Error:
            return found[0]
        return found[1] + base64.b64encode(redaction.data(held)) + found[3]

    return _PLACE.sub(put, redaction.data(_BASE64.sub(inner, _SIGNATURE.sub(lift, value))))


def outgoing(dead: DeadLetter, topic: str) -> Outgoing:
    """A dead letter as a record for Kafka."""
    return Outgoing(topic, dead.key, dead.value, dead.headers)
