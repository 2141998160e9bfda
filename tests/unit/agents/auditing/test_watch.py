"""What audit makes of a task's calls: money, proofs, and a broken promise."""

import random

import msgspec
import pytest

from jitr.agents.auditing.watch import AuditWatch, Scored
from jitr.models.datasets.examples import Dataset, Example
from jitr.models.promise.shadow import ShadowProof
from jitr.models.training.train import Recipe, train_dataset
from jitr.schemas.calls import DecisionStamp
from jitr.schemas.evidence import Alarm, AuditWindow, Certified, Demotion, Futile, Resume
from jitr.schemas.policy import Policy
from jitr.schemas.routes import Proof, Route, RouteVersion, SurrogateRef, SurrogateTarget
from jitr.schemas.trainings import Limits

POLICY = Policy(
    target=0.9, demotion_block_calls=20, demotion_horizon_calls=10_000, hold_scored=60, audit_floor=0.05
)
SHADOW = SurrogateRef(
    version="new",
    uri="u",
    digest="d",
    encoders="b",
    after_offset=9,
    p99_ms=1000.0,
    shares=(0.5, 1.0),
    thresholds=(0.9, 0.0),
    forecast=(0.99, 0.97),
)
PROOF = Proof(
    kind="later", target=0.9, delta=0.05, bound=0.9, calls=200, agreed=198, coverage=0.9, threshold=0.5
)
LIVE = SurrogateRef(
    version="live", uri="u", digest="d", encoders="b", state="certified", proof=PROOF, p99_ms=1000.0
)


def shadowing():
    return Route(tenant="t", task="mood", candidate=SHADOW)


def active(**fields):
    base = {
        "state": "active",
        "target": SurrogateTarget(version="live"),
        "surrogate": LIVE,
        "audit_rate": 0.2,
    }
    return Route(tenant="t", task="mood", version=RouteVersion(offset=3), **(base | fields))


def stamp(**fields):
    base = {"id": "d", "task": "mood", "surrogate": "live", "target": "surrogate", "label": "good"}
    base |= {"answer": "Good", "score": 0.95, "accepted": True, "audit_rate": 0.2, "coin": 0.9}
    return DecisionStamp(**(base | fields))


def watch():
    return AuditWatch("t", "mood", POLICY)


def feed(it, calls, route, said=None):
    """Run calls through a watch as audit does."""
    evidence = []
    for offset, call in enumerate(calls):
        ref = it.wants(call, offset, route)
        evidence += it.learn(call, offset, route, ref, said(call) if ref is not None else None)
    return evidence


def kinds(evidence, kind):
    return [e for e in evidence if isinstance(e, kind)]


def test_windows_add_up_to_the_same_however_they_are_cut(task_call):
    calls = [task_call(n, "good" if n % 2 else None, time=n * 0.1) for n in range(173)]
    whole, pieces = watch(), watch()
    one = kinds(feed(whole, calls, None) + whole.window(), AuditWindow)
    many = []
    for n, call in enumerate(calls):
        many += pieces.learn(call, n, None, None, None)
        if n % 7 == 0:
            many += pieces.window()
    many = kinds(many + pieces.window(), AuditWindow)
    assert len(many) > len(one)
    for windows in (one, many):
        assert len({w.id for w in windows}) == len(windows)
        assert sum(w.calls for w in windows) == 173
        assert sum(w.money.teacher_calls for w in windows) == 86
        assert sum(w.money.teacher_usd for w in windows) == pytest.approx(0.86)
        assert sum(w.money.cost_squares for w in windows) == pytest.approx(86 * 0.01**2)


def test_money_is_kept_apart_by_who_answered(task_call):
    calls = [
        task_call(0),
        task_call(1, None, decision=stamp()),
        task_call(2, "good", decision=stamp(due=True, coin=0.1)),
        task_call(3, "good", decision=stamp(target="teacher", accepted=False)),
    ]
    it = watch()
    windows = kinds(feed(it, calls, active()) + it.window(), AuditWindow)
    money = windows[-1].money
    assert (money.teacher_calls, money.answered_calls, money.audit_calls) == (2, 2, 1)
    assert (money.teacher_usd, money.audit_usd) == (pytest.approx(0.02), pytest.approx(0.01))
    assert money.surrogate_usd == pytest.approx(3 * 0.05 / 3600)
    window = windows[-1]
    assert (window.surrogate, window.accepted, window.audits, window.agreed) == ("live", 2, 1, 1)


