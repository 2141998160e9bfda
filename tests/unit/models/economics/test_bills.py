"""What a call was billed: counted or estimated tokens, at the price of whoever answered."""

from __future__ import annotations

from typing import Any

import pytest

from jitr.models.economics.bills import bill, usage_of
from jitr.schemas.calls import Call, DecisionStamp, Message, Response, Usage
from jitr.schemas.errors import ConfigError
from jitr.schemas.prices import DEFAULT_PRICES, Price, price_for, price_of
from jitr.schemas.settings import Settings

PROMPT = (
    "Sort this message for a bicycle shop: billing, shipping or account?\nMessage: " + "it has not come " * 20
)


def call(**fields: Any) -> Call:
    known = {
        "messages": (Message(role="user", content=PROMPT),),
        "model": "gpt-4o-mini",
        "response": Response(text="shipping", model="gpt-4o-mini-2024-07-18"),
    }
    return Call(id="1", time=0.0, **(known | fields))


def test_what_was_counted_is_kept() -> None:
    counted = Usage(input_tokens=7, output_tokens=1, cached_tokens=3)
    assert usage_of(call(usage=counted)) is counted
    assert bill(call(usage=counted), DEFAULT_PRICES).usd == pytest.approx((7 * 0.15 + 0.6) / 1e6)


def test_what_was_not_counted_is_estimated_and_says_so() -> None:
    usage = usage_of(call())
    assert usage.estimated and 80 <= usage.input_tokens <= 130 and usage.output_tokens in (1, 2)
    billed = bill(call(), DEFAULT_PRICES)
    assert billed.usd is not None and billed.usd > 0


def test_half_a_count_is_completed() -> None:
    usage = usage_of(call(usage=Usage(input_tokens=9)))
    assert (usage.input_tokens, usage.estimated) == (9, True)
    assert usage.output_tokens > 0


def test_tools_formats_and_tool_calls_are_text_too() -> None:
    plain = usage_of(call())
    more = call(
        tools='[{"name":"look_up"}]',
        response_format='{"type":"json_object"}',
        response=Response(text="", tool_calls='[["look_up","{}"]]'),
    )
    assert usage_of(more).input_tokens > plain.input_tokens
    assert usage_of(more).output_tokens > 0


@pytest.mark.parametrize(
    "fields", [{"error": "401: no"}, {"decision": DecisionStamp(id="d", task="t", target="surrogate")}]
)
def test_of_a_call_without_an_answer_of_the_teacher_nothing_is_made_up(fields: dict[str, Any]) -> None:
    billed = bill(call(response=None, **fields), DEFAULT_PRICES)
    assert billed.usd == 0.0
    assert not billed.usage.estimated


def test_a_log_of_requests_alone_is_priced_by_what_was_read() -> None:
    billed = bill(call(response=None), DEFAULT_PRICES)
    assert billed.usage.output_tokens == 0
    assert billed.usd is not None and billed.usd > 0


def test_what_the_call_says_it_cost_is_believed() -> None:
    assert bill(call(cost_usd=0.5), DEFAULT_PRICES).usd == 0.5
    assert bill(call(cost_usd=0.0), DEFAULT_PRICES).usd == 0.0


def test_no_price_is_not_nothing() -> None:
    assert bill(call(model="x", response=Response(text="a", model="y")), DEFAULT_PRICES).usd is None


@pytest.mark.parametrize(
    ("asked", "answered", "name"),
    [
        ("gpt-4o", "", "gpt-4o"),
        ("our-deployment", "gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
        # a deployment whose name begins like another model's
        ("gpt-4o-team", "gpt-4.1-nano-2025-04-14", "gpt-4.1-nano"),
        ("gpt-4o-2024-08-06", "an-odd-name", "gpt-4o"),
        ("openai/gpt-4o", "", "gpt-4o"),
        ("claude-haiku-4-5-20251001", "", "claude-haiku-4.5"),
        ("our-deployment", "", None),
        ("gpt-4.15", "", None),
        ("gpt-4o1", "", None),
    ],
)
def test_a_call_is_priced_by_who_answered(asked: str, answered: str, name: str | None) -> None:
    assert price_for(asked, answered, DEFAULT_PRICES) == (DEFAULT_PRICES[name] if name else None)


def test_a_price_of_ones_own_beats_the_model_that_answered() -> None:
    own = Price(1.0, 2.0)
    assert price_for("ours", "gpt-4o", DEFAULT_PRICES | {"ours": own}) == own
    assert price_of("ours-2", DEFAULT_PRICES | {"ours": own}) == own


@pytest.mark.parametrize(
    ("value", "taken"), [(0, True), (1e9, True), (-1, False), (float("inf"), False), (float("nan"), False)]
)
def test_a_price_is_a_number_that_can_be_paid(value: float, taken: bool) -> None:
    price = {"input": value, "output": 1.0}
    if taken:
        assert Settings.load(flags={"prices": {"m": price}}, environ={}).prices["m"].input == value
    else:
        with pytest.raises(ConfigError, match="prices"):
            Settings.load(flags={"prices": {"m": price}}, environ={})
