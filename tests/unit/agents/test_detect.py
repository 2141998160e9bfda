"""detect says which task a call is, and loses none."""

import dataclasses

import msgspec
import pytest

from jitr.agents.detect import MATCHED, Detect, Limiter
from jitr.schemas.calls import MOST_BYTES, Call, DecisionStamp, Response
from jitr.schemas.errors import RecordError
from jitr.schemas.events import Event
from jitr.schemas.sections import GatewaySettings
from jitr.schemas.tasks import TaskCall


def call(message, n=0, text="Mood of: fine weather", **fields):
    base = {"id": f"c{n}", "tenant": "t", "model": "m", "messages": message(text), "time": 1.0}
    return Call(**(base | {"response": Response(text="Good")} | fields))


def detect(bench, delivered, *calls):
    return Detect(bench.context, Limiter(1e9)).handle(delivered(calls))


def of(outputs, topic):
    return [o.record for o in outputs if o.topic == topic.name]


def test_a_matching_call_becomes_a_task_call_and_mine_may_learn_from_it(bench, mood, message, delivered):
    bench.know(mood)
    outputs = detect(bench, delivered, call(message))
    (made,) = of(outputs, bench.context.topics.task_calls)
    assert isinstance(made, TaskCall)
    assert (made.task, made.input, made.label) == ("mood", "fine weather", "good")
    (told,) = of(outputs, bench.context.topics.unmatched)
    assert told.metadata == {MATCHED: "mood"}


def test_a_call_that_matches_nothing_is_keyed_by_its_tenant(bench, mood, message, delivered):
    bench.know(mood)
    (output,) = detect(bench, delivered, call(message, text="Who was Ada Lovelace?"))
    assert (output.topic, output.key, output.id) == (bench.context.topics.unmatched.name, "t", "c0")


def test_a_task_found_meanwhile_is_matched_from_then_on(bench, mood, message, delivered):
    detector = Detect(bench.context, Limiter(1e9))
    assert not of(detector.handle(delivered([call(message)])), bench.context.topics.task_calls)
    bench.know(mood)
    assert of(detector.handle(delivered([call(message)])), bench.context.topics.task_calls)


def test_a_call_keeps_the_task_that_our_router_stamped_on_it(bench, mood, message, delivered):
    bench.know(mood)
    stamped = call(message, text="words that match nothing", decision=DecisionStamp(id="d", task="mood"))
    (made,) = of(detect(bench, delivered, stamped), bench.context.topics.task_calls)
    assert (made.task, made.decision.id) == ("mood", "d")


def test_a_stamp_moves_no_call_into_another_tenants_task(bench, mood, message, delivered):
    bench.know(msgspec.structs.replace(mood, tenant="other"))
    stamped = call(message, decision=DecisionStamp(id="d", task="mood"))
    outputs = detect(bench, delivered, stamped)
    assert of(outputs, bench.context.topics.task_calls) == []
    assert len(of(outputs, bench.context.topics.unmatched)) == 1


def test_a_merged_task_goes_on_as_the_one_it_was_merged_into(bench, mood, message, delivered):
    bench.know(mood)
    bench.know(msgspec.structs.replace(mood, id="old", status="merged", merged_into="mood", templates=()))
    (made,) = of(
        detect(bench, delivered, call(message, decision=DecisionStamp(id="d", task="old"))),
        bench.context.topics.task_calls,
    )
    assert made.task == "mood"


def test_an_audited_answer_weighs_as_many_calls_as_it_stands_for(bench, mood, message, delivered):
    bench.know(mood)
    stamp = DecisionStamp(
        id="d", task="mood", target="surrogate", accepted=True, due=True, audit_rate=0.2, answer="Good"
    )
    (made,) = of(detect(bench, delivered, call(message, decision=stamp)), bench.context.topics.task_calls)
    assert made.weight == 5.0


