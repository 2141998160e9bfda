"""What a row says of money, of the teacher and of trainings."""

import msgspec
from click.testing import CliRunner

from jitr.agents.runtime.metrics import Metrics
from jitr.cli.account import figures, lines, saved
from jitr.cli.verbs.routes import routes
from jitr.router.table import Rows
from jitr.schemas.evidence import Evidence
from jitr.schemas.money import Money
from jitr.schemas.record import decode
from jitr.schemas.routes import Route, ShadowRun, SurrogateRef, Withholding

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


def test_a_shadow_run_is_told_with_its_forecast_as_long_as_it_is_this_candidates():
    ref = SurrogateRef(version="v2", uri="", digest="", encoders="")
    run = ShadowRun(version="v2", calls=120, forecast_calls=400)
    told = dict(lines(route(candidate=ref, shadow=run), target=0.9))
    assert told["shadow"] == "120 of about 400 calls to a certificate of v2"
    over = msgspec.structs.replace(ref, state="certified")
    for others in (None, over, msgspec.structs.replace(ref, version="v3")):
        assert "shadow" not in dict(lines(route(candidate=others, shadow=run), target=0.9))
    unknown = ShadowRun(version="v2", calls=3)
    assert dict(lines(route(candidate=ref, shadow=unknown), target=0.9))["shadow"].startswith("3 calls to")


def test_the_routing_table_shows_it_where_a_certificate_will_stand(monkeypatch):
    ref = SurrogateRef(version="v2", uri="", digest="", encoders="ngrams")
    row = route(candidate=ref, shadow=ShadowRun(version="v2", calls=120, forecast_calls=400))
    found = Rows("t")
    found.routes["k"] = row
    monkeypatch.setattr("jitr.cli.verbs.routes.rows", lambda settings, tenant: found)
    monkeypatch.setenv("COLUMNS", "240")
    shown = CliRunner().invoke(routes, ["--tenant", "t"], catch_exceptions=False)
    assert "shadow: 120 of about 400 calls" in shown.output


def test_a_row_and_a_window_of_before_decode():
    assert decode(b'{"tenant":"t","task":"k"}', Route).shadow is None
    old = b'{"kind":"audit_window","id":"w","tenant":"t","task":"k","time":1.0}'
    assert decode(old, Evidence).shadow is None


def test_the_metrics_count_the_run_and_go_to_zero_after_it():
    ref = SurrogateRef(version="v2", uri="", digest="", encoders="ngrams")
    row, metrics = (
        route(candidate=ref, shadow=ShadowRun(version="v2", calls=120, forecast_calls=400)),
        Metrics("w"),
    )
    metrics.show_routes([row])
    assert b'jitr_shadow_calls{task="k"} 120.0' in metrics.page()
    assert b'jitr_shadow_forecast_calls{task="k"} 400.0' in metrics.page()
    metrics.show_routes([msgspec.structs.replace(row, candidate=None)])
    assert b'jitr_shadow_calls{task="k"} 0.0' in metrics.page()
