"""The rows of a compacted topic, whatever comes twice, late or broken."""

from types import SimpleNamespace

from stage.servers.kafka import Kafka, eventually, settings_for

from jitr.agents.runtime.compacted_table import CompactedReader
from jitr.schemas.events import encode_batch
from jitr.schemas.routes import Route, RouteVersion, Transition
from jitr.schemas.servers import KafkaSettings
from jitr.schemas.tasks import Signature, Task

NOWHERE = KafkaSettings(bootstrap="127.0.0.1:1")


def record(offset, state):
    route = Route(tenant="t", task="k", state=state, version=RouteVersion(offset=offset))
    row = Transition(route=route, previous="teacher", evidence="e", evidence_kind="tick", reason="", time=0.0)
    value, headers = encode_batch([(f"k/{offset}", 0.0, row)], source="/test")
    return SimpleNamespace(value=value, headers=headers, offset=offset)


def test_a_row_that_is_sent_again_late_does_not_cover_a_newer_one():
    reader = CompactedReader(NOWHERE, "routes", Transition, lambda t: t.route.task, lambda t: t.route.version)
    for offset, state in ((5, "canary"), (6, "active"), (5, "canary")):
        reader._take({None: [record(offset, state)]})
    assert (reader.rows["k"].route.state, reader.revision) == ("active", 2)
    reader._take({None: [record(6, "active"), record(7, "hold")]})
    assert reader.rows["k"].route.state == "hold"


def test_rows_that_cannot_be_read_are_left_out_and_the_others_are_taken():
    reader = CompactedReader(NOWHERE, "routes", Transition, lambda t: t.route.task)
    junk = [
        (None, []),
        (b"", []),
        (b"\xff\xfe", [("content-type", None)]),
        (b"[" * 100_000, []),
        (b'{"route": {"tenant": "t", "task": "../x"}}', [("content-type", b"\xff")]),
        (b"[{}]", [("ce_type", b"\xff"), ("ce_id", b"\xff"), ("ce_specversion", b"1.0")]),
    ]
    rows = [SimpleNamespace(value=v, headers=h, offset=n) for n, (v, h) in enumerate(junk)]
    reader._take({"tp": [*rows, record(9, "active")]})
    assert (list(reader.rows), reader.revision) == (["k"], 1)


async def test_a_reader_that_dies_goes_on_where_it_stood(dev_broker, tmp_path):
    settings, _ = settings_for(dev_broker, tmp_path)
    topic = settings.topics.tasks.name
    async with Kafka(settings) as kafka:
        reader = CompactedReader(KafkaSettings(bootstrap=dev_broker), topic, Task, lambda task: task.id)
        await kafka.producer.send_and_wait(topic, *task("a"))
        await reader.start()
        try:
            (loop,) = reader.loops.states.values()
            assert list(reader.rows) == ["a"]
            # a fetch that dies of what is no KafkaError
            reader._consumer.getmany = None
            await kafka.producer.send_and_wait(topic, *task("b"))
            await eventually(lambda: list(reader.rows) == ["a", "b"])
            assert (loop.restarts, reader.revision) == (1, 2)
            assert "NoneType" in loop.error
        finally:
            await reader.stop()


def task(id):
    row = Task(id=id, tenant="t", signature=Signature(model="m", shape="user"), first_seen=5.0)
    return encode_batch([(id, 5.0, row)], source="/test")[0], id.encode()