def test_what_identifies_leaves_every_call_that_goes_on(bench, message):
    event = Event(
        id="e",
        type=Call.event_type,
        source="",
        time=1.0,
        data=msgspec.json.encode(
            call(message, text="write to ann@example.org", response=Response(text="to bob@example.org"))
        ),
    )
    read = Detect(bench.context, Limiter(1e9)).read(event)
    assert (read.messages[0].content, read.response.text) == ("write to [email]", "to [email]")


def test_a_call_larger_than_kafka_could_take_again_is_refused(bench, message):
    data = msgspec.json.encode(call(message, text="x" * MOST_BYTES))
    with pytest.raises(RecordError, match="at most"):
        Detect(bench.context, Limiter(1e9)).read(Event("e", Call.event_type, "", 1.0, data))


def test_above_the_rate_calls_are_sampled_and_say_with_which_probability(bench, message, delivered):
    calls = [call(message, n, text=f"question {n}") for n in range(400)]
    outputs = Detect(bench.context, Limiter(100.0)).handle(delivered(calls))
    kept = of(outputs, bench.context.topics.unmatched)
    assert 100 < len(kept) < 330
    assert kept[0].sampled == 1.0
    assert all(0 < c.sampled <= 1 for c in kept)
    assert min(c.sampled for c in kept) < 0.5


def test_a_task_call_says_what_only_the_teacher_may_answer(bench, mood, message, delivered):
    bench.know(mood)
    topic = bench.context.topics.task_calls
    asked = {"only_teacher": {"service_tier": "service_tier"}, "max_tokens": 3, "stop": ("x",)}
    (made,) = of(detect(bench, delivered, call(message, **asked)), topic)
    assert (made.only_teacher, made.max_tokens, made.stop) == ("service_tier", 3, ("x",))
    (plain,) = of(detect(bench, delivered, call(message)), topic)
    assert (plain.only_teacher, plain.max_tokens, plain.stop) == ("", None, ())
    settings = msgspec.structs.replace(
        bench.context.settings, gateway=GatewaySettings(harmless=("service_tier",))
    )
    bench.context = dataclasses.replace(bench.context, settings=settings)
    (made,) = of(detect(bench, delivered, call(message, **asked)), topic)
    assert made.only_teacher == ""


def test_a_stream_without_usage_has_its_price(bench, mood, message, delivered):
    bench.know(mood)
    said = Response(text="Good", model="gpt-4.1-2025-04-14")
    (made,) = of(detect(bench, delivered, call(message, response=said)), bench.context.topics.task_calls)
    assert made.usage.estimated and made.usage.input_tokens > 0 and made.usage.output_tokens == 1
    assert made.cost_usd == pytest.approx((made.usage.input_tokens * 2.0 + 8.0) / 1e6)


def unread(**fields):
    base = {"id": "c", "tenant": "t", "model": "m", "messages": [], "time": 1.0, "error": "it is no JSON"}
    base["decision"] = {"id": "d", "task": None, "reason": "unreadable"}
    data = msgspec.json.encode(base | fields)
    return Event(id="c", type=Call.event_type, source="/g", time=1.0, data=data)


def test_nothing_is_learned_from_a_request_that_a_gateway_could_not_read(bench, delivered):
    detector = Detect(bench.context, Limiter(1e9))
    assert detector.handle(delivered([detector.read(unread())])) == []
    assert detector.results == {"unread": 1}


@pytest.mark.parametrize("lacks", [{"error": None}, {"decision": None}])
def test_a_call_without_messages_that_no_gateway_tells_of_is_refused(bench, lacks):
    with pytest.raises(RecordError, match=r"\$\.messages: must hold at least one"):
        Detect(bench.context, Limiter(1e9)).read(unread(**lacks))


@pytest.mark.parametrize(
    ("status", "learned"), [(401, 0), (403, 0), (400, 1), (429, 1), (500, 1), (200, 1), (None, 1)]
)
def test_nothing_is_found_in_what_they_say_whom_the_llm_does_not_serve(
    bench, mood, message, delivered, status, learned
):
    bench.know(mood)
    refused = call(message, text="Who was Ada Lovelace?", response=None, error="no", status=status)
    assert len(of(detect(bench, delivered, refused), bench.context.topics.unmatched)) == learned
