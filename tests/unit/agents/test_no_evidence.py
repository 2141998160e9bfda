"""What is no label teaches nothing and speaks neither for a surrogate nor against it: detect to audit."""

import asyncio
from collections import Counter

import pytest

from jitr.agents.auditing.audit import Audit
from jitr.agents.collecting.collect import Collect
from jitr.agents.detect import Detect, Limiter
from jitr.agents.runtime.handler import SourcePartition
from jitr.schemas.calls import Call, DecisionStamp, Response
from jitr.schemas.evidence import Alarm, AuditWindow, Demotion
from jitr.schemas.routes import Proof, Route, RouteVersion, ShadowRun, SurrogateRef, SurrogateTarget
from jitr.schemas.trainings import Training

PROOF = Proof(
    kind="later", target=0.9, delta=0.05, bound=0.9, calls=200, agreed=198, coverage=0.9, threshold=0.5
)
LIVE = SurrogateRef(version="live", uri="u", digest="d", encoders="b", state="certified", proof=PROOF)
SHADOW = SurrogateRef(
    version="new", uri="u", digest="e", encoders="b", shares=(1.0,), thresholds=(0.0,), forecast=(0.99,)
)

# the fields of a call, and why it is no evidence
NONE = {
    "a bad key": ({"status": 401, "error": "401: Incorrect API key"}, "refused"),
    "a bad request": ({"status": 400, "error": "400: max_tokens is too large"}, "refused"),
    "too many requests": ({"status": 429, "error": "429: Slow down."}, "refused"),
    "an upstream's fault": ({"status": 503, "error": "503: the body is no JSON"}, "refused"),
    "an outage": ({"error": "cannot connect"}, "failed"),
    "an answer that cannot be read": ({"status": 200, "error": "200: the body is no JSON"}, "failed"),
    "nothing at all": ({}, "unanswered"),
    "max_tokens": ({"response": Response(text="Ba", finish_reason="length")}, "cut_short"),
    "a stop sequence": ({"response": Response(text="Ba"), "stop": ("d",)}, "cut_short"),
    "a filter": ({"response": Response(text="Ba", finish_reason="content_filter")}, "filtered"),
    "an error at the end": ({"response": Response(text="Bad", finish_reason="error")}, "failed"),
    "no end": ({"response": Response(text="Bad", finish_reason="")}, "unfinished"),
    "a tool": ({"response": Response(text="", finish_reason="stop", tool_calls='[["f","{}"]]')}, "tool_call"),
    "no text": ({"response": Response(text="", finish_reason="stop")}, "empty"),
}
NONES = pytest.mark.parametrize(("fields", "why"), NONE.values(), ids=NONE)


class Agrees:
    """In the place of the scorer's process."""

    async def answers(self, ref, texts):
        return [("good", 0.95) for _ in texts]


class Agents:
    """Detect, and behind it collect and audit."""

    def __init__(self, bench, mood, delivered):
        bench.know(mood)
        self.bench, self.delivered, self.offset = bench, delivered, 100
        self.detect = Detect(bench.context, Limiter(1e9))
        self.collect, self.audit = (
            Collect(bench.context, SourcePartition("c", 0)),
            Audit(bench.context, Agrees()),
        )

    def play(self, calls):
        """All that collect and audit say to these calls."""
        topic = self.bench.context.topics.task_calls.name
        made = [o.record for o in self.detect.handle(self.delivered(calls)) if o.topic == topic]
        assert len(made) == len(calls)
        batch = self.delivered(made, self.offset)
        self.offset += len(made)
        told = [*self.collect.handle(batch), *asyncio.run(self.audit.handle(batch)), *self.audit.flush()]
        return [output.record for output in told]


@pytest.fixture
def agents(bench, mood, delivered):
    return Agents(bench, mood, delivered)


def active(**fields):
    base = {"state": "active", "target": SurrogateTarget(version="live"), "surrogate": LIVE}
    return Route(tenant="t", task="mood", version=RouteVersion(offset=3), audit_rate=0.2, **(base | fields))


