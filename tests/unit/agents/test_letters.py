"""Dead letters hold no secret: bytes that nobody could read, what is said of them, and their headers."""

import base64
from typing import Any

import msgspec
import pytest

from jitr.agents.runtime.decode import KafkaRecord, blame, unpack
from jitr.models.redaction.redaction import Redaction
from jitr.schemas.errors import RecordError
from jitr.schemas.settings import Settings

CONTENT = (("content-type", b"application/cloudevents-batch+json"), ("x-user", b"ann@example.org"))
KEY = "sk-abcdefghijklmnop1234"


def source(value: bytes, **more: Any) -> KafkaRecord:
    return KafkaRecord("llm.calls", 0, 7, 1.0, b"ann@example.org", value, CONTENT, lambda: None, **more)


def refused(event: Any) -> None:
    raise RecordError(f"expected `str`, got {KEY}", field="$.x")


@pytest.mark.parametrize(
    "value",
    [
        b"ann@example.org " + KEY.encode() + b" \xff",
        b'[{"id": "a", "data": {"mail": "ann@example.org", "key": "' + KEY.encode() + b'"}}]',
        msgspec.json.encode(
            [{"specversion": "1.0", "id": "b", "source": "/", "type": "x", "data": f"ann@example.org {KEY}"}]
        ),
        msgspec.json.encode(
            [{"specversion": "1.0", "id": "b", "source": "/", "type": "x",
              "data_base64": base64.b64encode(f"ann@example.org {KEY}".encode()).decode()}]
        ),
    ],
)  # fmt: skip
def test_a_letter_is_redacted_whatever_its_bytes_are(value: bytes) -> None:
    [letter] = unpack(source(value), refused).letters
    held = letter.value
    if b"data_base64" in held:
        held += base64.b64decode(msgspec.json.decode(held)[0]["data_base64"])
    everything = repr((held, letter.key, letter.headers))
    assert KEY not in everything and "example.org" not in everything
    assert b"[email]" in held and b"[key]" in held


def test_a_letter_that_can_be_sent_again_still_can() -> None:
    event = {
        "specversion": "1.0",
        "id": "b",
        "source": "/",
        "type": "x",
        "data": {"phone": 4930901820, "a": KEY},
    }
    value = msgspec.json.encode([event])
    unpacked = unpack(source(value), lambda event: event.data)
    letter = blame(unpacked, unpacked.events[0], ValueError(f"no {KEY}"), "detect")
    assert letter.reason == "no [key]"
    assert msgspec.json.decode(letter.value)[0]["data"] == {"phone": "[phone]", "a": "[key]"}
    assert not unpack(source(letter.value), lambda event: event.data).letters


def test_where_nothing_is_to_be_redacted_a_letter_holds_what_came() -> None:
    value = b"ann@example.org \xff"
    [letter] = unpack(source(value, redaction=Redaction(Settings(redact=False))), refused).letters
    assert letter.value == value
