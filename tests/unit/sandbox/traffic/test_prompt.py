"""Slot values in prompts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jitr.sandbox.traffic.prompt import Prompt

PROMPT = Prompt(
    (("system", "Judge."), ("user", "one"), ("assistant", "1"), ("user", "Text: {slot_value}\nLabel:"))
)


@given(st.text())
def test_any_slot_value_is_found_again(slot_value: str) -> None:
    assert PROMPT.parse(PROMPT.render(slot_value)) == slot_value


@given(st.text(max_size=20))
def test_a_message_that_the_prompt_did_not_make_is_not_its_own(text: str) -> None:
    assert PROMPT.parse([{"role": "user", "content": text}]) is None


def test_a_changed_example_makes_it_another_prompt() -> None:
    messages = PROMPT.render("two")
    messages[2]["content"] = "2"
    assert PROMPT.parse(messages) is None


def test_overlapping_frame_text_is_not_a_slot_value() -> None:
    assert Prompt((("user", "aba{slot_value}aba"),)).parse([{"role": "user", "content": "aba"}]) is None


@pytest.mark.parametrize("last", ["no hole", "{slot_value} {slot_value}"])
def test_a_prompt_needs_one_hole(last: str) -> None:
    with pytest.raises(ValueError, match="exactly once"):
        Prompt((("user", last),))
