"""What a row says of money, of the teacher and of trainings."""

from jitr.cli.account import figures, lines, saved
from jitr.schemas.money import Money
from jitr.schemas.routes import Route, Withholding

SEEN = Money(teacher_calls=100, teacher_usd=10.0, answered_calls=900, cost_squares=1.25)


def route(**fields):
    return Route(tenant="t", task="k", **fields)


def test_a_saving_is_shown_with_its_interval_and_one_bill_has_none():
    assert saved(route(money=SEEN)) == "$90.00 ($80.66..$99.34)"
    assert "too few bills" in saved(route(money=Money(teacher_calls=1, teacher_usd=1.0, answered_calls=5)))


def test_json_has_the_row_and_what_follows_from_it():
    told = figures(route(money=SEEN, repeats=20, repeats_agreed=17, state="active"))
    assert (told["state"], told["saved_usd"], told["self_agreement"]) == ("active", 90.0, 0.85)
    assert told["saved_low_usd"] < 90.0 < told["saved_high_usd"]
    unknown = figures(route(money=Money(teacher_calls=1, answered_calls=5)))
    assert unknown["saved_low_usd"] is unknown["saved_high_usd"] is unknown["self_agreement"] is None


def test_a_teacher_below_the_target_is_warned_of_with_how_much_was_seen():
    told = dict(lines(route(repeats=20, repeats_agreed=17), target=0.9))
    assert "0.850 of 20 inputs" in told["teacher"]
    assert "below the target 0.9" in told["teacher"]
    assert "below" not in dict(lines(route(repeats=20, repeats_agreed=19), target=0.9))["teacher"]
    assert "teacher" not in dict(lines(route(), target=0.9))


def test_why_a_task_is_not_trained_on_is_said():
    why = Withholding(cause="cost", reason="a training does not pay for itself within 30 days")
    assert dict(lines(route(withheld=why), target=0.9))["withheld"] == why.reason
