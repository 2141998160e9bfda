import pytest
from hypothesis import given
from hypothesis import strategies as st

from jitr.models.redaction.redaction import Redaction
from jitr.schemas.calls import Call, Message, Response
from jitr.schemas.errors import ConfigError
from jitr.schemas.settings import Settings

redact = Redaction(Settings()).text


def make(id, messages, answer):
    said = tuple(Message(role=role, content=content) for role, content in messages)
    return Call(id=id, model="m", time=0.0, messages=said, response=Response(text=answer))


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("ann.lee+x@mail.example.co.uk", "[email]"),
        ("jürgen@exämple.de", "[email]"),
        ("+1 (555) 123-4567", "[phone]"),
        ("555-123-4567", "[phone]"),
        ("(555) 123 4567", "[phone]"),
        ("+4930901820", "[phone]"),
        ("4111 1111 1111 1111", "[card]"),
        ("5500-0000-0000-0004", "[card]"),
        ("GB82 WEST 1234 5698 7654 32", "[iban]"),
        ("078-05-1120", "[id]"),
        ("sk-proj-abcdEFGH12345678ijkl", "[key]"),
        ("AKIAIOSFODNN7EXAMPLE", "[key]"),
        ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "[key]"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc-DEF_123", "[key]"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc=\n-----END RSA PRIVATE KEY-----", "[key]"),
    ],
)
def test_what_identifies_or_unlocks_is_replaced(text, word):
    assert redact(text) == word
    assert redact(f"Use {text} now.") == f"Use {word} now."


@pytest.mark.parametrize(
    "text",
    [
        "Order 12345678 of 2024-05-17 at 12:30:45",
        "version 1.2.3-rc_4 and sk-short",
        "pay 1,299.00 now @ the desk",
        "order number 4111 1111 1111 1112",
        "a task-force in the risk_sector",
        "192.168.100.200 and 10.0.0.1",
        "",
    ],
)
def test_other_numbers_and_words_stay(text):
    assert redact(text) == text


def test_a_call_is_redacted_everywhere():
    call = Redaction(Settings()).call(
        make("1", [("system", "I am a@b.org"), ("user", "and c@d.org")], "ask e@f.org")
    )
    assert [m.content for m in call.messages] == ["I am [email]", "and [email]"]
    assert call.response.text == "ask [email]"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("o'brien@example.com", "[email]"),
        ("'ann@example.com'", "'[email]'"),
        ("<ann@example.com>,bob@example.org", "<[email]>,[email]"),
        ("(020) 7946 0958", "[phone]"),
        ("030/901820", "[phone]"),
        ("01 23 45 67 89", "[phone]"),
        ("00 44 20 7946 0958", "[phone]"),
        ("de89370400440532013000", "[iban]"),
        ("ASIAIOSFODNN7EXAMPLE", "[key]"),
        ("npm_abcdefghijklmnopqrstuvwxyz0123456789", "[key]"),
        ("SG.abcdefghijklmnopqrstuv.abcdefghijklmnopqrstuvwxyz0123456789abcdefg", "[key]"),
        ("postgres://bob:pw123456@db:5432/x", "postgres://[key]@db:5432/x"),
        ("aws_secret_access_key=wJalrXUtnFEMI/K7MDENG/bPxRfi", "aws_secret_access_key=[key]"),
        ('{"api_key": "abcdef1234567890"}', '{"api_key": "[key]"}'),
        ("password: hunter2secret", "password: [key]"),
    ],
)
def test_less_usual_forms_are_found_and_what_stands_round_them_stays(text, left):
    assert redact(text) == left
    assert redact(left) == left


@pytest.mark.parametrize(
    "text",
    [
        "on 01-02-2024 10:30 or 01/02/2024 10 people came",
        "0.5 of 012 and 0 100 200",
        "the password: required, at least eight characters",
        "max_tokens=1024 and tokens: 12345678",
        "token of my appreciation: 12345678 thanks",
        "invoice GB12 ABCD 1234 5678 and DE00 1234 5678 9012 3456 78",
        "see a@b or a@b. and @someone, 3@4 = 12",
        "ask-me-anything-about-this-one and risk-based_scoring_of_all_things",
        "chapter 10-11-12, 555-123 and 1-2-3-4-5-6-7-8-9",
        "https://example.com:8080/path?q=1:2@3",
    ],
)
def test_what_only_looks_like_it_stays(text):
    assert redact(text) == text


@given(st.text(alphabet="a1@.:/=-+ ()[]'GBsk_keyToken\n", max_size=80))
def test_redacting_again_changes_nothing(text):
    once = redact(text)
    assert redact(once) == once


def test_names_are_replaced_by_whatever_pipeline_is_named(tmp_path):
    spacy = pytest.importorskip("spacy", reason="the extra [names] is not installed")
    pipeline = spacy.blank("en")
    rules = pipeline.add_pipe("entity_ruler")
    rules.add_patterns([{"label": "PERSON", "pattern": "Ann Lee"}, {"label": "ORG", "pattern": "Acme"}])
    pipeline.to_disk(tmp_path / "names")
    clean = Redaction(Settings(redact_names=str(tmp_path / "names")))
    text = "Ann Lee of Acme (ann@acme.org) met Ann Lee."
    assert clean.text(text) == "[name] of Acme ([email]) met [name]."
    assert clean.text(clean.text(text)) == clean.text(text)
    assert clean.call(make("1", [("user", text)], "Dear Ann Lee")).response.text == "Dear [name]"


def test_names_are_not_looked_for_unless_asked_and_then_what_is_missing_is_named():
    assert Redaction(Settings()).text("I am Ann Lee") == "I am Ann Lee"
    with pytest.raises(ConfigError, match=r"jitr\[names\]|no pipeline that spaCy can load"):
        Redaction(Settings(redact_names="no_such_pipeline"))
    call = make("1", [("user", "a@b.org")], "x")
    assert Redaction(Settings(redact=False, redact_names="no_such_pipeline")).call(call) is call
