"""Dead letters of signed events: redacted, and good to be sent again."""

from typing import Any

from jitr.agents.runtime.decode import KafkaRecord, unpack
from jitr.schemas.events import encode_batch
from jitr.schemas.evidence import Command
from jitr.schemas.sections import SigningSettings
from jitr.schemas.settings import Settings
from jitr.schemas.signing import Signing

KEYS = SigningSettings(gateway_keys="g" * 32, worker_keys="w" * 32, people={"ada": "a" * 32})
SIGNING = Signing(Settings(signing=KEYS))
TOPIC = "jitr.evidence"


def source(value: bytes, headers: Any) -> KafkaRecord:
    return KafkaRecord(TOPIC, 0, 7, 0.0, b"k", value, tuple(headers), lambda: None)


def fails(event: object) -> None:
    raise RuntimeError("a server that is away")


def command(n: int, note: str = "") -> Command:
    return Command(id=f"command-{n}", tenant="t", task="k", time=1e9, verb="pause", by="ada", note=note)


def written(*words: Command) -> tuple[bytes, list[tuple[str, bytes]]]:
    records = [(word.id, word.time, word) for word in words]
    return encode_batch(records, source="/jitr/cli", seal=SIGNING.seal("person", TOPIC, "ada"))


def test_a_signed_event_that_failed_once_is_still_signed_when_it_is_sent_again() -> None:
    letters = unpack(source(*written(*map(command, range(3)))), fails, SIGNING).letters
    assert len(letters) == 3
    for letter in letters:
        (event,) = unpack(source(letter.value, letter.original_headers), lambda e: e, SIGNING).events
        assert event.author.name == "ada"


def test_what_stands_where_a_signature_does_is_redacted_all_the_same() -> None:
    note = '"jitrsig":"ada@example.org" #0'
    (letter,) = unpack(source(*written(command(0, note))), fails, SIGNING).letters
    assert b"ada@example.org" not in letter.value and b"#0" in letter.value
    value = b'[{"jitrsig":"#0"},{"jitrsig":"#7"}]'
    found = unpack(source(value, [("content-type", b"application/cloudevents-batch+json")]), fails, SIGNING)
    assert [letter.value for letter in found.letters] == [b'[{"jitrsig":"#0"}]', b'[{"jitrsig":"#7"}]']
