"""Each record that a producer writes in its own way is used, or is one dead letter that names the cause."""

import dataclasses
import re

import pytest
from stage.odd_records import RECORDS, Odd

from jitr.agents.runtime.decode import KafkaRecord, unpack
from jitr.models.redaction.redaction import Redaction
from jitr.schemas.deadletters import DeadLetter
from jitr.schemas.dialects import read_call
from jitr.schemas.settings import Settings

WRITTEN = 1795900000.0


def source(odd: Odd) -> KafkaRecord:
    headers = tuple((name, value or b"") for name, value in odd.headers)
    return KafkaRecord("llm.calls", 3, 17, WRITTEN, None, odd.value, headers, lambda: None)


@pytest.mark.parametrize("odd", RECORDS, ids=lambda odd: odd.name)
def test_it_is_used_or_refused_by_the_name_of_the_cause(odd: Odd) -> None:
    unpacked = unpack(source(odd), read_call)
    assert (len(unpacked.events), len(unpacked.letters)) == (odd.calls, len(odd.letters)), unpacked.letters
    for letter, reason in zip(unpacked.letters, odd.letters, strict=True):
        assert re.search(reason, letter.reason), letter.reason
        assert DeadLetter.read(letter.value, letter.key, letter.headers) == letter
    for incoming in unpacked.events:
        assert incoming.value.messages
        assert incoming.value.time == (odd.time or incoming.time)
        assert incoming.value.time in (WRITTEN, odd.time, 1795935600.0)
        # as it goes on to the next topic
        assert incoming.value.id
        assert len({d.id for d in unpacked.events}) == odd.calls


@pytest.mark.parametrize("odd", [odd for odd in RECORDS if odd.letters], ids=lambda odd: odd.name)
def test_a_letter_replayed_gives_the_same_reason(odd: Odd) -> None:
    (letter,) = unpack(source(odd), read_call).letters
    again = unpack(source(Odd("again", letter.value, list(letter.original_headers))), read_call)
    assert [x.reason for x in again.letters] == [letter.reason]
    assert not again.events


def test_what_is_half_a_character_is_replaced_and_what_only_looks_like_it_stays() -> None:
    texts = {
        odd.name: unpack(source(odd), read_call).events[0].value.messages[0].content
        for odd in RECORDS
        if "emoji" in odd.name
    }
    assert texts == {"bare, half an emoji": "cut \ufffd", "bare, whole emoji": "\U0001f600 \\ud83d"}


def test_what_cannot_be_redacted_is_left_out_of_its_letter() -> None:
    class Broken(Redaction):
        def data(self, data: bytes) -> bytes:
            raise ValueError("no")

    broken = dataclasses.replace(
        source(Odd("x", b"sk-secret", [("a", b"sk-secret")])), redaction=Broken(Settings())
    )
    (letter,) = unpack(broken, read_call).letters
    assert (letter.value, letter.key, letter.original_headers) == (b"", None, ())
    assert letter.reason == "RecordError; its bytes could not be redacted (ValueError), and are left out"
