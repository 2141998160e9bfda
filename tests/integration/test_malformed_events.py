"""Agents that are fed with rubbish dead-letter it, with a reason, and go on."""

from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import msgspec
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from stage.calls import calls_of
from stage.servers.kafka import Kafka, settings_for
from stage.workers import working

from jitr.sandbox.traffic.workload import Workload
from jitr.schemas.calls import Call
from jitr.schemas.deadletters import DeadLetter
from jitr.schemas.dialects import read_call
from jitr.schemas.errors import RecordError
from jitr.schemas.events import BATCH, Malformed, decode_events, encode_batch

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def envelopes(draw: st.DrawFn) -> dict[str, Any]:
    """An envelope that may lack anything or hold anything."""
    data = draw(
        json_values
        | st.fixed_dictionaries(
            {}, optional={"model": json_values, "messages": json_values, "response": json_values}
        )
    )
    whole = {"specversion": "1.0", "id": "x", "source": "/t", "type": Call.event_type, "data": data}
    for field in draw(st.sets(st.sampled_from(sorted(whole)), max_size=2)):
        if draw(st.booleans()):
            del whole[field]
        else:
            whole[field] = draw(json_values)
    return whole


def is_malformed(raw: bytes) -> bool:
    """Whether reading says no, by our own codecs: the rest is not rubbish."""
    try:
        (event,) = decode_events(
            b"[" + raw + b"]", [("content-type", BATCH.encode())], fallback_id="f", fallback_time=0.0
        )
        return isinstance(event, Malformed) or not read_call(event).messages
    except RecordError:
        return True


def rubbish(n: int) -> tuple[list[bytes], list[bytes]]:
    """So many malformed events that stand in a batch, and values that are no batch at all."""
    events: list[bytes] = []
    values: list[bytes] = []

    @hypothesis_settings(
        max_examples=n // 10,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(envelopes(), min_size=20, max_size=20), st.lists(st.binary(max_size=40), min_size=20))
    def make(some: list[dict[str, Any]], blobs: list[bytes]) -> None:
        if len(events) < n:
            events.extend(raw for raw in map(msgspec.json.encode, some) if is_malformed(raw))
        if len(values) < n:
            values.extend(blob for blob in blobs if is_no_batch(blob))

    make()
    return events[:n], values[:n]


def is_no_batch(value: bytes) -> bool:
    try:
        decode_events(value, [("content-type", BATCH.encode())], fallback_id="f", fallback_time=0.0)
    except RecordError:
        return True
    return False


async def test_two_thousand_malformed_events_are_all_dead_lettered_with_a_reason(
    dev_broker: str, tmp_path: Path
) -> None:
    events, values = rubbish(1500)
    values = values[: 2000 - len(events)]
    assert len(events) + len(values) >= 2000
    settings, _ = settings_for(dev_broker, tmp_path)
    good = calls_of(Workload(seed=1, noise=1.0), len(events) // 10 + 1, tag="good")
    headers = [("content-type", BATCH.encode())]
    async with Kafka(settings) as kafka, working(settings, "detect"):
        topic = settings.topics.calls.name
        for at in range(0, len(events), 10):
            call = good[at // 10]
            fine, _ = encode_batch([(call.id, call.time, call)], source="/test")
            packed = b"[" + b",".join([*events[at : at + 10], fine[1:-1]]) + b"]"
            await kafka.producer.send(topic, packed, headers=headers)
        for value in values:
            await kafka.producer.send(topic, value, headers=headers)
        await kafka.publish(topic, good[-1:])
        await kafka.done("detect")
        letters = [
            DeadLetter.read(r.value, r.key, r.headers)
            for r in await kafka.read(settings.topics.dead_letters.name)
        ]
        passed = {event.id for event in await kafka.events(settings.topics.unmatched.name)}
    assert len(letters) == len(events) + len(values)
    assert all(letter.reason and letter.stage and letter.topic == topic for letter in letters)
    assert sorted(x.value for x in letters) == sorted([*(b"[" + e + b"]" for e in events), *values])
    assert passed == {call.id for call in good}
