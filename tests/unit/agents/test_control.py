"""control moves rows by evidence alone: the same evidence gives the same rows, wherever it is read."""

import msgspec
import pytest

from jitr.agents.control import RouteController
from jitr.agents.runtime.handler import IncomingEvent, SourcePartition
from jitr.schemas.errors import RecordError
from jitr.schemas.events import Event
from jitr.schemas.evidence import AuditWindow, Command, Evidence, Tick
from jitr.schemas.money import Money
from jitr.schemas.routes import Route, RouteVersion


def tick(n, task="k", labels=1):
    return Tick(id=f"e{n}", tenant="t", task=task, time=float(n), labels=labels)


def at(offset, evidence, index=0, end=True):
    return IncomingEvent(evidence.id, evidence.time, evidence, 0, offset, index, end)


def rows(bench, outputs):
    return [o.record.route for o in outputs if o.topic == bench.context.topics.routes.name]


def test_a_row_has_the_version_of_its_evidence(bench):
    (row,) = rows(
        bench, RouteController(bench.context, SourcePartition("e", 0)).handle([at(7, tick(1, labels=5))])
    )
    assert (row.labels, row.version) == (5, RouteVersion(offset=7))


def test_two_writers_write_the_same_rows(bench):
    batch = [at(n, tick(n, labels=n)) for n in range(5)]
    one = RouteController(bench.context, SourcePartition("e", 0))
    other = RouteController(bench.context, SourcePartition("e", 0))
    assert one.handle(batch) == [o for d in batch for o in other.handle([d])]


def test_of_evidence_packed_in_one_record_only_the_last_row_is_seen(bench):
    batch = [at(3, tick(0, labels=1), 0, False), at(3, tick(1, labels=9), 1, True)]
    (row,) = rows(bench, RouteController(bench.context, SourcePartition("e", 0)).handle(batch))
    assert (row.labels, row.version.offset) == (9, 3)


def test_a_transition_stands_in_the_ledger_and_a_count_does_not(bench):
    pause = Command(id="p", tenant="t", task="k", time=1.0, verb="pause", by="me")
    outputs = RouteController(bench.context, SourcePartition("e", 0)).handle([at(0, tick(0)), at(1, pause)])
    ledger = [o.record for o in outputs if o.topic == bench.context.topics.ledger.name]
    assert [(t.previous, t.route.state, t.evidence, t.evidence_kind) for t in ledger] == [
        ("teacher", "paused", "p", "command")
    ]


def test_a_command_that_does_not_fit_stands_in_the_ledger_with_the_reason(bench):
    approve = Command(id="a", tenant="t", task="k", time=1.0, verb="approve")
    outputs = RouteController(bench.context, SourcePartition("e", 0)).handle([at(0, approve)])
    ledger = [o.record for o in outputs if o.topic == bench.context.topics.ledger.name]
    assert "nothing is on offer" in ledger[0].reason


def test_without_its_state_it_goes_on_from_the_routes_topic(bench):
    bench.route(Route(tenant="t", task="k", labels=50, version=RouteVersion(offset=9)))
    control = RouteController(bench.context, SourcePartition("e", 0, lambda: 12))
    assert rows(bench, control.handle([at(4, tick(4, labels=70))])) == []
    (row,) = rows(bench, control.handle([at(11, tick(11, labels=60))]))
    assert (row.labels, row.version) == (60, RouteVersion(offset=11))


def test_a_topic_made_anew_begins_a_new_incarnation(bench):
    partition = next(
        p for p in range(8) if RouteController(bench.context, SourcePartition("e", p))._is_ours("k")
    )
    bench.route(Route(tenant="t", task="k", labels=50, version=RouteVersion(offset=900)))
    control = RouteController(bench.context, SourcePartition("e", partition, lambda: 3))
    (row,) = rows(bench, control.handle([at(2, tick(2, labels=60))]))
    assert row.version == RouteVersion(incarnation=1, offset=2)
    after = RouteController(bench.context, SourcePartition("e", partition, lambda: 5000))
    after.restore(control.snapshot())
    (row,) = rows(bench, after.handle([at(4, tick(4, labels=70))]))
    assert row.version == RouteVersion(incarnation=1, offset=4)


def test_evidence_of_an_unknown_kind_is_refused_with_the_field_named(bench):
    event = Event("e", "dev.jitr.evidence.v1", "", 0.0, b'{"kind": "rumour", "id": "e"}')
    with pytest.raises(RecordError, match="kind"):
        RouteController(bench.context, SourcePartition("e", 0)).read(event)
    good = msgspec.json.encode(tick(1))
    assert msgspec.json.decode(good, type=Evidence) == tick(1)


def test_evidence_that_takes_a_row_out_of_its_bounds_is_refused_and_leaves_the_row(bench):
    most = 2**63 - 1
    windows = [
        AuditWindow(id=f"w{n}", tenant="t", task="k", time=1.0, money=Money(teacher_calls=most))
        for n in (0, 1)
    ]
    control = RouteController(bench.context, SourcePartition("e", 0))
    (row,) = rows(bench, control.handle([at(0, windows[0])]))
    assert row.money.teacher_calls == most
    with pytest.raises(RecordError, match=r"\$\.route\.money\.teacher_calls: Expected `int` <="):
        control.handle([at(1, windows[1])])
    (row,) = rows(bench, control.handle([at(2, tick(1, labels=7))]))
    assert (row.money.teacher_calls, row.labels) == (most, 7)