def test_a_candidate_that_agrees_is_certified_once_on_later_calls_alone(task_call):
    calls = [task_call(n, time=n * 0.01) for n in range(300)]
    evidence = feed(watch(), calls, shadowing(), lambda call: Scored("good", 0.95))
    (certified,) = kinds(evidence, Certified)
    assert certified.surrogate == "new"
    assert certified.proof.bound >= 0.9
    assert certified.proof.calls <= 290
    windows = kinds(evidence, AuditWindow)
    assert sum(w.money.shadow_usd for w in windows) == pytest.approx(certified.proof.calls * 0.05 / 3600)


def test_windows_tell_how_far_the_shadow_run_is_of_its_forecast_while_it_runs(task_call):
    calls = [task_call(n, time=n * 0.01) for n in range(300)]
    it = watch()
    assert all(w.shadow is None for w in kinds(feed(it, calls[:10], shadowing()) + it.window(), AuditWindow))
    it, told = watch(), []
    for offset, call in enumerate(calls):
        ref = it.wants(call, offset, shadowing())
        told += it.learn(call, offset, shadowing(), ref, Scored("good", 0.95) if ref else None)
    shadow = [w.shadow for w in kinds(told, AuditWindow)]
    runs = [run for run in shadow if run is not None]
    assert [run.calls for run in runs] == sorted(run.calls for run in runs) and runs[0].calls == 40
    assert {run.version for run in runs} == {"new"}
    assert {run.forecast_calls for run in runs} == {
        ShadowProof((0.5, 1.0), (0.9, 0.0), (0.99, 0.97), 0.9, 0.05).forecast_calls
    }
    (end,) = kinds(told, Certified)
    assert shadow[-1] is None and end.proof.calls >= runs[-1].calls


def test_every_refit_on_the_stream_has_all_of_delta_as_its_budget_says(task_call, tmp_path):
    rows = [Example(str(i), float(i), f"{'red' if i % 2 else 'blue'} {i}", "rb"[i % 2]) for i in range(90)]
    made = train_dataset(Dataset.from_examples(rows), Recipe(task="t", encoders=()), Limits(), tmp_path / "v")
    budget, it = made.manifest.budget, watch()
    assert budget.refits == "own" and budget.thresholds == 1.0
    assert f"- error budget: {budget.promises}" in (tmp_path / "v" / "card.md").read_text()
    assert "k refits k times delta" in budget.promises
    for refits in range(3):
        ref = msgspec.structs.replace(SHADOW, version=f"v{refits}")
        for n in range(40):
            it.learn(task_call(n, id=f"{refits}/{n}", time=n * 0.01), 100, None, ref, Scored("good", 0.95))
        assert it.state().shadow.candidate == ref.version
        assert it.state().shadow.proof.calls == 40  # the refit's own calls, none of an earlier version's
        assert it.state().shadow.proof.delta == POLICY.delta * budget.share(refits) == POLICY.delta


def test_a_candidate_that_does_not_agree_is_given_up(task_call):
    calls = [task_call(n, time=n * 0.01) for n in range(900)]
    evidence = feed(watch(), calls, shadowing(), lambda call: Scored("bad", 0.95))
    (futile,) = kinds(evidence, Futile)
    assert "below the target" in futile.reason


def test_calls_before_the_end_of_the_training_data_prove_nothing(task_call):
    it = watch()
    assert it.wants(task_call(9), 9, shadowing()) is None
    assert it.wants(task_call(10), 10, shadowing()) is SHADOW
    assert it.wants(task_call(11, None), 11, shadowing()) is None


