"""Outputs on their way to Kafka: packed by topic and key, sent, and waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from mode.utils.logging import get_logger

from jitr.agents.runtime.handler import Output
from jitr.agents.runtime.snapshot_store import Outgoing
from jitr.schemas.authors import Seal
from jitr.schemas.deadletters import DeadLetter
from jitr.schemas.errors import UnavailableError
from jitr.schemas.events import encode_batch
from jitr.schemas.signing import Signing

log = get_logger(__name__)

PACK = 200
PACK_BYTES = 400_000
# a letter for what is too large keeps so much of it; the last always fits
_CUTS = (PACK_BYTES, 10_000, 0)
_MOST_KEY_BYTES = 2_000

# topic, key, value, headers -> a future of Kafka's acknowledgement
Send = Callable[[str, bytes | None, bytes, list[tuple[str, bytes]]], Awaitable[Awaitable[object]]]


def pack(outputs: Iterable[Output], *, source: str, signing: Signing | None = None) -> list[Outgoing]:
    """Put outputs of one topic and key together, in order, within Kafka's limits; signed by the worker.

    Examples
    --------
    >>> from jitr.schemas.calls import Message
    >>> hi = Message(role="user", content="hi")
    >>> out = [Output("t", key, str(i), 0.0, hi) for i, key in enumerate("aba")]
    >>> [(o.key, o.value.count(b"specversion")) for o in pack(out, source="/doc")]
    [(b'a', 2), (b'b', 1)]
    """
    groups: dict[tuple[str, str, str], list[Output]] = {}
    for output in outputs:
        groups.setdefault((output.topic, output.key, output.id if output.alone else ""), []).append(output)
    packed: list[Outgoing] = []
    for (topic, key, _), members in groups.items():
        for start in range(0, len(members), PACK):
            seal = signing.seal("worker", topic) if signing is not None else None
            packed += _fit(topic, key, members[start : start + PACK], source, seal)
    return packed


def _fit(topic: str, key: str, members: Sequence[Output], source: str, seal: Seal | None) -> list[Outgoing]:
    records = ((m.id, m.time, m.record) for m in members)
    value, headers = encode_batch(records, source=source, seal=seal)
    if len(value) > PACK_BYTES and len(members) > 1:
        half = len(members) // 2
        return _fit(topic, key, members[:half], source, seal) + _fit(topic, key, members[half:], source, seal)
    return [Outgoing(topic, key.encode(), value, headers)]


async def send_all(outgoing: Sequence[Outgoing], send: Send, dead_letters: str) -> int:
    """Send records in order and wait until Kafka has acknowledged every one.

    A record that is too large for the broker becomes a dead letter, of as much of it as the broker takes:
    nothing waits for it. How many did is returned.

    Raises
    ------
    UnavailableError
        If one was not acknowledged; all of them may safely be sent again.
    """
    if not outgoing:
        return 0
    try:
        too_large = await _send(outgoing, send)
        count = len(too_large)
        for most in _CUTS:
            if not too_large:
                break
            letters = [_letter(o, dead_letters, most) for o in too_large]
            failed = {id(letter) for letter in await _send(letters, send)}
            too_large = [o for o, letter in zip(too_large, letters, strict=True) if id(letter) in failed]
        for o in too_large:
            log.error("a record for %s of %d bytes is lost: not even its letter fits", o.topic, len(o.value))
    except KafkaError as error:
        raise UnavailableError(f"Kafka did not acknowledge {len(outgoing)} records: {error!r}") from error
    return count


async def _send(outgoing: Sequence[Outgoing], send: Send) -> list[Outgoing]:
    """Send records; those that the broker finds too large come back."""
    futures: list[tuple[Outgoing, Awaitable[object]]] = []
    too_large: list[Outgoing] = []
    for o in outgoing:
        try:
            futures.append((o, await send(o.topic, o.key, o.value, o.headers)))
        except MessageSizeTooLargeError:
            too_large.append(o)
    answers = await asyncio.gather(*(future for _, future in futures), return_exceptions=True)
    for (o, _), answer in zip(futures, answers, strict=True):
        if isinstance(answer, MessageSizeTooLargeError):
            too_large.append(o)
        elif isinstance(answer, BaseException):
            raise answer
    return too_large


def _letter(o: Outgoing, topic: str, most: int) -> Outgoing:
    """A dead letter for a record that is too large; where it is one already, with less of it."""
    told = DeadLetter.read(o.value[:most], o.key if len(o.key or b"") <= _MOST_KEY_BYTES else None, o.headers)
    if o.topic == topic:
        # the headers that came with it may be what is too large
        kept = DeadLetter(
            told.value,
            told.key,
            (),
            told.reason,
            told.stage,
            told.stack,
            told.topic,
            told.partition,
            told.offset,
        )
    else:
        reason = f"a record of {len(o.value)} bytes is larger than {o.topic} takes (max.message.bytes)"
        kept = DeadLetter(told.value, told.key, (), reason, "send", "", o.topic, -1, -1)
    return Outgoing(
        topic, kept.key, kept.value, [*kept.headers, ("jitr-cut-from-bytes", b"%d" % len(o.value))]
    )
