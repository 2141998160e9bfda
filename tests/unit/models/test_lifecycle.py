"""The two machines: every arrow, and what does not fit."""

from typing import Any

import msgspec
import pytest

from jitr.models import lifecycle
from jitr.models.lifecycle import Verb, check, fits, live, on_offer, shadowed, training_due
from jitr.schemas.errors import TransitionError
from jitr.schemas.evidence import (
    Alarm,
    AuditWindow,
    Certified,
    Command,
    Demotion,
    Evidence,
    Futile,
    Resume,
    Tick,
    Trained,
    TrainingFailed,
    Withheld,
)
from jitr.schemas.money import Money
from jitr.schemas.policy import Policy
from jitr.schemas.routes import (
    Proof,
    Route,
    RouteVersion,
    ShadowRun,
    SurrogateRef,
    SurrogateTarget,
    TeacherTarget,
)

AUTO, MANUAL = Policy(approval="auto"), Policy()


class Life:
    """One task's row, fed with evidence at growing offsets."""

    def __init__(self, policy: Policy = AUTO) -> None:
        self.policy, self.row, self.n = policy, Route(tenant="t", task="k"), 0

    def tell(self, kind: type[Evidence], **fields: Any) -> lifecycle.Step:
        self.n += 1
        evidence = kind(id=f"e{self.n}", tenant="t", task="k", time=float(self.n), **fields)
        step = lifecycle.next(self.row, evidence, self.policy, RouteVersion(incarnation=1, offset=self.n))
        self.row = step.route
        return step

    def trained(self, version: str = "v1", labels: int = 300, **fields: Any) -> lifecycle.Step:
        ref = SurrogateRef(version=version, uri="u", digest="d", encoders="ngrams", labels=labels)
        asked = {"training": "tr", "demotions": self.row.demotions, "cost_usd": 0.25}
        return self.tell(Trained, surrogate=ref, output="label", **(asked | fields))

    def withheld(self, cause: str | None) -> lifecycle.Step:
        return self.tell(Withheld, cause=cause, reason=f"because of {cause}")

    def certified(self, version: str = "v1", **proof: Any) -> lifecycle.Step:
        fields = {
            "kind": "later",
            "target": 0.95,
            "delta": 0.05,
            "bound": 0.96,
            "calls": 200,
            "agreed": 198,
            "coverage": 0.7,
            "threshold": 0.8,
        }
        return self.tell(Certified, surrogate=version, proof=Proof(**(fields | proof)))

    def window(self, version: str | None = "v1", audits: int = 100, agreed: int = 98) -> lifecycle.Step:
        spent = Money(audit_calls=audits, audit_usd=0.01 * audits)
        return self.tell(
            AuditWindow,
            surrogate=version,
            calls=800,
            accepted=500,
            audits=audits,
            agreed=agreed,
            audit_rate=0.05,
            money=spent,
        )

    def alarm(self, version: str = "v1", monitor: str = "cusum") -> lifecycle.Step:
        return self.tell(
            Alarm, surrogate=version, monitor=monitor, statistic=5.1, threshold=5.0, reason="audits disagree"
        )

    def resume(self, version: str = "v1") -> lifecycle.Step:
        return self.tell(Resume, surrogate=version, scored=300, disagreement=0.03)

    def demotion(self, version: str = "v1") -> lifecycle.Step:
        seen = {"e_value": 11.0, "threshold": 10.0, "scored": 400, "disagreement": 0.2}
        return self.tell(Demotion, surrogate=version, since_offset=700, **seen)

    def say(self, verb: Verb) -> lifecycle.Step:
        return self.tell(Command, verb=verb, by="ann")

    def to_canary(self) -> "Life":
        self.trained()
        self.certified()
        if self.policy.approval == "manual":
            self.say("approve")
        assert self.row.state == "canary"
        return self

    def to_active(self) -> "Life":
        self.to_canary().window()
        assert self.row.state == "active"
        return self


def assert_teacher_answers(row: Route) -> None:
    assert row.target == TeacherTarget()
    assert (row.share, row.audit_rate) == (0.0, 0.0)


