"""The router with surrogates that are late, fail or pile up; and the library path of report."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jitr.models.tasks.matching.matcher import Matcher
from jitr.router.decision import new_id
from jitr.router.reasons import Reason
from jitr.router.router import Router
from jitr.router.scoring.process import ScorerEndedError
from jitr.router.scoring.scorer_slot import SurrogateError
from jitr.router.scoring.scorers import BusyError, LoadingError
from jitr.router.snapshot import Live, View
from jitr.schemas.calls import Call, Message, Response
from jitr.schemas.coins import coin
from jitr.schemas.labels import NoLabel, no_label
from jitr.schemas.routes import Route, RouteVersion, SurrogateRef
from jitr.schemas.settings import Settings
from jitr.schemas.tasks import Signature, Task, Template

REF = SurrogateRef(version="v1", uri="/x", digest="d", encoders="ngrams")
TASK = Task(
    id="t1",
    tenant="default",
    status="task",
    signature=Signature(model="m", shape="user"),
    templates=(Template(prefix="Sentiment of:"),),
)
REQUEST = {"model": "m", "messages": [{"role": "user", "content": "Sentiment of: a lovely film"}]}
RESPONSE = {"model": "m-1", "choices": [{"message": {"content": "Bad."}}], "usage": {"prompt_tokens": 9}}


@dataclass(frozen=True)
class Said:
    label: str = "good"
    text: str = "Good."
    score: float = 0.8


class Surrogate:
    """Says what it is told to, at once or when it is let; or is refused before it is asked."""

    def __init__(self, says: Said | Exception = Said(), refusal: Exception | None = None) -> None:
        self.says, self.refusal = says, refusal
        self.read: list[str] = []
        self.deadlines: list[float | None] = []
        self.later: list[asyncio.Future[Said]] | None = None

    def ask(self, text: str, deadline_s: float | None = None) -> asyncio.Future[Said]:
        self.read.append(text)
        self.deadlines.append(deadline_s)
        if self.refusal is not None:
            raise self.refusal
        future: asyncio.Future[Said] = asyncio.get_running_loop().create_future()
        if self.later is not None:
            self.later.append(future)
        elif isinstance(self.says, Exception):
            future.set_exception(self.says)
        else:
            future.set_result(self.says)
        return future


class Kept(list[Call]):
    keeping = True

    def publish(self, call: Call, *, redacted: bool = False) -> bool:
        self.append(call)
        return True


class Fixed:
    """A snapshot of one view."""

    def __init__(self, view: View | Reason) -> None:
        self._view = view

    def view(self, tenant: str) -> View | Reason:
        return self._view


@pytest.fixture
def kept() -> Kept:
    return Kept()


def router(
    kept: Kept, surrogate: Surrogate | None = None, reason: Reason = Reason.ASK, **fields: Any
) -> Router:
    state: Any = {"ask": "active", "hold": "hold"}[reason]
    known = {"share": 1.0, "audit_rate": 0.0, "version": RouteVersion(incarnation=2, offset=7)}
    row = Route(tenant="default", task="t1", state=state, surrogate=REF, **{**known, **fields})
    live = Live(row, surrogate or Surrogate(), reason, threshold=0.8)
    return Router(Settings(), Fixed(View(Matcher([TASK]), {"t1": live})), kept, now=lambda: 12.0)  # type: ignore[arg-type]


async def test_lookup_finds_task_and_route_and_runs_no_model(kept: Kept) -> None:
    surrogate = Surrogate()
    decision = router(kept, surrogate).lookup(REQUEST)
    assert (decision.task, decision.target, decision.reason) == ("t1", "surrogate", Reason.ASK)
    assert decision.route_version == "2.7" and not decision.answered
    assert surrogate.read == [] and kept == []


async def test_a_score_at_the_threshold_is_accepted(kept: Kept) -> None:
    surrogate = Surrogate()
    decision = await router(kept, surrogate).answer(REQUEST)
    assert decision.answered and decision.answer == "Good." and decision.reason is Reason.ACCEPTED
    assert surrogate.read == ["a lovely film"]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (TimeoutError(), Reason.SURROGATE_LATE),
        (SurrogateError("no"), Reason.SURROGATE_FAILED),
        (ScorerEndedError(), Reason.SURROGATE_FAILED),
        (LoadingError(), Reason.ARTIFACT_LOADING),
    ],
)
async def test_a_surrogate_that_gives_no_answer_leaves_the_teacher(
    kept: Kept, error: Exception, reason: Reason
) -> None:
    it = router(kept, Surrogate(error))
    decision = await it.answer(REQUEST)
    assert (decision.target, decision.reason) == ("teacher", reason)
    it.report(decision, RESPONSE)
    assert kept[0].decision is not None and kept[0].decision.answer is None
    assert not kept[0].decision.accepted


@pytest.mark.parametrize(
    ("refusal", "reason"), [(BusyError(), Reason.BUSY), (LoadingError(), Reason.ARTIFACT_LOADING)]
)
async def test_a_surrogate_that_refuses_leaves_the_teacher_at_once(
    kept: Kept, refusal: Exception, reason: Reason
) -> None:
    decision = await router(kept, Surrogate(refusal=refusal)).answer(REQUEST)
    assert (decision.target, decision.reason) == ("teacher", reason)
    held = await router(kept, Surrogate(refusal=refusal), Reason.HOLD).answer(REQUEST)
    assert (held.target, held.reason, held.scoring) == ("teacher", Reason.HOLD, None)


async def test_beside_the_teacher_nobody_waits(kept: Kept) -> None:
    surrogate = Surrogate()
    await router(kept, surrogate, Reason.HOLD).answer(REQUEST)
    assert surrogate.deadlines == [None]


async def test_a_caller_waits_half_as_long_as_for_the_teacher(kept: Kept) -> None:
    surrogate = Surrogate(Said(score=0.1))
    it = router(kept, surrogate)
    for latency_s in (0.4, 30.0, 0.6, 0.5):
        it.report(await it.answer(REQUEST), RESPONSE, latency_s=latency_s)
    await it.answer(REQUEST)
    # nothing measured, 0.4, median of 0.4 and 30 is beyond the bound, 0.6, 0.55
    assert surrogate.deadlines == pytest.approx([0.15, 0.2, 0.5, 0.3, 0.275])


async def test_what_a_surrogate_or_a_refusal_took_is_no_time_of_the_teacher(kept: Kept) -> None:
    surrogate = Surrogate()
    it = router(kept, surrogate, audit_rate=1.0)
    it.report(await it.answer(REQUEST), RESPONSE, latency_s=0.001)
    it.report(await it.answer(REQUEST, skip=True), None, error="HTTP 429", latency_s=0.001)
    await it.answer(REQUEST)
    assert surrogate.deadlines[-1] == pytest.approx(0.15)


async def test_in_a_hold_report_waits_for_the_score_and_nobody_else_does(kept: Kept) -> None:
    surrogate = Surrogate()
    surrogate.later = []
    it = router(kept, surrogate, Reason.HOLD)
    decision = await it.answer(REQUEST)
    assert decision.target == "teacher" and decision.held
    it.report(decision, RESPONSE)
    assert kept == []
    surrogate.later[0].set_result(Said(score=0.79))
    await it.close()
    await asyncio.sleep(0)
    [call] = kept
    assert call.decision is not None and call.response is not None
    assert (call.decision.score, call.decision.accepted, call.decision.held) == (0.79, False, True)


async def test_a_surrogate_that_fails_in_a_hold_costs_the_score_and_not_the_call(kept: Kept) -> None:
    it = router(kept, Surrogate(SurrogateError("no")), Reason.HOLD)
    it.report(await it.answer(REQUEST), RESPONSE)
    await it.close()
    await asyncio.sleep(0)
    assert kept[0].response is not None and kept[0].decision is not None and kept[0].decision.score is None


async def test_reporting_an_audit_publishes_both_answers(kept: Kept) -> None:
    it = router(kept, audit_rate=1.0)
    decision = await it.answer(REQUEST)
    assert decision.answered and decision.due
    it.report(decision, RESPONSE, latency_s=0.1, cost_usd=0.01)
    [call] = kept
    assert call.id == decision.id and call.time == 12.0
    assert call.response is not None and call.response.text == "Bad." and call.usage.input_tokens == 9
    assert call.decision is not None and call.decision.answer == "Good." and call.decision.due
    assert (call.latency_s, call.cost_usd) == (0.1, 0.01)


async def test_a_canonical_call_is_decided_and_reported_too(kept: Kept) -> None:
    message = Message(role="user", content="Sentiment of: dull")
    call = Call(id="own", model="m", messages=(message,), time=3.0)
    it = router(kept)
    decision = await it.answer(call)
    it.report(decision, Response(text="Good."))
    assert kept[0].id == "own" and kept[0].time == 3.0
    assert kept[0].decision is not None and kept[0].decision.id == decision.id != "own"


async def test_a_response_that_cannot_be_read_is_an_error_and_no_label(kept: Kept) -> None:
    it = router(kept)
    it.report(it.lookup(REQUEST), {"choices": 3})
    assert kept[0].response is None and kept[0].error is not None and "choices" in kept[0].error


async def test_a_fault_of_ours_leaves_the_teacher(kept: Kept) -> None:
    class Broken:
        def match(self, call: Call) -> None:
            raise RuntimeError("no")

    it = Router(Settings(), Fixed(View(Broken())), kept)  # type: ignore[arg-type]
    decision = await it.answer(REQUEST)
    assert (decision.target, decision.reason) == ("teacher", Reason.FAILED)


@pytest.mark.parametrize("reason", [Reason.NO_SNAPSHOT, Reason.LEASE_EXPIRED])
async def test_without_a_view_the_teacher_answers(reason: Reason, kept: Kept) -> None:
    decision = await Router(Settings(), Fixed(reason), kept).answer(REQUEST)  # type: ignore[arg-type]
    assert (decision.target, decision.reason, decision.task) == ("teacher", reason, None)


async def test_an_unreadable_request_is_the_teachers_and_its_event_says_why(kept: Kept) -> None:
    it = router(kept)
    decision = await it.answer({"model": "m", "messages": [{"role": 3}]}, tenant="acme")
    assert decision.reason is Reason.UNREADABLE
    it.report(decision, RESPONSE, status=200)
    (call,) = kept
    assert (call.messages, call.model, call.tenant, call.status) == ((), "m", "acme", 200)
    assert call.error == "the request is not read: $.request.messages[0].role: is required, a text"
    assert call.decision is not None
    assert (call.decision.id, call.decision.reason) == (decision.id, "unreadable")


async def test_a_request_that_is_refused_too_says_both(kept: Kept) -> None:
    it = router(kept)
    it.report(it.unread(Reason.UNREADABLE, "it is no JSON object"), error="400: Bad body.", status=400)
    (call,) = kept
    assert call.error == "the request is not read: it is no JSON object; 400: Bad body."
    assert no_label(call) is NoLabel.REFUSED


async def test_a_request_that_is_too_long_leaves_an_event_without_its_texts(kept: Kept) -> None:
    it = router(kept)
    decision = await it.answer({"model": "m", "messages": [{"role": "user", "content": "x" * 1_000_001}]})
    assert decision.reason is Reason.TOO_LONG
    it.report(decision, RESPONSE)
    assert kept[0].messages == () and "at most 1,000,000 are" in str(kept[0].error)


async def test_an_answer_without_text_is_accepted_by_no_gate(kept: Kept) -> None:
    for text in ("", " \n", "\u200b"):
        decision = await router(kept, Surrogate(Said("good", text, 1.0))).answer(REQUEST)
        assert (decision.target, decision.accepted) == ("teacher", False)


async def test_a_picture_is_for_the_teacher(kept: Kept) -> None:
    parts = [
        {"type": "text", "text": "Sentiment of: this"},
        {"type": "image_url", "image_url": {"url": "data:,"}},
    ]
    decision = await router(kept).answer({"model": "m", "messages": [{"role": "user", "content": parts}]})
    assert decision.reason is Reason.MEDIA


@given(st.text(max_size=40))
def test_coins_lie_in_the_unit_interval(id: str) -> None:
    assert 0.0 <= coin(id, "audit") < 1.0
    assert 0.0 <= coin(id, "canary") < 1.0


def test_the_coins_of_two_purposes_are_uniform_and_independent() -> None:
    ids = [f"id-{n}" for n in range(20_000)]
    cells = [0, 0, 0, 0]
    for id in ids:
        cells[2 * (coin(id, "audit") < 0.2) + (coin(id, "canary") < 0.5)] += 1
    # four standard deviations of a binomial count
    for found, p in zip(cells, (0.4, 0.4, 0.1, 0.1), strict=True):
        assert abs(found - 20_000 * p) < 4 * (20_000 * p * (1 - p)) ** 0.5


def test_ids_are_unique() -> None:
    assert len({new_id() for _ in range(10_000)}) == 10_000


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, Reason.ACCEPTED),
        ({"max_tokens": 16}, Reason.ACCEPTED),
        ({"max_tokens": 1}, Reason.MAX_TOKENS),
        ({"max_completion_tokens": 2}, Reason.MAX_TOKENS),
        ({"stop": ["\n"]}, Reason.ACCEPTED),
        ({"stop": "oo"}, Reason.STOP),
    ],
)
async def test_an_answer_that_the_teacher_would_have_had_to_cut_is_left_to_it(
    kept: Kept, fields: dict[str, Any], reason: Reason
) -> None:
    it = router(kept)
    decision = await it.answer(REQUEST | fields)
    assert decision.reason is reason
    assert decision.answered is decision.accepted is (reason is Reason.ACCEPTED)
    it.report(decision, None if decision.answered else RESPONSE)
    assert kept[0].decision is not None
    # what the teacher said in its place is no evidence for or against it
    assert kept[0].decision.accepted is decision.accepted


async def test_in_a_hold_an_answer_that_would_have_been_cut_counts_for_nothing(kept: Kept) -> None:
    it = router(kept, None, Reason.HOLD)
    for fields in ({"max_tokens": 1}, {"max_tokens": 16}):
        decision = await it.answer(REQUEST | fields)
        assert decision.scoring is not None
        await decision.scoring
        it.report(decision, RESPONSE)
    assert [call.decision.accepted for call in kept if call.decision] == [False, True]


async def test_what_only_the_teacher_answers_runs_no_surrogate(kept: Kept) -> None:
    surrogate = Surrogate()
    decision = await router(kept, surrogate).answer(REQUEST | {"temperature": 5})
    assert (decision.target, decision.reason, decision.task) == ("teacher", Reason.INVALID, "t1")
    assert surrogate.read == []


async def test_a_setting_says_that_a_parameter_is_harmless(kept: Kept) -> None:
    asked = REQUEST | {"service_tier": "flex", "my_tag": "a"}
    assert router(kept).lookup(asked).reason is Reason.SERVICE_TIER
    it = router(kept)
    settings = Settings.load(flags={"gateway.harmless": ["service_tier", "my_tag"]}, environ={})
    assert Router(settings, it._snapshot, kept).lookup(asked).reason is Reason.ASK