def test_while_a_version_is_live_all_calls_enter_shadow_with_one_probability(task_call):
    it, route = watch(), active(candidate=SHADOW)
    rng = random.Random(0)
    entered = {"accepted": 0, "deferred": 0}
    for n in range(4000):
        coin, accepted = rng.random(), n % 2 == 0
        due = accepted and coin < 0.2
        decision = stamp(coin=coin, accepted=accepted, due=due, target="surrogate" if accepted else "teacher")
        call = task_call(n, "good" if due or not accepted else None, decision=decision, time=n * 1.0)
        entered["accepted" if accepted else "deferred"] += it.wants(call, 100, route) is not None
    assert entered["accepted"] == pytest.approx(400, abs=70)
    assert entered["deferred"] == pytest.approx(400, abs=70)


def test_a_cap_bounds_the_calls_that_are_scored_in_a_minute_whatever_comes(task_call):
    it = AuditWatch("t", "mood", Policy(target=0.9, shadow_cap=5))
    # a quiet minute, a flood in one second of the next, and a quiet one
    times = [*range(60), *[60.0] * 3000, *[61 + n for n in range(120)]]
    wanted = [t for n, t in enumerate(times) if it.wants(task_call(n, time=float(t)), 100, shadowing())]
    for minute in range(4):
        assert sum(minute * 60 <= t < minute * 60 + 60 for t in wanted) <= 5


def test_the_calls_under_the_cap_are_a_sample_of_the_minute_and_not_its_beginning(task_call):
    it, seconds = AuditWatch("t", "mood", Policy(target=0.9, shadow_cap=60)), []
    for n in range(60 * 600):
        if it.wants(task_call(n, time=n * 0.1), 100, shadowing()):
            seconds.append(n * 0.1 % 60)
    assert 45 * 60 <= len(seconds) <= 60 * 60
    halves = sum(s >= 30 for s in seconds) / len(seconds)
    assert halves == pytest.approx(0.5, abs=0.06)


def test_which_calls_are_sampled_hangs_on_their_ids(task_call):
    def wanted(tag):
        it = AuditWatch("t", "mood", Policy(target=0.9, shadow_cap=100))
        calls = [task_call(n, id=f"{tag}{n}", time=n * 0.05) for n in range(2400)]
        return [n for n, call in enumerate(calls) if it.wants(call, 100, shadowing())]

    assert wanted("a") == wanted("a")
    assert wanted("a") != wanted("b")


def test_disagreeing_audits_hold_and_a_hold_that_disagrees_demotes(task_call):
    it, n = watch(), 0
    evidence = []
    while not kinds(evidence, Alarm):
        n += 1
        assert n < 100
        evidence += feed(it, [task_call(n, "bad", decision=stamp(due=True, coin=0.1), time=0.0)], active())
    assert kinds(evidence, Alarm)[0].monitor == "cusum"
    held = active(state="hold", audit_rate=1.0)
    while not kinds(evidence, Demotion):
        n += 1
        assert n < 1000
        decision = stamp(target="teacher", held=True, audit_rate=1.0)
        evidence += feed(it, [task_call(n, "bad", decision=decision, time=0.0)], held)
    (demotion,) = kinds(evidence, Demotion)
    assert demotion.e_value >= demotion.threshold
    assert demotion.surrogate == "live"


@pytest.mark.parametrize(("label", "end"), [("good", Resume), ("bad", Demotion)])
def test_a_hold_whose_watch_lost_its_state_ends_all_the_same(task_call, label, end):
    it, evidence = watch(), []
    held, decision = active(state="hold", audit_rate=1.0), stamp(target="teacher", held=True, audit_rate=1.0)
    for n in range(100, 1000):
        evidence += it.learn(task_call(n, label, decision=decision, time=0.0), n, held, None, None)
        if kinds(evidence, end):
            break
    assert [type(e) for e in evidence if not isinstance(e, AuditWindow)] == [end]
    if end is Demotion:
        assert evidence[-1].since_offset == 100


