"""Payloads in prompts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jitr.sandbox.traffic.prompt import Prompt

PROMPT = Prompt(
    (("system", "Judge."), ("user", "one"), ("assistant", "1"), ("user", "Text: {payload}\nLabel:"))
)


@given(st.text())
def test_any_payload_is_found_again(payload: str) -> None:
    assert PROMPT.parse(PROMPT.render(payload)) == payload


@given(st.text(max_size=20))
def test_a_message_that_the_prompt_did_not_make_is_not_its_own(text: str) -> None:
    assert PROMPT.parse([{"role": "user", "content": text}]) is None


def test_a_changed_example_makes_it_another_prompt() -> None:
    messages = PROMPT.render("two")
    messages[2]["content"] = "2"
    assert PROMPT.parse(messages) is None


def test_overlapping_frame_text_is_not_a_payload() -> None:
    assert Prompt((("user", "aba{payload}aba"),)).parse([{"role": "user", "content": "aba"}]) is None


@pytest.mark.parametrize("last", ["no hole", "{payload} {payload}"])
def test_a_prompt_needs_one_hole(last: str) -> None:
    with pytest.raises(ValueError, match="exactly once"):
        Prompt((("user", last),))
