"""Estimated tokens lie near what tokenizers count, and the bound for short answers above it."""

from __future__ import annotations

import pytest

from jitr.schemas.tokens import estimate_tokens, family_of, most_tokens

ENGLISH = (
    "Summarise the customer's message in one sentence, then say which of these departments should answer it: "
    "billing, shipping, returns or technical support. Do not mention the customer's name. If the message is "
    "about more than one thing, choose the department for the first of them."
)
GERMAN = "Bitte ordnen Sie die folgende Nachricht einer der Abteilungen zu: Rechnung, Versand oder Rückgabe."
RUSSIAN = "Пожалуйста, укажите, к какому отделу относится это сообщение: оплата, доставка или возврат."
CHINESE = "请判断以下客户留言应由哪个部门处理：账单、物流还是退货。只回答一个词。"
JSON = '{"id": 4711, "amount": 12.5, "currency": "EUR", "items": [{"sku": "A-1", "qty": 2}]}'


@pytest.mark.parametrize(
    ("text", "model", "counted", "off"),
    [
        (ENGLISH, "gpt-4o", 55, 0.10),
        (ENGLISH, "gpt-4", 57, 0.10),
        (GERMAN, "gpt-4o", 20, 0.30),
        (GERMAN, "gpt-4", 25, 0.30),
        (RUSSIAN, "gpt-4o", 24, 0.30),
        (RUSSIAN, "gpt-4", 38, 0.30),
        (CHINESE, "gpt-4o", 24, 0.30),
        (CHINESE, "gpt-4", 36, 0.30),
        (JSON, "gpt-4o", 39, 0.15),
        (JSON, "gpt-4", 39, 0.15),
    ],
)
def test_an_estimate_is_near_what_the_tokenizer_counts(
    text: str, model: str, counted: int, off: float
) -> None:
    assert estimate_tokens(text, model) == pytest.approx(counted, rel=off)


@pytest.mark.parametrize(
    "text", ["", "a", "\n", "\ud800", "\x00" * 9, "🙂" * 5, "ß", "한국어", "x" * 100_000]
)
def test_any_text_has_an_estimate_and_a_bound(text: str) -> None:
    assert 0 <= estimate_tokens(text) <= 4 * len(text)
    assert (estimate_tokens(text) == 0) is (text == "")
    assert most_tokens(text) >= 1


def test_the_bound_of_an_answer_lies_above_every_count() -> None:
    # the most that any of nine tokenizers has
    counted = {
        "billing": 2,
        "Positive": 2,
        "card_arrival": 5,
        "Refund_not_showing_up": 9,
        '{"label": "billing"}': 7,
        "NOT URGENT": 4,
        "42.50": 6,
        "2026-11-29": 11,
        "[1, 2, 3]": 9,
        "ja, dringend": 5,
        "доставка": 4,
        "退货": 3,
    }
    for text, tokens in counted.items():
        assert tokens < most_tokens(text) <= 3 * tokens + 4, text


def test_a_model_is_counted_like_its_family() -> None:
    names = [
        "claude-sonnet-4",
        "meta-llama/Llama-3.1-8B",
        "gemini-2.5-pro",
        "mistral-large",
        "DeepSeek-V3",
        "o3",
    ]
    families = ["claude", "llama", "gemma", "mistral", "deepseek", "o200k"]
    assert [family_of(name) for name in names] == families
