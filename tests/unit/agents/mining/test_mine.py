"""mine as its processor sees it: calls and a person's word in, tasks, task calls and words to routes out."""

from concurrent.futures import Future
from itertools import islice
from typing import Any

import msgspec
import numpy as np
import pytest

from jitr.agents.mining.mine import Mine
from jitr.agents.mining.proposals import Likening
from jitr.agents.runtime.handler import Output
from jitr.models import lifecycle
from jitr.sandbox.traffic.workload import Workload
from jitr.schemas.calls import Call, Message, Response
from jitr.schemas.errors import WeightsError
from jitr.schemas.events import Event
from jitr.schemas.evidence import Command
from jitr.schemas.record import encode
from jitr.schemas.routes import Route, RouteVersion
from jitr.schemas.tasks import Task, TaskCommand

POLITE = "Decide whether the following remark is polite. Answer yes or no.\nRemark: "
KIND = "Is what this person says kind to others? Reply with yes or with no.\nPerson: "


@pytest.fixture
def calls() -> list[Call]:
    words = [r.body["messages"][-1]["content"] for r in islice(iter(Workload(0, 0.9)), 90)]
    return [
        Call(
            id=str(i),
            tenant="t",
            model="m",
            time=float(i),
            messages=(Message(role="user", content=[POLITE, KIND][i % 2] + text),),
            response=Response(text=["yes", "no"][i % 3 % 2]),
        )
        for i, text in enumerate(words)
    ]


def word(verb: Any, task: str, other: str | None = None, **fields: Any) -> TaskCommand:
    id = f"{verb}-{task}-{other}"
    return TaskCommand(id=id, tenant="t", time=99.0, verb=verb, task=task, other=other, by="ann", **fields)


def rows(outputs: list[Output]) -> dict[str, Task]:
    return {o.key: o.record for o in outputs if isinstance(o.record, Task)}


def words(outputs: list[Output]) -> list[Command]:
    return [o.record for o in outputs if isinstance(o.record, Command)]


def test_a_persons_word_and_a_call_are_told_apart_by_their_type(bench: Any, calls: list[Call]) -> None:
    mine = Mine(bench.context)
    for record in (calls[0], word("merge", "a", "b")):
        event = Event(id="e", type=record.event_type, source="", time=0.0, data=encode(record))
        assert mine.read(event) == record


def test_a_merge_pauses_the_route_of_the_merged_task_and_its_undo_unpauses_it(
    bench: Any, calls: list[Call], delivered: Any
) -> None:
    mine = Mine(bench.context)
    a, b = rows(mine.handle(delivered(calls)))
    route = Route(tenant="t", task=b, state="active")
    bench.route(route)
    out = mine.handle(delivered([word("merge", a, b)]))
    assert {t.id: t.status for t in rows(out).values()} == {a: "task", b: "merged"}
    (pause,) = words(out)
    assert (pause.verb, pause.task, pause.note) == ("pause", b, f"it goes on as {a} (ann)")
    step = lifecycle.next(route, pause, bench.context.settings.policy, RouteVersion(offset=1))
    assert (step.route.state, step.route.resume) == ("paused", "active")

    bench.route(step.route)
    again = Mine(bench.context)
    again.restore(mine.snapshot())
    out = again.handle(delivered([word("undo", a, b)]))
    assert rows(out)[b].status == "task"
    (unpause,) = words(out)
    assert (unpause.verb, unpause.task) == ("unpause", b)


def test_an_undo_told_at_once_unpauses_a_route_whose_pause_is_still_on_its_way(
    bench: Any, calls: list[Call], delivered: Any
) -> None:
    mine = Mine(bench.context)
    a, b = rows(mine.handle(delivered(calls)))
    bench.route(Route(tenant="t", task=b, state="active"))
    told = words(mine.handle(delivered([word("merge", a, b), word("undo", a, b)])))
    assert [(w.verb, w.task) for w in told] == [("pause", b), ("unpause", b)]


def test_a_route_that_a_person_had_paused_stays_paused(bench: Any, calls: list[Call], delivered: Any) -> None:
    mine = Mine(bench.context)
    a, b = rows(mine.handle(delivered(calls)))
    bench.route(Route(tenant="t", task=b, state="paused", reason="pause by ann: holidays"))
    assert words(mine.handle(delivered([word("merge", a, b)]))) == []
    assert words(mine.handle(delivered([word("undo", a, b)]))) == []


def test_a_snapshot_of_the_first_version_is_taken_up(bench: Any, calls: list[Call], delivered: Any) -> None:
    mine = Mine(bench.context)
    mine.handle(delivered(calls))
    finders, _ = msgspec.msgpack.decode(mine.snapshot())
    again = Mine(bench.context)
    again.restore(msgspec.msgpack.encode(finders))
    assert again.snapshot() == mine.snapshot()


class Embedder:
    """Embeds at once: all instructions are one."""

    free = True

    def __init__(self, error: Exception | None = None) -> None:
        self.asked: list[str] = []
        self.error = error

    def submit(self, texts: Any) -> "Future[Any]":
        self.asked += texts
        future: Future[Any] = Future()
        if self.error is not None:
            future.set_exception(self.error)
        else:
            future.set_result(np.ones((len(texts), 1), np.float32))
        return future


def test_tasks_in_other_words_are_proposed_once_embedded_and_never_merged(
    bench: Any, calls: list[Call], delivered: Any
) -> None:
    embedder = Embedder()
    clock = iter(range(0, 10_000, 1000))
    mine = Mine(bench.context, Likening(embedder, lambda: next(clock)))  # type: ignore[arg-type]
    found = rows(mine.handle(delivered(calls)))
    assert mine.waiting
    told = rows(mine.flush())
    a, b = found
    assert {id: [p.other for p in t.proposals] for id, t in told.items()} == {a: [b], b: [a]}
    assert {t.status for t in told.values()} == {"task"}
    assert not mine.waiting
    assert len(embedder.asked) == len(set(embedder.asked)) == 2

    again = Mine(bench.context)
    again.restore(mine.snapshot())
    out = rows(again.handle(delivered([word("merge", a, b)])))
    assert out[a].proposals == (), "what is merged is proposed no longer"


def test_without_an_encoder_nothing_is_proposed_and_the_log_says_so(
    bench: Any, calls: list[Call], delivered: Any, caplog: pytest.LogCaptureFixture
) -> None:
    embedder = Embedder(WeightsError("minilm is not on this machine"))
    mine = Mine(bench.context, Likening(embedder, lambda: 0.0))  # type: ignore[arg-type]
    mine.handle(delivered(calls))
    assert mine.flush() == []
    assert not mine.waiting
    assert "no merges of tasks are proposed: minilm is not on this machine" in caplog.text