def test_a_verdict_says_where_the_hold_began_and_not_an_earlier_one_that_was_lifted(task_call):
    it, offset = watch(), 0
    held = active(state="hold", audit_rate=1.0)
    told = {}

    def until(kind, label, route, decision):
        nonlocal offset
        while True:
            offset += 1
            assert offset < 3000
            call = task_call(offset, label, decision=decision, time=0.0)
            for found in kinds(it.learn(call, offset, route, None, None), kind):
                told.setdefault(kind, []).append((offset, found))
                return

    for label, end in (("good", Resume), ("bad", Demotion)):
        until(Alarm, "bad", active(), stamp(due=True, coin=0.1))
        until(end, label, held, stamp(target="teacher", held=True, audit_rate=1.0))
    second = told[Alarm][1][0]
    assert told[Demotion][0][1].since_offset == second
    assert told[Alarm][0][0] < told[Resume][0][0] < second < told[Demotion][0][0]


def test_a_canarys_accepted_calls_that_the_teacher_answered_are_audits(task_call):
    it, row = watch(), active(state="canary", share=0.5)
    outside = stamp(target="teacher", reason="canary")
    feed(it, [task_call(n, "good", decision=outside, time=0.0) for n in range(6)], row)
    feed(it, [task_call(n, "bad", decision=outside, time=0.0) for n in range(6, 8)], row)
    (told,) = kinds(it.window(), AuditWindow)
    assert (told.accepted, told.audits, told.agreed) == (8, 8, 6)
    assert (told.money.teacher_calls, told.money.audit_calls) == (8, 0)


def test_audits_that_never_come_make_the_route_blind(task_call):
    calls = [task_call(n, None, decision=stamp(), time=float(n)) for n in range(2_000)]
    alarms = kinds(feed(watch(), calls, active()), Alarm)
    assert alarms[0].monitor == "blind"


def test_a_canarys_calls_at_the_teacher_do_not_hide_that_its_audits_are_lost(task_call):
    answered, beside = stamp(), stamp(target="teacher", reason="canary")
    calls = [
        task_call(n, None, decision=answered, time=float(n))
        if n % 10 == 0
        else task_call(n, "good", decision=beside, time=float(n))
        for n in range(4_000)
    ]
    alarms = kinds(feed(watch(), calls, active(state="canary", share=0.1)), Alarm)
    assert [alarm.monitor for alarm in alarms[:1]] == ["blind"]


def test_a_watch_goes_on_from_its_state_as_if_it_had_never_stopped(task_call):
    rng = random.Random(1)
    calls = []
    for n in range(300):
        coin = rng.random()
        label = "good" if rng.random() < 0.9 else "bad"
        due = coin < 0.2
        decision = stamp(coin=coin, due=due, score=rng.random())
        calls.append(task_call(n, label if due else None, decision=decision, time=n * 0.01))
    straight, broken = watch(), watch()
    expected = feed(straight, calls, active(candidate=SHADOW), lambda c: Scored("good", 0.9))
    evidence = []
    for n, call in enumerate(calls):
        if n % 50 == 25:
            broken = AuditWatch("t", "mood", POLICY, broken.state())
        ref = broken.wants(call, n, active(candidate=SHADOW))
        evidence += broken.learn(
            call, n, active(candidate=SHADOW), ref, Scored("good", 0.9) if ref is not None else None
        )
    assert evidence == expected
    assert broken.state() == straight.state()


def test_a_candidate_is_not_scored_on_what_only_the_teacher_may_answer(task_call):
    it = watch()
    assert it.wants(task_call(0), 10, shadowing()) == SHADOW
    assert it.wants(task_call(1, only_teacher="logprobs"), 11, shadowing()) is None


@pytest.mark.parametrize(
    ("fields", "counted"), [({}, 1), ({"max_tokens": 16}, 1), ({"max_tokens": 2}, 0), ({"stop": ("oo",)}, 0)]
)
def test_an_answer_that_the_router_would_leave_to_the_teacher_proves_nothing(task_call, fields, counted):
    it = watch()
    feed(it, [task_call(n, **fields) for n in range(11)], shadowing(), lambda c: Scored("good", 0.95, "Good"))
    run = it.window()[-1].shadow
    assert (run.calls if run is not None else 0) == counted
