"""Signatures: over every byte that an event asserts, by keys that can be changed."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jitr.schemas.authors import FORGED, UNCHECKED, UNSIGNED, Author
from jitr.schemas.calls import Call, Message
from jitr.schemas.errors import ConfigError, RecordError
from jitr.schemas.events import Event, decode_events, encode_batch
from jitr.schemas.sections import SigningSettings
from jitr.schemas.settings import Settings
from jitr.schemas.signing import Signing, key_id, person
from jitr.schemas.topics import Topics

G, W, A = ("g" * 32, "w" * 32, "a" * 32)
SIGNING = Signing(Settings(signing=SigningSettings(gateway_keys=G, worker_keys=W, people={"ada": A})))
CALL = Call(id="c", model="m", time=1e9, messages=(Message(role="user", content="hi"),))


def signed(signing: Signing = SIGNING, topic: str = "llm.calls") -> Event:
    seal = signing.seal("gateway", topic)
    value, headers = encode_batch([("c", 1e9, CALL)], source="/g", seal=seal)
    (event,) = decode_events(value, headers, fallback_id="", fallback_time=0.0)
    assert isinstance(event, Event)
    return event


def test_a_signature_names_its_key_and_lives_through_every_mode() -> None:
    event = signed()
    assert SIGNING.author("llm.calls", event) == Author("gateway", "", key_id(G))
    heads = {
        "ce_specversion": b"1.0", "ce_id": b"c", "ce_type": event.type.encode(), "ce_source": b"/g",
        "ce_jitrsig": event.signature.encode(),
    }  # fmt: skip
    (binary,) = decode_events(event.data, heads, fallback_id="", fallback_time=0.0)
    assert isinstance(binary, Event) and SIGNING.author("llm.calls", binary).kind == "gateway"


@given(
    at=st.integers(0, 10_000),
    to=st.binary(min_size=1, max_size=1),
    field=st.sampled_from(["data", "id", "type", "source", "signature"]),
)
def test_whatever_is_changed_is_forged(at: int, to: bytes, field: str) -> None:
    event = signed()
    before = getattr(event, field)
    raw = before if isinstance(before, bytes) else before.encode()
    at %= len(raw)
    after = raw[:at] + to + raw[at + 1 :]
    changed = after if field == "data" else after.decode("latin-1")
    author = SIGNING.author("llm.calls", replace(event, **{field: changed}))
    if changed == before:
        assert author.kind == "gateway"
    else:
        assert author in (FORGED, UNSIGNED)
        assert author == FORGED or not changed.partition(".")[0]


def test_what_was_signed_for_one_topic_says_nothing_on_another() -> None:
    for topic in ("jitr.evidence", "acme.llm.calls", "llm.call", "llm.calls.dlq"):
        assert SIGNING.author(topic, signed()) == FORGED


def test_where_one_attribute_ends_and_the_next_begins_cannot_be_moved() -> None:
    event = signed()
    assert SIGNING.author("llm.calls", replace(event, source="/gc", id="")) == FORGED
    assert SIGNING.author("llm.calls", replace(event, source='/g","c', id="c")) == FORGED


@pytest.mark.parametrize(
    "odd", ["", ".", "x", key_id(G), f"{key_id(G)}.", f"{key_id(G)}.é", "😀.😀", "." * 99]
)
def test_odd_signatures_are_nobodys(odd: str) -> None:
    assert SIGNING.author("llm.calls", replace(signed(), signature=odd)).kind in ("forged", "unsigned")


def test_without_keys_everybody_is_believed_and_nothing_is_signed() -> None:
    plain = Signing(Settings())
    event = signed(plain)
    assert event.signature == "" and plain.admitted("jitr.evidence", event) == UNCHECKED


def test_only_those_who_may_write_to_a_topic_are_admitted_there() -> None:
    event = signed(topic="jitr.task-calls")
    with pytest.raises(RecordError, match=r"signed by gateway .*expected a worker's") as error:
        SIGNING.admitted("jitr.task-calls", event)
    assert error.value.stage == "signature" and G not in str(error.value)
    assert SIGNING.admitted("llm.calls", replace(event, signature="")) == UNSIGNED


def test_a_worker_needs_the_gateways_key_and_its_own_or_none_at_all() -> None:
    Signing(Settings()).must_serve_a_worker()
    SIGNING.must_serve_a_worker()
    for keys, lacking in (
        (SigningSettings(gateway_keys=G), "signing.worker_keys"),
        (SigningSettings(worker_keys=W), "signing.gateway_keys"),
        (SigningSettings(people={"ada": A}), "signing.gateway_keys and signing.worker_keys"),
    ):
        with pytest.raises(ConfigError, match=lacking):
            Signing(Settings(signing=keys)).must_serve_a_worker()


@pytest.mark.parametrize(
    ("environ", "why"),
    [
        ({"JITR_SIGNING__GATEWAY_KEYS": "k" * 31}, "a key of 31 characters"),
        ({"JITR_SIGNING__GATEWAY_KEYS": f"{G} short"}, "a key of 5 characters"),
        ({"JITR_SIGNING__GATEWAY_KEYS": G, "JITR_SIGNING__WORKER_KEYS": G}, "each has its own"),
        ({"JITR_SIGNING__WORKER_KEYS": G, "JITR_SIGNING__PEOPLE__ADA": G}, "each has its own"),
    ],
)
def test_weak_and_shared_keys_are_refused_and_not_printed(environ: dict[str, str], why: str) -> None:
    with pytest.raises(ConfigError, match=why) as error:
        Settings.load(environ=environ)
    assert not any(word in str(error.value) for words in environ.values() for word in words.split())


def test_a_command_is_signed_by_the_user_or_by_whom_they_name() -> None:
    both = SigningSettings(people={"ada": A, "ben": "b" * 32})
    assert person(SigningSettings(), "ada") is None
    assert person(both, "ada") == "ada" and person(both, "ben") == "ben"
    assert person(SigningSettings(people={"ada": A}), "root") == "ada"
    assert person(SigningSettings(people=both.people, person="ben"), "ada") == "ben"
    for keys, user in ((both, "root"), (SigningSettings(people=both.people, person="eve"), "ada")):
        with pytest.raises(ConfigError, match=r"One of: ada, ben"):
            person(keys, user)


def test_the_page_says_for_how_long_an_old_key_is_needed() -> None:
    page = (Path(__file__).parents[3] / "docs" / "security.md").read_text()
    topics = Topics()
    of_gateways = topics.calls.retention_days
    signed_by_others = (topics.evidence, topics.task_calls, topics.trainings, topics.unmatched)
    of_others = max(topic.retention_days or 0 for topic in signed_by_others)
    said = " ".join(page.split())
    assert f"after {of_gateways} days for gateways, {of_others} for workers and people" in said