def test_a_life_with_approval_from_the_first_training_to_full_service() -> None:
    life = Life(MANUAL)
    assert life.trained().moved
    assert (life.row.state, life.row.money.train_usd) == ("teacher", 0.25)
    assert life.certified().moved
    assert life.row.state == "offered"
    assert_teacher_answers(life.row)
    assert life.say("approve").moved
    assert (life.row.state, life.row.share, life.row.audit_rate) == ("canary", 0.1, 0.2)
    assert life.row.target == SurrogateTarget(version="v1")
    assert not life.window(audits=60, agreed=59).moved
    assert life.row.audit_rate == 0.05
    assert life.window(audits=60, agreed=59).moved
    assert (life.row.state, life.row.share, life.row.audits, life.row.agreed) == ("active", 1.0, 120, 118)
    assert life.row.first_active == life.row.since == 5.0
    assert life.row.calls == 1_600


def test_with_automatic_approval_a_certificate_is_enough() -> None:
    assert Life(AUTO).to_active().row.holds == 0


def test_a_canary_whose_audits_lie_below_the_target_is_not_promoted() -> None:
    life = Life().to_canary()
    life.window(audits=100, agreed=90)
    assert life.row.state == "canary"
    life.window(audits=100, agreed=99)
    assert life.row.state == "active"


def test_an_alarm_holds_and_the_hold_returns_to_where_it_was() -> None:
    for life, state in ((Life().to_canary(), "canary"), (Life().to_active(), "active")):
        assert life.alarm().moved
        assert (life.row.state, life.row.resume, life.row.share, life.row.holds) == ("hold", state, 0.0, 1)
        assert life.row.target == SurrogateTarget(version="v1")
        assert not life.alarm().moved
        assert life.resume().moved
        assert (life.row.state, life.row.resume, life.row.audit_rate) == (state, None, 0.2)
        assert life.row.share > 0


def test_only_the_demotion_test_demotes_and_says_why() -> None:
    life = Life().to_active()
    life.tell(Tick, labels=420)
    life.alarm()
    step = life.demotion()
    assert life.row.state == "demoted"
    assert "0.200 of 400" in step.reason == life.row.reason
    assert_teacher_answers(life.row)
    assert (life.row.demotions, life.row.labels_at_demotion) == (1, 420)
    assert live(life.row) is None
    assert life.row.surrogate is not None
    assert life.row.surrogate.state == "retired"


def test_after_a_demotion_a_new_version_can_earn_the_route_again() -> None:
    life = Life().to_active()
    life.demotion()
    life.trained("v2", labels=600)
    assert life.row.state == "demoted"
    life.certified("v2")
    assert life.row.state == "canary"
    assert (life.row.accepted, life.row.audits) == (0, 0)
    assert life.row.calls == 800


def test_nothing_taught_before_the_break_comes_after_it() -> None:
    life = Life().to_active()
    life.trained("v2", 600)
    life.demotion()
    assert life.row.since_offset == 700
    assert shadowed(life.row) is None
    step = life.trained("v3", 600, demotions=0)
    assert "before the last demotion" in step.reason
    assert shadowed(life.row) is None
    assert life.row.money.train_usd == 0.75
    life.trained("v4", 700)
    assert shadowed(life.row) is not None


def test_why_no_training_is_asked_for_stands_in_the_row_and_once_in_the_ledger() -> None:
    life = Life()
    assert life.withheld("cost").moved
    assert life.row.reason == life.row.withheld.reason == "because of cost"
    assert not life.withheld("cost").moved
    assert life.withheld(None).moved
    assert life.row.withheld is None
    assert not life.withheld(None).moved


def test_a_teacher_that_contradicts_itself_ends_no_shadow_run_which_asks_the_same_of_accepted_calls() -> None:
    life = Life()
    life.trained()
    assert life.withheld("self_agreement").moved
    assert shadowed(life.row) is not None
    assert life.trained("v2", 600).moved
    life.certified("v2")
    assert life.row.state == "canary"


def test_what_is_proved_stays_when_the_teacher_is_found_to_contradict_itself() -> None:
    life = Life().to_active()
    before = life.row.reason
    assert life.withheld("self_agreement").moved
    assert (life.row.state, life.row.reason) == ("active", before)
    assert life.row.withheld is not None


