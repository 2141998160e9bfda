"""collect keeps the teacher's answers, and asks for a training at sizes of the dataset."""

from jitr.agents.collect import Collect
from jitr.agents.handler import Delivery, Place
from jitr.models.datasets.parts import read_parts
from jitr.schemas.evidence import Tick
from jitr.schemas.routes import Route, SurrogateRef
from jitr.schemas.trainings import Training


def split(outputs):
    records = [o.record for o in outputs]
    return [r for r in records if isinstance(r, Training)], [r for r in records if isinstance(r, Tick)]


def test_the_first_training_comes_with_the_label_that_makes_it_due(bench, mood, task_call, delivered):
    bench.know(mood)
    handler = Collect(bench.context, Place("c", 0))
    calls = [task_call(n, "good" if n % 3 else "bad") for n in range(30)]
    trainings, _ = split(handler.handle(delivered(calls)))
    (training,) = trainings
    assert (training.labels, training.until_offset, training.kind) == (20, 19, "label")
    assert len(read_parts(training.parts)) == 20
    assert training.renderings == {"bad": "Bad", "good": "Good"}


def test_neither_batches_nor_what_an_earlier_life_wrote_change_a_training(bench, mood, task_call, delivered):
    bench.know(mood)
    calls = delivered([task_call(n) for n in range(50)])
    whole = split(Collect(bench.context, Place("c", 0)).handle(calls))[0]
    # the parts of the first life are still there, with rows that come later
    handler = Collect(bench.context, Place("c", 0))
    pieces = [t for d in calls for t in split(handler.handle([d]))[0]]
    assert [(t.labels, t.until_offset) for t in pieces] == [(20, 19), (40, 39)]
    assert [(t.labels, t.until_offset) for t in whole] == [(20, 19), (40, 39)]
    assert pieces == whole


def test_only_answers_of_the_teacher_are_labels(bench, mood, task_call, delivered):
    bench.know(mood)
    handler = Collect(bench.context, Place("c", 0))
    handler.handle(delivered([task_call(0), task_call(1, None), task_call(2, "bad")]))
    (tick,) = split(handler.flush())[1]
    assert tick.labels == 2
    assert not handler.waiting


def test_nothing_is_trained_while_a_candidate_waits_for_a_word(bench, mood, task_call, delivered):
    bench.know(mood)
    ref = SurrogateRef(version="v", uri="u", digest="d", base="b", state="certified")
    bench.route(Route(tenant="t", task="mood", state="offered", candidate=ref))
    assert not split(Collect(bench.context, Place("c", 0)).handle(delivered([task_call(n) for n in range(60)])))[0]


def test_what_a_snapshot_says_is_on_disk_is_on_disk(bench, mood, task_call, delivered):
    bench.know(mood)
    handler = Collect(bench.context, Place("c", 0))
    handler.handle(delivered([task_call(n) for n in range(10)]))
    after = Collect(bench.context, Place("c", 0))
    after.restore(handler.snapshot())
    (training,) = split(after.handle(delivered([task_call(n) for n in range(10, 20)], first=10)))[0]
    assert sum(part.rows for part in training.parts) == len(read_parts(training.parts)) == 20


def test_a_training_never_refers_to_half_of_a_packed_record(bench, mood, task_call):
    bench.know(mood)
    handler = Collect(bench.context, Place("c", 0))
    # ids that sort against their order in the record
    calls = [task_call(n, id=f"c{n // 15}-{99 - n % 15}") for n in range(45)]
    packed = [Delivery(c.id, c.time, c, 0, n // 15, n % 15, n % 15 == 14) for n, c in enumerate(calls)]
    trainings = [t for d in packed for t in split(handler.handle([d]))[0]]
    assert [(t.labels, t.until_offset) for t in trainings] == [(30, 1)]
    handler.snapshot()
    assert len(read_parts(trainings[0].parts)) == 30
