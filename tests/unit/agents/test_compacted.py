"""The rows of a compacted topic, whatever comes twice or late."""

from types import SimpleNamespace

from jitr.agents.compacted import CompactedReader
from jitr.schemas.events import encode_batch
from jitr.schemas.routes import Route, RouteVersion, Transition


def record(offset, state):
    route = Route(tenant="t", task="k", state=state, version=RouteVersion(offset=offset))
    row = Transition(route=route, previous="teacher", evidence="e", evidence_kind="tick", reason="", time=0.0)
    value, headers = encode_batch([(f"k/{offset}", 0.0, row)], source="/test")
    return SimpleNamespace(value=value, headers=headers)


def test_a_row_that_is_sent_again_late_does_not_cover_a_newer_one():
    reader = CompactedReader(
        "127.0.0.1:1", "routes", Transition, lambda t: t.route.task, lambda t: t.route.version
    )
    for offset, state in ((5, "canary"), (6, "active"), (5, "canary")):
        reader._take({None: [record(offset, state)]})
    assert (reader.rows["k"].route.state, reader.revision) == ("active", 2)
    reader._take({None: [record(6, "active"), record(7, "hold")]})
    assert reader.rows["k"].route.state == "hold"