def test_a_pause_keeps_its_reason_whatever_comes_of_what_was_under_way() -> None:
    life = Life().to_active()
    life.trained("v2", 600)
    life.say("pause")
    reason = life.row.reason
    assert reason.startswith("pause by")
    for told in (life.alarm(), life.certified("v2"), life.withheld("cost")):
        assert told.moved
        assert (life.row.state, life.row.reason) == ("paused", reason)


def test_blind_goes_back_to_the_teacher_and_waits_for_a_person() -> None:
    life = Life().to_active()
    assert "blind" in life.alarm(monitor="blind").reason
    assert life.row.state == "offered"
    assert_teacher_answers(life.row)
    assert live(life.row) is None
    life.say("approve")
    assert life.row.state == "canary"


def test_a_futile_candidate_is_rejected_and_the_old_version_stays() -> None:
    life = Life().to_active()
    life.trained("v2", 600)
    life.tell(Futile, surrogate="v2", reason="agreement 0.90 is below the target", calls=300)
    assert life.row.state == "active"
    assert shadowed(life.row) is None
    assert life.row.rejections == 1


def test_a_newer_version_shadows_while_the_old_one_answers_and_then_takes_its_place() -> None:
    life = Life(MANUAL).to_active()
    life.trained("v2", 600)
    assert life.row.target == SurrogateTarget(version="v1")
    life.certified("v2", coverage=0.8)
    assert life.row.state == "active"
    assert on_offer(life.row)
    assert life.say("approve").refused
    life.say("promote")
    assert (life.row.state, life.row.target) == ("canary", SurrogateTarget(version="v2"))
    assert life.row.candidate is None


def test_by_itself_a_newer_version_replaces_only_one_that_covers_no_more() -> None:
    worse, better = Life().to_active(), Life().to_active()
    for life, coverage in ((worse, 0.5), (better, 0.9)):
        life.trained("v2", 600)
        life.certified("v2", coverage=coverage)
    assert worse.row.target == SurrogateTarget(version="v1")
    assert "covers more" in worse.row.reason
    assert better.row.target == SurrogateTarget(version="v2")


def test_a_candidate_is_retired_by_a_newer_one_and_its_evidence_moves_nothing_any_more() -> None:
    life = Life(MANUAL)
    life.trained("v1")
    assert "v1 is retired" in life.trained("v2", 600).reason
    assert not life.certified("v1").moved
    assert life.row.state == "teacher"


def test_an_offer_stays_when_a_training_ends_that_was_asked_for_before_it() -> None:
    life = Life(MANUAL)
    life.trained()
    life.certified()
    before = life.row.money.train_usd
    assert "is rejected: v1 is proved and on offer" in life.trained("v2", 600).reason
    assert life.row.state == "offered"
    assert life.row.money.train_usd > before
    assert not life.say("approve").refused
    assert live(life.row).version == "v1"


@pytest.mark.parametrize(
    "proof", [{"kind": "loo"}, {"target": 0.9, "bound": 0.93}], ids=["measured only", "another target"]
)
def test_what_does_not_prove_the_target_is_no_certificate(proof: dict[str, Any]) -> None:
    life = Life()
    life.trained()
    assert "does not prove" in life.certified(**proof).reason
    assert life.row.state == "teacher"


def test_a_failed_training_is_noted_and_paid() -> None:
    life = Life()
    step = life.tell(TrainingFailed, training="tr", reason="one label only", labels=300, cost_usd=0.1)
    assert "one label only" in step.reason
    assert (life.row.money.train_usd, life.row.labels_at_demotion) == (0.1, 300)


def test_the_same_training_published_again_is_paid_once() -> None:
    life = Life()
    life.trained()
    assert not life.trained().moved
    assert life.row.money.train_usd == 0.25


