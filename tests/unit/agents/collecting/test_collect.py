"""collect keeps the teacher's answers, and asks for a training at sizes of the dataset."""

from pathlib import Path

import msgspec
import pytest

from jitr.agents.collecting.collect import Collect
from jitr.agents.runtime.handler import IncomingEvent, SourcePartition
from jitr.models.datasets.parts import read_parts
from jitr.schemas.calls import DecisionStamp, Response
from jitr.schemas.evidence import Tick, Withheld
from jitr.schemas.routes import Route, SurrogateRef
from jitr.schemas.trainings import Training


def split(outputs):
    records = [o.record for o in outputs]
    return [r for r in records if isinstance(r, Training)], [r for r in records if isinstance(r, Tick)]


def test_the_first_training_comes_with_the_label_that_makes_it_due(bench, mood, task_call, delivered):
    bench.know(mood)
    handler = Collect(bench.context, SourcePartition("c", 0))
    calls = [task_call(n, "good" if n % 3 else "bad") for n in range(30)]
    trainings, _ = split(handler.handle(delivered(calls)))
    (training,) = trainings
    assert (training.labels, training.until_offset, training.kind) == (20, 19, "label")
    assert len(read_parts(training.parts)) == 20
    assert training.renderings == {"bad": "Bad", "good": "Good"}


def test_neither_batches_nor_what_an_earlier_life_wrote_change_a_training(bench, mood, task_call, delivered):
    bench.know(mood)
    calls = delivered([task_call(n) for n in range(50)])
    whole = split(Collect(bench.context, SourcePartition("c", 0)).handle(calls))[0]
    # the parts of the first life are still there, with rows that come later
    handler = Collect(bench.context, SourcePartition("c", 0))
    pieces = [t for d in calls for t in split(handler.handle([d]))[0]]
    assert [(t.labels, t.until_offset) for t in pieces] == [(20, 19), (40, 39)]
    assert [(t.labels, t.until_offset) for t in whole] == [(20, 19), (40, 39)]
    assert pieces == whole


def test_a_training_names_the_one_before_it_whatever_is_live_by_now(bench, mood, task_call, delivered):
    bench.know(mood)
    calls = delivered([task_call(n) for n in range(90)])
    handler = Collect(bench.context, SourcePartition("c", 0))
    first, second = split(handler.handle(calls[:50]))[0]
    assert (first.previous, second.previous) == (None, first.id)
    after = Collect(bench.context, SourcePartition("c", 0))
    after.restore(handler.snapshot())
    ref = SurrogateRef(version="v", uri="u", digest="d", encoders="b", state="certified")
    bench.route(Route(tenant="t", task="mood", state="active", surrogate=ref))
    (third,) = split(after.handle(calls[50:]))[0]
    assert (third.labels, third.previous) == (80, second.id)


def test_only_answers_of_the_teacher_are_labels(bench, mood, task_call, delivered):
    bench.know(mood)
    handler = Collect(bench.context, SourcePartition("c", 0))
    handler.handle(delivered([task_call(0), task_call(1, None), task_call(2, "bad")]))
    (tick,) = split(handler.flush())[1]
    assert tick.labels == 2
    assert not handler.waiting


def test_nothing_is_trained_while_a_candidate_waits_for_a_word(bench, mood, task_call, delivered):
    bench.know(mood)
    ref = SurrogateRef(version="v", uri="u", digest="d", encoders="b", state="certified")
    bench.route(Route(tenant="t", task="mood", state="offered", candidate=ref))
    assert not split(
        Collect(bench.context, SourcePartition("c", 0)).handle(delivered([task_call(n) for n in range(60)]))
    )[0]


def test_what_a_snapshot_says_is_on_disk_is_on_disk(bench, mood, task_call, delivered):
    bench.know(mood)
    handler = Collect(bench.context, SourcePartition("c", 0))
    handler.handle(delivered([task_call(n) for n in range(10)]))
    after = Collect(bench.context, SourcePartition("c", 0))
    after.restore(handler.snapshot())
    (training,) = split(after.handle(delivered([task_call(n) for n in range(10, 20)], first=10)))[0]
    assert sum(part.rows for part in training.parts) == len(read_parts(training.parts)) == 20


