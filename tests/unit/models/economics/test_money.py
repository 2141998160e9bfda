"""Dollars: sums that anybody can add up again, an interval that covers, and Poodle's table."""

import math
import random

import pytest
from stage.closed_form import ClosedForm

from jitr.models.economics.money import (
    actual_usd,
    add,
    instead_usd,
    mean_bill_usd,
    saved_interval,
    saved_usd,
    training_pays,
)
from jitr.schemas.money import Money
from jitr.schemas.prices import DEFAULT_PRICES, price_of

SPENT = Money(
    teacher_calls=100,
    audit_calls=20,
    answered_calls=400,
    teacher_usd=1.0,
    audit_usd=0.2,
    surrogate_usd=0.004,
    shadow_usd=0.003,
    train_usd=0.5,
    cost_squares=0.013,
)


def test_saved_is_what_the_teacher_would_have_billed_less_everything() -> None:
    assert mean_bill_usd(SPENT) == pytest.approx(0.01)
    assert instead_usd(SPENT) == pytest.approx(1.0 + 400 * 0.01)
    assert saved_usd(SPENT) == pytest.approx(400 * 0.01 - 0.2 - 0.004 - 0.003 - 0.5)
    assert saved_usd(SPENT) == pytest.approx(instead_usd(SPENT) - actual_usd(SPENT))


def test_before_anything_is_answered_only_costs_are_known_and_exactly() -> None:
    early = Money(teacher_calls=5, teacher_usd=0.05, train_usd=0.1, cost_squares=0.0005)
    assert saved_interval(early) == pytest.approx((-0.1, -0.1))
    assert saved_usd(Money()) == 0.0


def test_accounts_add_up_whatever_the_order() -> None:
    assert add(add(SPENT, Money(audit_calls=1)), SPENT).audit_calls == 41
    assert add(SPENT, Money()) == SPENT


def test_nine_of_ten_intervals_at_ninety_percent_cover_the_true_saving() -> None:
    rng, hits = random.Random(7), 0
    for _ in range(400):
        bills = [rng.lognormvariate(-7, 0.8) for _ in range(400)]
        seen, unseen = bills[:100], bills[100:]
        money = Money(
            teacher_calls=100,
            teacher_usd=sum(seen),
            answered_calls=300,
            cost_squares=sum(b * b for b in seen),
        )
        low, high = saved_interval(money, 0.90)
        hits += low <= sum(unseen) <= high
    assert 0.85 <= hits / 400 <= 0.95


def test_one_bill_is_no_sample() -> None:
    assert saved_interval(Money(teacher_calls=1, teacher_usd=1.0, answered_calls=1)) == (-math.inf, math.inf)
    with pytest.raises(ValueError, match="confidence"):
        saved_interval(SPENT, 1.0)


@pytest.mark.parametrize(
    ("model", "alone", "replaced", "ratio", "break_even"),
    [
        ("gpt-4.1", 870.00, 15.59, 55.8, 13_257),
        ("gpt-4.1-mini", 174.00, 9.59, 18.1, 32_253),
        ("gpt-4.1-nano", 43.50, 8.46, 5.1, 110_547),
        ("llama-70b", 361.68, 10.86, 33.3, 18_881),
        ("llama-405b", 1_438.50, 19.11, 75.3, 10_461),
    ],
)
def test_poodles_corrected_table_is_reproduced(
    model: str, alone: float, replaced: float, ratio: float, break_even: int
) -> None:
    price = price_of(model, DEFAULT_PRICES)
    assert price is not None
    plain, wrapped = price.cost_usd(403, 8), price.cost_usd(590, 40)
    form = ClosedForm(
        llm_usd=plain,
        wrapped_usd=wrapped,
        surrogate_usd=411 * 0.01 / 1e6,
        switch_after=5_000,
        wrapped=1.0,
        development_usd=4.0,
    )
    assert plain * 1_000_000 == pytest.approx(alone, abs=0.005)
    assert form.cost_usd(1_000_000) == pytest.approx(replaced, abs=0.005)
    assert form.ratio(1_000_000) == pytest.approx(ratio, abs=0.05)
    assert round(form.break_even) == break_even


def test_at_break_even_both_cost_the_same() -> None:
    form = ClosedForm(llm_usd=1e-3, surrogate_usd=1e-5, switch_after=500, audited=0.09, development_usd=5.0)
    assert form.break_even * 1e-3 == pytest.approx(form.cost_usd(0) + form.break_even * (1e-5 + 0.09e-3))


def test_a_surrogate_that_costs_as_much_never_breaks_even() -> None:
    assert ClosedForm(llm_usd=1e-5, surrogate_usd=1e-5, switch_after=1).break_even == math.inf


def forecast(**changes: float) -> bool:
    asked = {
        "calls": 300,
        "span_s": 3_600.0,
        "horizon_s": 30 * 86_400.0,
        "bill_usd": 0.00087,
        "coverage": 0.7,
        "coverage_low": 0.3,
        "train_core_s": 600.0,
        "shadow_calls": 300,
    }
    return training_pays(**(asked | changes)).pays  # type: ignore[arg-type]  # counts among floats


def test_training_pays_on_a_busy_task_and_not_on_a_rare_or_cheap_one() -> None:
    assert forecast()
    assert not forecast(span_s=30 * 86_400.0)
    assert not forecast(bill_usd=1e-7)
    assert not forecast(coverage_low=0.0)
    assert not forecast(train_core_s=1e8)


def test_the_lower_bound_lies_below_what_is_expected() -> None:
    payback = training_pays(
        calls=300,
        span_s=3_600,
        horizon_s=86_400,
        bill_usd=1e-3,
        coverage=0.7,
        coverage_low=0.5,
        train_core_s=60,
        shadow_calls=100,
    )
    assert 0 < payback.lower_usd < payback.expected_usd
    assert 100 < payback.break_even_calls < 200