@pytest.mark.parametrize("state", ["teacher", "offered", "canary", "active", "hold", "demoted"])
def test_any_state_can_be_paused_and_comes_back(state: str) -> None:
    life = Life(MANUAL)
    if state == "offered":
        life.trained()
        life.certified()
    elif state == "canary":
        life.to_canary()
    elif state != "teacher":
        life.to_active()
        if state in ("hold", "demoted"):
            life.alarm()
        if state == "demoted":
            life.demotion()
    assert life.row.state == state
    before = life.row
    life.say("pause")
    assert life.row.state == "paused"
    assert_teacher_answers(life.row)
    assert life.say("pause").refused
    life.say("unpause")
    assert (life.row.state, life.row.target, life.row.share) == (state, before.target, before.share)


def test_a_paused_route_keeps_what_happens_to_it_meanwhile() -> None:
    held = Life().to_active()
    held.say("pause")
    held.alarm()
    held.say("unpause")
    assert held.row.state == "hold"
    broken = Life().to_active()
    broken.say("pause")
    broken.demotion()
    broken.say("unpause")
    assert broken.row.state == "demoted"
    assert_teacher_answers(broken.row)
    proved = Life(MANUAL)
    proved.trained()
    proved.say("pause")
    proved.certified()
    assert proved.row.state == "paused"
    proved.say("unpause")
    assert proved.row.state == "offered"


def test_a_hold_that_was_paused_comes_back_as_a_canary_at_most() -> None:
    life = Life().to_active()
    life.alarm()
    life.say("pause")
    life.resume()
    life.say("unpause")
    assert life.row.state == "canary"


def test_a_hold_that_was_paused_is_a_hold_again_and_remembers_a_canary() -> None:
    life = Life().to_active()
    life.alarm()
    life.say("pause")
    life.say("unpause")
    assert (life.row.state, life.row.resume) == ("hold", "canary")


def test_rollback_gives_every_call_back_to_the_teacher() -> None:
    life = Life().to_active()
    life.say("rollback")
    assert life.row.state == "teacher"
    assert_teacher_answers(life.row)
    assert live(life.row) is None
    assert life.say("rollback").refused


def test_a_command_that_does_not_fit_is_refused_with_a_reason_and_changes_nothing() -> None:
    life = Life()
    before = life.row
    step = life.say("approve")
    assert step.refused
    assert not step.moved
    assert step.reason == fits(before, "approve")
    assert msgspec.structs.replace(life.row, version=before.version, seen=()) == before
    with pytest.raises(TransitionError, match="nothing is on offer"):
        check(before, "approve")


def test_evidence_about_a_version_that_is_neither_live_nor_candidate_changes_nothing() -> None:
    life = Life().to_active()
    for tell in (life.alarm, life.resume, life.demotion, life.certified):
        before = life.row
        step = tell("v0")
        assert not step.moved
        assert "v0 is not" in step.reason
        assert msgspec.structs.replace(life.row, version=before.version, seen=before.seen) == before


def test_dollars_of_a_retired_version_are_counted_but_its_audits_are_not() -> None:
    life = Life().to_active()
    life.demotion()
    before = life.row
    life.window("v1")
    assert life.row.money.audit_calls == before.money.audit_calls + 100
    assert (life.row.audits, life.row.audit_rate) == (before.audits, 0.0)


def test_the_row_tells_of_the_shadow_run_in_progress_and_forgets_it_after() -> None:
    life, run = Life(), ShadowRun(version="v1", calls=120, forecast_calls=400)
    life.tell(AuditWindow, calls=50, shadow=run)
    assert life.row.shadow == run and lifecycle.shadow_run(life.row) is None  # no such candidate is known
    row = msgspec.structs.replace(
        life.row, candidate=SurrogateRef(version="v1", uri="", digest="", encoders="")
    )
    assert lifecycle.shadow_run(row) == run
    life.tell(AuditWindow, calls=50)
    assert life.row.shadow is None


def test_a_copy_at_a_later_offset_counts_once() -> None:
    life = Life().to_canary()
    evidence = AuditWindow(id="w", tenant="t", task="k", time=9.0, surrogate="v1", calls=5)
    first = lifecycle.next(life.row, evidence, AUTO, RouteVersion(incarnation=1, offset=50))
    copy = lifecycle.next(first.route, evidence, AUTO, RouteVersion(incarnation=1, offset=51))
    assert copy.route.calls == first.route.calls == 5
    assert "copy" in copy.reason