def test_a_training_is_cut_at_its_very_label_however_calls_are_packed(bench, mood, task_call):
    bench.know(mood)
    # ids that sort against their order in the record
    calls = [task_call(n, id=f"c{n // 15}-{99 - n % 15}") for n in range(45)]

    def trained(handler, pack):
        packed = [
            IncomingEvent(c.id, c.time, c, 0, n // pack, n % pack, n % pack == pack - 1)
            for n, c in enumerate(calls)
        ]
        return [t for d in packed for t in split(handler.handle([d]))[0]]

    handler = Collect(bench.context, SourcePartition("c", 0))
    trainings = trained(handler, 15)
    assert [(t.labels, t.until_offset) for t in trainings] == [(20, 1), (40, 2)]
    handler.snapshot()
    assert [len(read_parts(t.parts)) for t in trainings] == [20, 40]
    # the rows of the first life are there now: a second one, and another way to pack, ask for the same
    assert trained(Collect(bench.context, SourcePartition("c", 0)), 15) == trainings
    elsewhere = trained(Collect(bench.context, SourcePartition("c", 1)), 1)
    assert [t.id for t in elsewhere] == [t.id for t in trainings]


def withheld(outputs):
    return [o.record for o in outputs if isinstance(o.record, Withheld)]


DAY_S = 86_400.0


def test_a_task_of_one_cheap_call_a_day_is_not_trained_and_the_reason_has_figures(
    bench, mood, task_call, delivered
):
    bench.know(mood)
    handler = Collect(bench.context, SourcePartition("c", 0))
    calls = [task_call(n, time=n * DAY_S, cost_usd=0.0009) for n in range(40)]
    outputs = [o for d in delivered(calls) for o in handler.handle([d])]
    assert split(outputs)[0] == []
    told = withheld(outputs)
    assert {w.cause for w in told} == {"cost"}
    for part in ("does not pay", "30 days", "$0.000900", "break even", "20 labels"):
        assert part in told[0].reason
    # asked again as the dataset grows, by a quarter each time
    assert [w.labels for w in told] == [20, 25, 32, 40]
    assert len({w.id for w in told}) == 4


def test_a_task_that_becomes_busy_is_trained_at_the_next_size_and_says_so(bench, mood, task_call, delivered):
    bench.know(mood)
    handler = Collect(bench.context, SourcePartition("c", 0))
    rare = [task_call(n, time=n * DAY_S, cost_usd=0.0009) for n in range(24)]
    busy = [task_call(n, time=24 * DAY_S + n, cost_usd=0.0009) for n in range(24, 200)]
    outputs = [o for d in delivered(rare + busy) for o in handler.handle([d])]
    trainings = split(outputs)[0]
    assert [w.cause for w in withheld(outputs)] == ["cost"] * 4 + [None]
    assert trainings[0].labels == withheld(outputs)[-1].labels == 50
    assert "pays for itself" in withheld(outputs)[-1].reason
    assert [t.labels for t in trainings] == [50, 100, 200]


def test_calls_that_the_surrogate_answers_count_for_the_pace(bench, mood, task_call):
    bench.know(mood)
    stamp = DecisionStamp(id="d", task="mood", surrogate="v", target="surrogate", answer="Good")
    handler = Collect(bench.context, SourcePartition("c", 0))
    outputs = []
    for n in range(2000):
        label, decision = ("good", None) if n % 100 == 0 else (None, stamp)
        call = task_call(n, label, time=n * DAY_S / 100, cost_usd=0.0009 if label else 0.0, decision=decision)
        outputs += handler.handle([IncomingEvent(call.id, call.time, call, 0, n)])
    assert [t.labels for t in split(outputs)[0]] == [20]


def test_without_a_price_nothing_is_forecast_and_training_starts_by_size_alone(
    bench, mood, task_call, delivered
):
    bench.know(mood)
    calls = [task_call(n, time=n * DAY_S, cost_usd=0.0) for n in range(20)]
    trainings, _ = split(Collect(bench.context, SourcePartition("c", 0)).handle(delivered(calls)))
    assert [t.labels for t in trainings] == [20]
    priced = [task_call(n, time=n * DAY_S, cost_usd=0.0, model="gpt-4.1-mini") for n in range(20)]
    assert not split(Collect(bench.context, SourcePartition("c", 0)).handle(delivered(priced)))[0]


def test_a_task_whose_calls_only_the_teacher_may_answer_is_not_trained(bench, mood, task_call, delivered):
    bench.know(mood)
    handler = Collect(bench.context, SourcePartition("c", 0))
    calls = [task_call(n, only_teacher="choices") for n in range(40)]
    outputs = handler.handle(delivered(calls))
    assert split(outputs)[0] == []
    assert "no surrogate may answer any of these calls (choices)" in withheld(outputs)[0].reason
    # nor does a training pay by such calls where there are others
    rest = [task_call(n, time=n * DAY_S, cost_usd=0.0009, only_teacher="choices") for n in range(2000)]
    rare = [task_call(n, time=n * DAY_S, cost_usd=0.0009) for n in (2000, 2001)]
    outputs = handler.handle(delivered([*rare, *rest], first=40))
    assert split(outputs)[0] == []
    assert "does not pay" in withheld(outputs)[0].reason


def test_the_model_that_answered_prices_a_deployment(bench, mood, task_call, delivered):
    bench.know(mood)
    said = Response(text="Good", model="gpt-4.1-mini-2025-04-14")
    fields = {"cost_usd": 0.0, "model": "ours", "response": said}
    calls = [task_call(n, time=n * DAY_S, **fields) for n in range(20)]
    outputs = Collect(bench.context, SourcePartition("c", 0)).handle(delivered(calls))
    # priced, and so forecast: at nothing a call a training does not pay
    assert split(outputs)[0] == [] and len(withheld(outputs)) == 1
    assert "never breaks even" in withheld(outputs)[0].reason and "inf" not in withheld(outputs)[0].reason


def repeating(task_call, n, agrees, **fields):
    """Calls in pairs: each input is asked twice, and the second answer agrees or not."""
    calls = []
    for k in range(n):
        label = "good" if k % 2 == 0 or agrees(k // 2) else "bad"
        calls.append(task_call(k, label, input=f"text {k // 2}", **fields))
    return calls


def test_a_teacher_that_contradicts_itself_is_tried_once_and_the_reason_has_figures(
    bench, mood, task_call, delivered
):
    bench.know(mood)
    handler = Collect(bench.context, SourcePartition("c", 0))
    # a gate may find calls on which it does not: that is for the first shadow run to say
    outputs = handler.handle(delivered(repeating(task_call, 38, lambda pair: pair % 4 == 0)))
    assert [t.labels for t in split(outputs)[0]] == [20]
    bench.route(Route(tenant="t", task="mood", rejections=1))
    outputs = handler.handle(delivered([task_call(n, input=f"new {n}") for n in range(38, 400)], first=38))
    (told,) = withheld(outputs)
    trainings, ticks = split(outputs)
    assert trainings == []
    assert told.cause == "self_agreement"
    assert "inputs that were asked again" in told.reason
    assert "at least 0.810" in told.reason
    assert (ticks[-1].repeats, ticks[-1].repeats_agreed) == (19, 5)


@pytest.mark.parametrize("state", ["shadow", "certified"])
def test_a_teacher_that_contradicts_itself_holds_up_nothing_while_a_version_is_in_hand(
    bench, mood, task_call, delivered, state
):
    bench.know(mood)
    ref = SurrogateRef(version="v", uri="", digest="", encoders="", state=state)
    bench.route(Route(tenant="t", task="mood", **{"candidate" if state == "shadow" else "surrogate": ref}))
    handler = Collect(bench.context, SourcePartition("c", 0))
    outputs = handler.handle(delivered(repeating(task_call, 100, lambda pair: pair % 4 == 0)))
    assert [t.labels for t in split(outputs)[0]] == [20, 40, 80]
    assert withheld(outputs) == []


def test_a_task_whose_teacher_becomes_consistent_is_trained_on_again(bench, mood, task_call, delivered):
    bench.know(mood)
    bench.route(Route(tenant="t", task="mood", rejections=1))
    handler = Collect(bench.context, SourcePartition("c", 0))
    calls = repeating(task_call, 100, lambda pair: pair % 4 == 0)
    calls += repeating(lambda k, *a, **f: task_call(k + 100, *a, **f | {"input": f"new {k // 2}"}), 200, bool)
    outputs = handler.handle(delivered(calls))
    assert [w.cause for w in withheld(outputs)] == ["self_agreement", None]
    assert withheld(outputs)[0].labels == 40
    assert split(outputs)[0][-1].labels == withheld(outputs)[1].labels > 100
    other = Collect(bench.context, SourcePartition("c", 0))
    other.handle(delivered(calls[:150]))
    again = Collect(bench.context, SourcePartition("c", 0))
    again.restore(other.snapshot())
    assert split(again.handle(delivered(calls[150:], 150)))[0] == split(outputs)[0][1:]


def test_a_teacher_that_agrees_with_itself_is_counted_and_trained_on(bench, mood, task_call, delivered):
    bench.know(mood)
    handler = Collect(bench.context, SourcePartition("c", 0))
    outputs = [*handler.handle(delivered(repeating(task_call, 40, lambda pair: pair != 3))), *handler.flush()]
    trainings, ticks = split(outputs)
    assert [t.labels for t in trainings] == [20, 40]
    assert (ticks[-1].repeats, ticks[-1].repeats_agreed) == (20, 19)
    assert withheld(outputs) == []


def test_copies_out_of_a_cache_say_nothing_about_the_teacher(bench, mood, task_call, delivered):
    bench.know(mood)
    handler = Collect(bench.context, SourcePartition("c", 0))
    calls = [task_call(0)]
    calls += [task_call(n, input="text 0", cost_usd=0.0) for n in range(1, 30)]
    (tick,) = split([*handler.handle(delivered(calls[:5])), *handler.flush()])[1]
    assert (tick.labels, tick.repeats) == (5, 0)


def test_a_lower_target_is_another_question(bench, mood, task_call, delivered):
    bench.know(mood)
    calls = delivered(repeating(task_call, 400, lambda pair: pair % 8 > 2, model="x"))
    handler = Collect(bench.context, SourcePartition("c", 0))
    outputs = [o for d in calls[:398] for o in handler.handle([d])]
    assert withheld(outputs)[-1].cause == "self_agreement"
    modest = msgspec.structs.replace(bench.context.settings.policy, target=0.8)
    object.__setattr__(
        bench.context, "settings", msgspec.structs.replace(bench.context.settings, policy=modest)
    )
    outputs = handler.handle(calls[398:399])
    assert [w.cause for w in withheld(outputs)] == [None]
    assert split(outputs)[0]


def demoted(since_offset, labels, demotions=1):
    return Route(
        tenant="t",
        task="mood",
        state="demoted",
        demotions=demotions,
        labels_at_demotion=labels,
        since_offset=since_offset,
    )


@pytest.fixture
def hasty(bench):
    """The bench with a cool-down of thirty labels."""
    policy = msgspec.structs.replace(bench.context.settings.policy, cooldown_labels=30)
    object.__setattr__(
        bench.context, "settings", msgspec.structs.replace(bench.context.settings, policy=policy)
    )
    return bench


def test_after_a_demotion_only_labels_from_after_the_break_are_trained_on(hasty, mood, task_call, delivered):
    hasty.know(mood)
    handler = Collect(hasty.context, SourcePartition("c", 0))
    before = [task_call(n, "good") for n in range(700)]
    assert [t.labels for t in split(handler.handle(delivered(before)))[0]] == [20, 40, 80, 160, 320, 640]
    # the teacher changed at 600, the hold began at 610, the demotion test rejected at 700
    hasty.route(demoted(610, 700))
    after = [task_call(n, "bad") for n in range(700, 900)]
    trainings = split([o for d in delivered(after, 700) for o in handler.handle([d])])[0]
    assert [t.labels for t in trainings] == [730, 850]
    for training in trainings:
        data = read_parts(training.parts, training.since_offset)
        assert (training.since_offset, training.demotions) == (610, 1)
        assert len(data) == training.labels - 610
        assert data.times.min() == 610
    # the part that ends before the break is not even named
    assert [part.url[-14:] for part in trainings[0].parts] == ["000512.parquet"]


def test_the_break_is_the_same_for_a_second_writer_and_after_a_restart(hasty, mood, task_call, delivered):
    hasty.know(mood)
    calls = delivered([task_call(n, "good" if n < 610 else "bad") for n in range(800)])
    one = Collect(hasty.context, SourcePartition("c", 0))
    one.handle(calls[:700])
    saved = one.snapshot()
    hasty.route(demoted(610, 700))
    expected = split([o for d in calls[700:] for o in one.handle([d])])[0]
    assert len(expected) == 1
    other = Collect(hasty.context, SourcePartition("c", 0))
    other.restore(saved)
    assert split(other.handle(calls[700:]))[0] == expected
    # one that read the route late, with some of the calls after it
    late = Collect(hasty.context, SourcePartition("c", 0))
    late.restore(saved)
    hasty.routes.rows.clear()
    late.handle(calls[700:720])
    hasty.route(demoted(610, 700))
    again = Collect(hasty.context, SourcePartition("c", 0))
    again.restore(late.snapshot())
    assert split(again.handle(calls[720:]))[0] == expected


def test_after_a_break_the_teacher_is_measured_anew_and_labels_are_written_as_they_were(
    hasty, mood, task_call, delivered
):
    hasty.know(mood)
    handler = Collect(hasty.context, SourcePartition("c", 0))
    outputs = handler.handle(delivered(repeating(task_call, 100, lambda pair: pair % 4 == 0)))
    assert withheld(outputs)[-1].cause == "self_agreement"
    hasty.route(demoted(100, 100))
    calls = [task_call(n, response=Response(text="GOOD!", model="m")) for n in range(100, 130)]
    outputs = [o for d in delivered(calls, 100) for o in handler.handle([d])]
    assert withheld(outputs)[0].cause is None
    (training,) = split(outputs)[0]
    assert training.renderings == {"bad": "Bad", "good": "GOOD!"}


def test_a_break_on_an_older_topic_of_the_name_hides_no_label(hasty, mood, task_call, delivered):
    hasty.know(mood)
    hasty.route(demoted(1_000_000, 0))
    handler = Collect(hasty.context, SourcePartition("c", 0, lambda: 40))
    (training,) = split(
        [o for d in delivered([task_call(n) for n in range(40)]) for o in handler.handle([d])]
    )[0]
    assert (training.labels, training.since_offset) == (30, 0)


def test_labels_from_before_a_break_that_come_after_its_verdict_are_not_counted_as_new(
    hasty, mood, task_call, delivered
):
    hasty.know(mood)
    handler = Collect(hasty.context, SourcePartition("c", 0))
    handler.handle(delivered([task_call(n) for n in range(100)]))
    # audit and control are 500 calls ahead of us
    hasty.route(demoted(600, 100))
    calls = [task_call(n, "good" if n < 600 else "bad") for n in range(100, 700)]
    trainings = split([o for d in delivered(calls, 100) for o in handler.handle([d])])[0]
    assert [t.labels for t in trainings] == [620, 640, 680]
    for training in trainings:
        assert len(read_parts(training.parts, training.since_offset)) == training.labels - 600


def test_a_dataset_that_was_lost_does_not_wait_for_as_many_labels_as_the_old_one_had(
    hasty, mood, task_call, delivered
):
    hasty.know(mood)
    hasty.route(demoted(1_000_000, 50_000))
    handler = Collect(hasty.context, SourcePartition("c", 0, lambda: 200))
    calls = delivered([task_call(n) for n in range(200)])
    assert [t.labels for t in split([o for d in calls for o in handler.handle([d])])[0]] == [30, 60, 120]


def test_a_part_that_is_lost_is_named_in_no_training(bench, mood, task_call, delivered):
    bench.know(mood)
    handler = Collect(bench.context, SourcePartition("c", 0))
    calls = delivered([task_call(n) for n in range(1500)])
    handler.handle(calls[:1200])
    handler.snapshot()
    first = next(iter(handler._datasets["mood"][1].parts))
    Path(first).unlink()
    (training,) = split([o for d in calls[1200:] for o in handler.handle([d])])[0]
    assert first not in {part.url for part in training.parts}
    data = read_parts(training.parts, training.since_offset)
    assert len(data) == sum(part.rows for part in training.parts) == training.labels - 512


def test_a_part_that_is_lost_at_a_break_takes_no_later_label_with_it(hasty, mood, task_call, delivered):
    hasty.know(mood)
    handler = Collect(hasty.context, SourcePartition("c", 0))
    handler.handle(delivered([task_call(n) for n in range(600)]))
    handler.snapshot()
    for part in handler._datasets["mood"][1].parts:
        Path(part).unlink()
    hasty.route(demoted(100, 600))
    outputs = [
        o for d in delivered([task_call(n) for n in range(600, 640)], 600) for o in handler.handle([d])
    ]
    (training,) = split(outputs)[0]
    assert (training.since_offset, training.labels) == (512, 630)