def calls_of(message, n, decision=None, **fields):
    """Calls a second apart; of those with a decision every fifth is an audit."""
    made = []
    for k in range(n):
        stamp = decision(k) if decision is not None else None
        asked = stamp is None or stamp.due or stamp.target == "teacher"
        base = {"id": f"c{k}", "tenant": "t", "model": "m", "messages": message(f"Mood of: day {k}")}
        made.append(Call(**base, time=1e9 + k, decision=stamp, **(fields if asked else {})))
    return made


def answered(k):
    base = {"id": f"d{k}", "task": "mood", "route_version": "0.3", "surrogate": "live", "target": "surrogate"}
    said = {"answer": "Good", "label": "good", "score": 0.95, "accepted": True, "audit_rate": 0.2}
    return DecisionStamp(**base, **said, due=k % 5 == 0, coin=0.1 if k % 5 == 0 else 0.9)


def held(k):
    base = {"id": f"d{k}", "task": "mood", "route_version": "0.3", "surrogate": "live", "target": "teacher"}
    said = {"answer": "Good", "label": "good", "score": 0.95, "accepted": True, "audit_rate": 1.0}
    return DecisionStamp(**base, **said, held=True, coin=0.5)


def kinds(told):
    return Counter(type(record) for record in told)


@NONES
def test_audits_without_a_label_take_no_route_away(bench, agents, message, fields, why):
    bench.route(active())
    told = agents.play(calls_of(message, 5_000, answered, **fields))
    assert not kinds(told)[Alarm] and not kinds(told)[Demotion]
    windows = [record for record in told if isinstance(record, AuditWindow)]
    assert sum(w.accepted for w in windows) == 5_000
    assert sum(w.audits for w in windows) == 0
    assert agents.audit.results == {"counted": 4_000, f"audit_{why}": 1_000}


@NONES
def test_a_hold_is_not_decided_by_what_is_no_label(bench, agents, message, fields, why):
    bench.route(active(state="hold", resume="active"))
    told = agents.play(calls_of(message, 2_000, held, **fields))
    assert set(kinds(told)) == {AuditWindow}


@NONES
def test_nothing_is_learned_from_what_is_no_label(bench, agents, message, fields, why):
    told = agents.play(calls_of(message, 300, **fields))
    assert not kinds(told)[Training]
    assert agents.collect.results == {f"no_label_{why}": 300}


@NONES
def test_no_candidate_is_proved_or_refuted_by_what_is_no_label(bench, agents, message, fields, why):
    bench.route(Route(tenant="t", task="mood", candidate=SHADOW))
    told = agents.play(calls_of(message, 1_500, **fields))
    assert set(kinds(told)) == {AuditWindow}
    assert all(record.shadow in (None, ShadowRun(version="new", calls=0)) for record in told)


@pytest.mark.parametrize("stop", [(), ("d",)])
def test_whole_answers_that_disagree_hold_and_then_demote(bench, agents, message, stop):
    said = {"response": Response(text="Bad"), "status": 200, "stop": stop}
    bench.route(active())
    assert kinds(agents.play(calls_of(message, 500, answered, **said)))[Alarm]
    bench.route(active(state="hold", resume="active"))
    assert kinds(agents.play(calls_of(message, 500, held, **said)))[Demotion]


def test_whole_answers_that_agree_are_audits_and_labels(bench, agents, message):
    bench.route(active())
    told = agents.play(calls_of(message, 5_000, answered, response=Response(text="Good"), status=200))
    windows = [record for record in told if isinstance(record, AuditWindow)]
    assert (sum(w.audits for w in windows), sum(w.agreed for w in windows)) == (1_000, 1_000)
    assert not kinds(told)[Alarm]
    assert agents.collect.results == {"label": 1_000, "no_label_unanswered": 4_000}


def test_audits_that_never_come_go_back_to_the_teacher(bench, agents, message):
    bench.route(active())
    came = [c for c in calls_of(message, 3_000, answered) if not c.decision.due]
    alarms = [record for record in agents.play(came) if isinstance(record, Alarm)]
    assert alarms[0].monitor == "blind"
