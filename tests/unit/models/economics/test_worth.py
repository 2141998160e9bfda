"""Whether a training pays: what is known of the task decides, and the reason has figures."""

import msgspec
import pytest

from jitr.models.economics.pace import Pace
from jitr.models.economics.worth import coverage_ahead, last_trained, said, worth
from jitr.schemas.policy import DEMO, Policy
from jitr.schemas.routes import Proof, Route, SurrogateRef

PROOF = Proof(
    kind="later", target=0.95, delta=0.05, bound=0.95, calls=9, agreed=9, coverage=0.9, threshold=0.5
)
LAST = SurrogateRef(
    version="v",
    uri="",
    digest="",
    encoders="",
    labels=300,
    train_s=20.0,
    p99_ms=2.0,
    shares=(0.3, 0.6, 1.0),
    forecast=(0.99, 0.96, 0.9),
)


def every(seconds, n=300):
    pace = Pace()
    for k in range(n):
        pace.call(k * seconds)
    return pace


def pays(pace, bill_usd, route=None, policy=Policy()):  # noqa: B008
    return worth(pace, bill_usd, 300, route, policy).pays


def route(**fields):
    return Route(tenant="t", task="k", **fields)


def test_one_cheap_call_a_day_is_not_worth_a_training_and_a_busy_task_is():
    assert not pays(every(86_400), 0.00087)
    assert pays(every(60), 0.00087)


def test_a_longer_horizon_makes_a_rare_task_worth_it():
    patient = msgspec.structs.replace(Policy(), payback_days=3_650)
    assert not pays(every(86_400), 0.05)
    assert pays(every(86_400), 0.05, policy=patient)


def test_the_demo_pays_from_its_first_labels():
    assert pays(every(0.3, DEMO.first_labels), 0.0001, policy=DEMO)


def test_what_is_expected_comes_from_the_last_training_where_there_was_one():
    assert coverage_ahead(None, 0.95) == (0.65, 0.30)
    assert coverage_ahead(route(candidate=LAST), 0.95) == (0.6, 0.3)
    assert coverage_ahead(route(candidate=LAST), 0.97) == (0.3, 0.3)
    hopeless = msgspec.structs.replace(LAST, forecast=(0.9, 0.8, 0.7))
    assert coverage_ahead(route(candidate=hopeless), 0.95) == (0.65, 0.30)


def test_beside_a_live_version_only_what_it_leaves_to_the_teacher_can_be_saved():
    last = msgspec.structs.replace(LAST, train_s=200.0)
    live = msgspec.structs.replace(last, state="certified", proof=PROOF)
    assert coverage_ahead(route(surrogate=live), 0.95) == pytest.approx((0.05, 0.01))
    assert pays(every(3_600), 0.001, route(candidate=last))
    assert not pays(every(3_600), 0.001, route(surrogate=live))


def test_the_cost_of_a_training_is_that_of_the_last_one_and_grows_with_the_labels():
    last = route(candidate=msgspec.structs.replace(LAST, train_s=1e6))
    assert not pays(every(60), 0.00087, last)
    small, large = (worth(every(60), 0.00087, n, route(candidate=LAST), Policy()) for n in (300, 30_000))
    assert small.expected_usd > large.expected_usd
    assert last_trained(route(surrogate=msgspec.structs.replace(LAST, labels=9), candidate=LAST)) is LAST


def test_the_reason_names_the_horizon_the_calls_the_bill_and_the_break_even():
    pace = every(86_400)
    text = said(worth(pace, 0.00087, 300, None, Policy()), pace, 0.00087, Policy())
    for part in ("does not pay", "30 days", "about 30 calls", "$0.000870", "break even"):
        assert part in text