def test_a_new_incarnation_of_the_topic_is_newer_than_any_offset() -> None:
    life = Life().to_canary()
    tick = Tick(id="n", tenant="t", task="k", time=1.0, labels=999)
    assert lifecycle.next(life.row, tick, AUTO, RouteVersion(incarnation=2, offset=0)).route.labels == 999
    assert lifecycle.next(life.row, tick, AUTO, RouteVersion(incarnation=0, offset=10**9)).route == life.row


def test_labels_never_shrink() -> None:
    life = Life()
    life.tell(Tick, labels=50)
    life.tell(Tick, labels=40)
    assert life.row.labels == 50


def test_the_repeats_in_the_row_are_those_of_the_newest_count() -> None:
    life = Life()
    life.tell(Tick, labels=50, repeats=9, repeats_agreed=8)
    life.tell(Tick, labels=40, repeats=7, repeats_agreed=7)
    assert (life.row.repeats, life.row.repeats_agreed) == (9, 8)
    # after a break they are counted anew
    life.tell(Tick, labels=60, repeats=1, repeats_agreed=1)
    assert (life.row.repeats, life.row.repeats_agreed) == (1, 1)


class TestTrainingIsDue:
    def test_at_the_first_labels_and_at_doublings_without_a_route(self) -> None:
        asked = [n for n in (1, 299, 300, 301) if training_due(n, 0, None, MANUAL)]
        assert asked == [300, 301]
        assert not training_due(599, 300, None, MANUAL)
        assert training_due(600, 300, None, MANUAL)

    def test_a_candidate_in_shadow_waits_for_a_doubling_and_not_for_a_cool_down(self) -> None:
        life = Life(MANUAL)
        life.trained()
        assert not training_due(599, 300, life.row, MANUAL)
        assert training_due(600, 300, life.row, MANUAL)

    def test_never_while_a_candidate_waits_or_the_route_is_paused(self) -> None:
        life = Life(MANUAL)
        life.trained()
        life.certified()
        assert not training_due(10_000, 300, life.row, MANUAL)
        life.say("approve")
        assert training_due(10_000, 300, life.row, MANUAL)
        life.say("pause")
        assert not training_due(10_000, 300, life.row, MANUAL)

    def test_once_after_the_cool_down_of_a_demotion(self) -> None:
        life = Life().to_active()
        life.tell(Tick, labels=2_000)
        life.demotion()
        assert not training_due(2_499, 1_900, life.row, MANUAL)
        assert training_due(2_500, 1_900, life.row, MANUAL)
        assert not training_due(3_100, 2_500, life.row, MANUAL)  # its outcome is still to come

    def test_after_a_demotion_labels_from_before_the_break_do_not_count(self) -> None:
        life = Life().to_active()
        life.tell(Tick, labels=2_000)
        life.demotion()
        assert not training_due(2_499, 1_900, life.row, MANUAL, before_break=1_950)
        assert training_due(2_500, 1_900, life.row, MANUAL, before_break=1_950)
        # too few of the new ones, however long ago the demotion was
        assert not training_due(5_249, 1_900, life.row, MANUAL, before_break=4_950)
        life.trained("v2", 2_500)
        # doublings are of the new ones
        assert not training_due(3_049, 2_500, life.row, MANUAL, before_break=1_950)
        assert training_due(3_050, 2_500, life.row, MANUAL, before_break=1_950)

    def test_once_after_the_cool_down_of_a_rejection_or_failure(self) -> None:
        rejected, failed = Life(), Life()
        rejected.trained(labels=3_000)
        rejected.tell(Futile, surrogate="v1", reason="hopeless")
        failed.tell(TrainingFailed, training="tr", reason="too slow", labels=3_000)
        for life in (rejected, failed):
            assert not training_due(3_499, 3_000, life.row, MANUAL)
            assert training_due(3_500, 3_000, life.row, MANUAL)

    def test_beside_a_live_version_only_at_doublings(self) -> None:
        life = Life().to_active()
        life.trained("v2", 600)
        life.tell(Futile, surrogate="v2", reason="hopeless")
        assert not training_due(1_150, 600, life.row, MANUAL)
        assert training_due(1_200, 600, life.row, MANUAL)
