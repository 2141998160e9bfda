import pytest

from jitr.models.tasks.redaction import redact, redact_call


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
        ("078-05-1120", "[ssn]"),
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


def test_a_call_is_redacted_everywhere(make):
    call = redact_call(make("1", [("system", "I am a@b.org"), ("user", "and c@d.org")], "ask e@f.org"))
    assert [m.content for m in call.messages] == ["I am [email]", "and [email]"]
    assert call.response.text == "ask [email]"
