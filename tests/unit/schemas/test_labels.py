"""The one rule of what a label is, on both sides of each of its conditions."""

from typing import Any

import pytest

from jitr.schemas.calls import Call, Response
from jitr.schemas.labels import NoLabel, label_text, no_label


def call(text: str = "shipping", finish: str = "stop", tools: str | None = None, **fields: Any) -> Call:
    response = Response(text=text, finish_reason=finish, tool_calls=tools)
    return Call(**{"id": "c", "model": "m", "messages": (), "time": 1.0, "response": response} | fields)


@pytest.mark.parametrize("finish", ["stop", "STOP", "eos", "end_turn", "completed"])
@pytest.mark.parametrize("status", [None, 200, 201, 302, 399])
def test_a_text_that_came_to_its_end_is_a_label(finish: str, status: int | None) -> None:
    whole = call(finish=finish, status=status)
    assert no_label(whole) is None
    assert label_text(whole) == "shipping"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (call(status=400), NoLabel.REFUSED),
        (call(status=401), NoLabel.REFUSED),
        (call(status=503), NoLabel.REFUSED),
        (call(error="reset"), NoLabel.FAILED),
        (call(error=""), NoLabel.FAILED),
        (call(finish="error"), NoLabel.FAILED),
        (call(finish="abort"), NoLabel.FAILED),
        (call(response=None), NoLabel.UNANSWERED),
        (call(finish="length"), NoLabel.CUT_SHORT),
        (call(finish="MAX_TOKENS"), NoLabel.CUT_SHORT),
        (call(finish="stop_sequence"), NoLabel.CUT_SHORT),
        (call(finish="content_filter"), NoLabel.FILTERED),
        (call(finish="refusal"), NoLabel.FILTERED),
        (call(finish="tool_calls"), NoLabel.TOOL_CALL),
        (call(finish="function_call"), NoLabel.TOOL_CALL),
        (call(tools="[]"), NoLabel.TOOL_CALL),
        (call(finish=""), NoLabel.UNFINISHED),
        (call(finish="whatever"), NoLabel.UNFINISHED),
        (call(text=""), NoLabel.EMPTY),
        (call(text=" \n\t"), NoLabel.EMPTY),
        (call(text="\u200b\ufeff"), NoLabel.EMPTY),
        (call(only_teacher={"messages": "media"}), NoLabel.NOT_OF_TEXT),
        (call(only_teacher={"web_search_options": "search"}), NoLabel.NOT_OF_TEXT),
        (call(only_teacher={"n": "choices", "logit_bias": "logit_bias"}), NoLabel.NOT_OF_TEXT),
    ],
)
def test_all_else_is_none_and_says_why(answer: Call, why: NoLabel) -> None:
    assert no_label(answer) is why
    assert label_text(answer) is None
    assert why.said


@pytest.mark.parametrize("reason", ["choices", "logprobs", "tools", "store", "service_tier", "parameter"])
def test_what_is_asked_for_beside_the_text_leaves_it_a_label(reason: str) -> None:
    assert no_label(call(only_teacher={"x": reason})) is None
