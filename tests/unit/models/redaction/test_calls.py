"""Every text of a call is redacted, also those that a later field brings."""

from typing import Any, get_args, get_type_hints

import msgspec
import pytest

from jitr.models.redaction.calls import ANSWERED, OWN_ID, WHOLE, Parts, collected, length, visited
from jitr.models.redaction.redaction import Redaction
from jitr.schemas.calls import Call, DecisionStamp, Message, Response
from jitr.schemas.settings import Settings

MAIL = "ann.lee@example.org"
# names that we gave, by which calls find their task and their tenant
OURS = {
    "$.tenant", "$.decision.id", "$.decision.task", "$.decision.route_version", "$.decision.target",
    "$.decision.surrogate",
}  # fmt: skip
REDACT = Redaction(Settings())


def full(kind: Any) -> Any:
    """A value of a type whose every text is an address."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        hints = get_type_hints(kind)
        return kind(**{f.name: full(hints[f.name]) for f in msgspec.structs.fields(kind)})
    inner = [arg for arg in get_args(kind) if arg is not type(None)]
    origin = getattr(kind, "__origin__", None)
    if origin is tuple:
        return (full(inner[0]),)
    if origin is dict:
        return {full(inner[0]): full(inner[1])}
    if inner:  # optional, literal, annotated
        return inner[0] if isinstance(inner[0], str) else full(inner[0])
    return {str: f"x {MAIL}", int: 1, float: 0.5, bool: True}[kind]


def leaks(value: Any, path: str = "$") -> set[str]:
    """Where an address stands."""
    if isinstance(value, str):
        return {path} if MAIL in value else set()
    if isinstance(value, msgspec.Struct):
        return {
            p
            for f in msgspec.structs.fields(value)
            for p in leaks(getattr(value, f.name), f"{path}.{f.name}")
        }
    if isinstance(value, dict):
        return {p for k, v in value.items() for p in leaks(k, f"{path} key") | leaks(v, f"{path} value")}
    if isinstance(value, (list, tuple)):
        return {p for v in value for p in leaks(v, f"{path}[]")}
    return set()


def test_no_text_of_a_call_is_left_out() -> None:
    call = full(Call)
    assert len(leaks(call)) > 25
    assert leaks(REDACT.call(call)) <= OURS
    assert REDACT.call(REDACT.call(call)) == REDACT.call(call)


def test_the_answer_alone_is_redacted_where_the_request_is_already() -> None:
    call = full(Call)
    left = leaks(REDACT.answer(call)) - OURS
    assert left and not any(p.startswith(("$.response.", "$.decision.", "$.error")) for p in left)


def test_the_bound_counts_every_text() -> None:
    call = full(Call)
    assert length(call) > 25 * len(MAIL)
    assert length(call) == sum(map(len, collected(call, OWN_ID)[0])), "no field is left out that is read"
    for name in ("tools", "response_format", "error", "model", "task"):
        longer = msgspec.structs.replace(call, **{name: "y" * 1000})
        assert length(longer) == length(call) + 1000 - len(getattr(call, name)), name


@pytest.mark.parametrize("parts", [WHOLE, OWN_ID, ANSWERED, Parts(answered=False)])
def test_texts_are_told_in_the_order_in_which_they_are_put_back(parts: Parts) -> None:
    for call in (full(Call), Call(id="1", model="m", time=0.0, messages=(Message(role="", content=""),))):
        taken: list[tuple[str, str]] = []

        def take(text: str, gap: str, taken: list[tuple[str, str]] = taken) -> str:
            taken.append((text, gap))
            return text

        visited(call, parts, take)
        assert list(zip(*collected(call, parts), strict=True)) == taken


def test_where_there_is_nothing_to_redact_the_call_is_the_same_object() -> None:
    call = Call(
        id="1", model="m", time=0.0, messages=(Message(role="user", content="Where is order 48213?"),)
    )
    assert REDACT.call(call) is call


def said(*contents: str, **more: Any) -> Call:
    messages = tuple(Message(role="user", content=content) for content in contents)
    return Call(id="1", model="m", time=0.0, messages=messages, **more)


@pytest.mark.parametrize(
    ("contents", "left"),
    [
        (
            ("my key is sk-proj-abcdef12", "34567890ghijkl and that is it"),
            ("my key is [key]", "[key] and that is it"),
        ),
        (("write to ann.lee@exam", "ple.org please"), ("write to [email]", "[email] please")),
        (("a question about risk", "based pricing"), ("a question about risk", "based pricing")),
        (("my card: 4111 1111", "1111 1111"), ("my card: [card]", "[card]")),
    ],
)
def test_what_adjacent_messages_divide_is_found(contents: tuple[str, ...], left: tuple[str, ...]) -> None:
    assert tuple(m.content for m in REDACT.call(said(*contents)).messages) == left


def test_what_parts_of_a_message_divide_is_found() -> None:
    # the dialects join parts by line breaks
    assert REDACT.text("key: ghp_abcdefghijkl\nmnopqrstuvwxyz0123456789 ok") == "key: [key] ok"
    assert REDACT.text("key: ghp_abcdefghijklmnopqrstuvwxyz01\n23456789abcd ok") == "key: [key] ok"
    # a word that follows a whole key is no part of it
    assert REDACT.text("key: ghp_abcdefghijklmnopqrstuvwxyz0123456789\nThanks") == "key: [key]\nThanks"


def test_the_name_of_a_value_in_metadata_says_that_it_is_a_secret() -> None:
    call = REDACT.call(
        said("x", metadata={"password": "hunter2secret", "user": "ann@example.org", "a@b.org": "1"})
    )
    assert call.metadata == {"password": "[key]", "user": "[email]", "[email]": "1"}


def test_an_id_that_holds_a_secret_stays_an_id_of_its_own() -> None:
    first, second = (
        REDACT.call(msgspec.structs.replace(said("x"), id=f"{who}@example.org-1")).id for who in "ab"
    )
    assert "example.org" not in first + second and first != second


def test_an_id_that_we_drew_is_left_alone_and_all_else_is_not() -> None:
    call = msgspec.structs.replace(said(f"I am {MAIL}"), id=MAIL)
    assert REDACT.call(call, own_id=True).id == MAIL
    assert REDACT.call(call, own_id=True).messages[0].content == "I am [email]"
    assert MAIL not in REDACT.call(call).id


def test_arguments_of_tools_are_read_through_their_escapes_and_stay_JSON() -> None:
    arguments = msgspec.json.encode(
        {"to": "x", "password": "s3cret-pw", "phone": 4930901820, "card": 4111111111111111}
    )
    escaped = arguments.decode().replace('"x"', '"ann\\u0040example.org\\nsk-abcdefghijklmnop1234"')
    calls = msgspec.json.encode([["send", escaped]]).decode()
    redacted = REDACT.call(
        Call(id="1", model="m", time=0.0, messages=(Message(role="assistant", content="", tool_calls=calls),))
    )
    [[_, inner]] = msgspec.json.decode(redacted.messages[0].tool_calls)
    assert msgspec.json.decode(inner) == {
        "to": "[email]\n[key]",
        "password": "[key]",
        "phone": "[phone]",
        "card": "[card]",
    }


def test_errors_that_quote_the_callers_key_do_not_keep_it() -> None:
    call = said(
        "x",
        error="Incorrect API key provided: sk-proj-abcdefgh12345678. You can find yours at https://x.org.",
    )
    assert (
        REDACT.answer(call).error == "Incorrect API key provided: [key]. You can find yours at https://x.org."
    )


def test_bytes_are_redacted_whatever_they_are() -> None:
    assert (
        REDACT.data(b'\xff{"mail": "a.b@example.org", "bad": \xfe}')
        == b'\xff{"mail": "[email]", "bad": \xfe}'
    )
    assert REDACT.data("mail a.b@example.org".encode("utf-16")).decode("utf-16") == "mail [email]"
    assert REDACT.data(b"\x00\x01\xff") == b"\x00\x01\xff"
    assert Redaction(Settings(redact=False)).data(b"a.b@example.org") == b"a.b@example.org"


def test_decision_and_response_types_are_those_of_the_wire() -> None:
    assert {DecisionStamp, Response, Message} <= {type(full(k)) for k in (DecisionStamp, Response, Message)}
