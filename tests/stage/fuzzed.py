"""Bytes that nobody should send: events of every kind, each changed at random, and what is no event.

Some changes are made in the tree of an event, in its envelope, in its headers and in its bytes. The same seed
gives the same records.
"""

import copy
import json
from collections.abc import Iterator
from random import Random
from typing import Any

import msgspec
from stage.odd_records import RECORDS

from jitr.schemas.calls import Call, DecisionStamp, Message, Response, Usage
from jitr.schemas.evidence import (
    Alarm,
    AuditWindow,
    Certified,
    Command,
    Demotion,
    Futile,
    Resume,
    Tick,
    Trained,
    TrainingFailed,
    Withheld,
)
from jitr.schemas.money import Money
from jitr.schemas.record import Record
from jitr.schemas.routes import Proof, Route, RouteVersion, SurrogateRef, SurrogateTarget, Transition
from jitr.schemas.tasks import Change, MergeProposal, Signature, Task, TaskCall, TaskCommand, Template
from jitr.schemas.trainings import PartRef, Training

HeadersOfRecord = tuple[tuple[str, bytes], ...]
Raw = tuple[bytes | None, HeadersOfRecord]

_PROOF = Proof(
    kind="later", target=0.9, delta=0.05, bound=0.95, calls=200, agreed=198, coverage=0.8, threshold=0.5
)
_REF = SurrogateRef(
    version="v1",
    uri="memory://v1",
    digest="d" * 32,
    encoders="hash",
    state="certified",
    labels=300,
    accuracy=0.9,
    train_s=2.0,
    p99_ms=1.5,
    after_offset=3,
    thresholds=(0.9, 0.5),
    shares=(0.5, 0.9),
    forecast=(0.99, 0.95),
    proof=_PROOF,
)
_STAMP = DecisionStamp(
    id="d1",
    task="mood",
    route_version="0.3",
    target="surrogate",
    reason="accepted",
    surrogate="v1",
    answer="good",
    label="good",
    score=0.9,
    accepted=True,
    audit_rate=0.2,
    coin=0.1,
    due=True,
)
_ANSWER = Response(text="good", model="m-1", opening={"good": 0.9, "bad": 0.1})


def _of(kind: Any, **fields: Any) -> Record:
    base = {"id": "e1", "tenant": "t", "task": "mood", "time": 1795935600.0}
    made: Record = kind(**(base | fields))
    return made


CALL = Call(
    id="c1",
    tenant="t",
    model="m",
    time=1795935600.0,
    response=_ANSWER,
    usage=Usage(input_tokens=50, output_tokens=2),
    messages=(
        Message(role="system", content="Mood of the text, good or bad."),
        Message(role="user", content="Fine"),
    ),
    cost_usd=0.01,
    latency_s=0.5,
    n=1,
    temperature=0.0,
    metadata={"a": "b"},
    decision=_STAMP,
)
TASK = Task(
    id="mood",
    tenant="t",
    signature=Signature(model="m", shape="system+user"),
    status="task",
    kind="label",
    labels=("good", "bad"),
    renderings={"good": "Good"},
    templates=(Template(prefix="Mood of the text, good or bad."),),
    calls=30,
    first_seen=1795935600.0,
    counts=(20, 10),
    examples=("Fine",),
    proposals=(MergeProposal(other="t2", likeness=0.9, shared_labels=1.0),),
    history=(Change(version=1, time=1795935600.0, kind="found"),),
)
ROUTE = Route(
    tenant="t",
    task="mood",
    state="active",
    target=SurrogateTarget(version="v1"),
    surrogate=_REF,
    candidate=None,
    version=RouteVersion(incarnation=0, offset=3),
    share=1.0,
    audit_rate=0.2,
    labels=300,
    calls=900,
    since=1795935600.0,
    money=Money(teacher_calls=9, teacher_usd=0.5),
    seen=("e0",),
)
EVENTS: dict[str, list[Record]] = {
    "calls": [CALL],
    "unmatched": [
        CALL,
        msgspec.structs.replace(CALL, metadata={"jitr_matched": "mood"}),
        TaskCommand(id="k1", tenant="t", time=1795935600.0, verb="merge", task="mood", other="t2", by="me"),
        TaskCommand(
            id="k2", tenant="t", time=1795935600.0, verb="split", task="mood", template=Template(prefix="M")
        ),
    ],
    "task_calls": [
        TaskCall(
            id="c1",
            tenant="t",
            task="mood",
            task_version=1,
            time=1795935600.0,
            model="m",
            input="Fine",
            label="good",
            slots=("Fine",),
            response=_ANSWER,
            usage=Usage(input_tokens=5),
            cost_usd=0.01,
            decision=_STAMP,
            weight=2.0,
        )
    ],
    "tasks": [TASK],
    "routes": [
        Transition(
            route=ROUTE,
            previous="canary",
            evidence="e1",
            evidence_kind="certified",
            reason="",
            time=1795935600.0,
        )
    ],
    "trainings": [
        Training(
            id="a" * 32,
            tenant="t",
            task="mood",
            task_version=1,
            kind="label",
            labels=300,
            target=0.9,
            delta=0.05,
            parts=(PartRef(url="/x/p0.parquet", digest="d", rows=9),),
            requested_at=1795935600.0,
            until_offset=9,
        )
    ],
    "evidence": [
        _of(Trained, training="a" * 32, surrogate=_REF, output="label"),
        _of(TrainingFailed, training="a" * 32, reason="none"),
        _of(Certified, surrogate="v1", proof=_PROOF),
        _of(Futile, surrogate="v1", reason="no", calls=10),
        _of(
            AuditWindow,
            surrogate="v1",
            calls=50,
            accepted=40,
            audits=9,
            agreed=9,
            money=Money(teacher_calls=9),
        ),
        _of(Alarm, surrogate="v1", monitor="cusum", statistic=6.0, threshold=5.0, reason="r"),
        _of(Resume, surrogate="v1", scored=300, disagreement=0.01),
        _of(
            Demotion,
            surrogate="v1",
            e_value=12.0,
            threshold=10.0,
            scored=90,
            disagreement=0.4,
            since_offset=2,
        ),
        _of(Command, verb="approve", by="me"),
        _of(Tick, labels=400, repeats=5, repeats_agreed=5),
        _of(Withheld, cause="cost", reason="r", labels=300),
    ],
}

ATOMS: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    2**31,
    2**53,
    2**63 - 1,
    2**63,
    2**64,
    -(2**63),
    10**30,
    10**40,
    10**400,
    0.0,
    -0.0,
    1e-320,
    0.5,
    1e15,
    1e300,
    -1e300,
    1795935600000,
    float("nan"),
    float("inf"),
    1e308,
    "",
    " ",
    "x",
    "\x00",
    "\ud800",
    "\udfff\ud800",
    "cut \ud83d",
    "é",
    "\U0001f600",
    "../../x",
    "/etc/x",
    "a/b",
    "t2",
    "mood",
    "v1",
    "9" * 5000,
    "x" * 3000,
    "2026-11-29T07:00:00Z",
    "9999-12-31T23:59:59Z",
    "0",
    "-1",
    "NaN",
    "{}",
    "[]",
    [],
    {},
    [[]],
    [None],
    [{}],
    {"": ""},
    {"\ud800": 1},
    {"kind": "surrogate"},
    {"id": 1},
    [1] * 300,
    ["x"] * 300,
)
BYTES = (
    b"",
    b"\x00",
    b"\xff",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"{",
    b"[",
    b'"',
    b"\\u",
    b"\\ud800",
    b",",
    b"1e999",
    b"null",
)
_CONTENT = (
    b"application/cloudevents-batch+json",
    b"application/cloudevents+json",
    b"application/json",
    b"\xff",
    b"",
    b"Application/CloudEvents-Batch+JSON; charset=utf-16",
)
_NAMES = (
    "content-type",
    "ce_id",
    "ce_type",
    "ce_specversion",
    "ce_source",
    "ce_time",
    "ce_subject",
    "traceparent",
    "jitr-dlq-reason",
    "jitr-dlq-offset",
    "jitr-replayed",
    "jitr-unreadable",
    "jitr-cut-from-bytes",
)


class Hostile:
    """Makes records for the topics of `EVENTS`.

    Parameters
    ----------
    seed : int
    values : sequence
        More JSON values to put where something else belongs.
    """

    def __init__(self, seed: int, values: Any = ()) -> None:
        self._random = Random(seed)
        self._values = [*ATOMS, *values]
        self._number = 0

    def records(self, topic: str, n: int) -> Iterator[Raw]:
        """So many records."""
        for _ in range(n):
            yield self._record(topic)

    def _record(self, topic: str) -> Raw:
        dice = self._random.random()
        if dice < 0.05:
            odd = self._random.choice(RECORDS)
            return odd.value, tuple((k, v or b"") for k, v in odd.headers)
        if dice < 0.1:
            # an event of another topic
            topic = self._random.choice(list(EVENTS))
        events = [self._event(topic) for _ in range(self._random.choice((1, 1, 1, 2, 5)))]
        headers: list[tuple[str, bytes]] = [("content-type", _CONTENT[0])]
        value = _dump(events)
        mode = self._random.random()
        if mode < 0.1:
            value, headers = _dump(events[0]), [("content-type", _CONTENT[1])]
        elif mode < 0.2:
            value, headers = _dump(_get(events[0], "data")), self._binary(events[0])
        elif mode < 0.3:
            value, headers = _dump(_get(events[0], "data")), []
        if self._random.random() < 0.15:
            value = self._spoiled(value)
        if self._random.random() < 0.1:
            headers = self._other(headers)
        return (None if self._random.random() < 0.02 else value), tuple(headers)

    def _event(self, topic: str) -> Any:
        self._number += 1
        record = self._random.choice(EVENTS[topic])
        data = msgspec.json.decode(msgspec.json.encode(record))
        if "id" in data and not isinstance(record, Task | Training):
            data["id"] = f"{data['id']}.{self._number}"
        event = {
            "specversion": "1.0",
            "id": f"h{self._number}",
            "source": "/x",
            "type": record.event_type,
            "time": "2026-11-29T07:00:00Z",
            "data": data,
        }
        for _ in range(self._random.choice((0, 1, 1, 1, 2, 4))):
            event = self._changed(event, deep=self._random.random() < 0.85)
        return event

    def _changed(self, tree: Any, deep: bool) -> Any:
        """The tree with another value at one place, or without it, or with a place more."""
        tree = copy.copy(tree)
        at = tree
        if deep and isinstance(tree, dict) and isinstance(tree.get("data"), dict | list):
            at = tree["data"] = copy.copy(tree["data"])
        while True:
            keys: Any = list(at) if isinstance(at, dict) else range(len(at))
            if not keys:
                return tree
            key = self._random.choice(list(keys))
            inner = at[key]
            if isinstance(inner, dict | list) and inner and self._random.random() < 0.7:
                at[key] = at = copy.copy(inner)
                continue
            dice = self._random.random()
            if dice < 0.15:
                del at[key]
            elif dice < 0.25 and isinstance(at, dict):
                at[self._random.choice(["\ud800", "", "x" * 300, "id", "task", "kind"])] = (
                    self._random.choice(self._values)
                )
            else:
                at[key] = self._random.choice(self._values)
            return tree

    def _spoiled(self, value: bytes) -> bytes:
        data = bytearray(value)
        for _ in range(self._random.choice((1, 1, 3, 10))):
            at = self._random.randrange(len(data) + 1)
            dice = self._random.random()
            if dice < 0.3:
                del data[at:]
            elif dice < 0.6:
                data[at:at] = self._random.choice(BYTES)
            else:
                data[at : at + 1] = bytes([self._random.randrange(256)])
        return bytes(data)

    def _binary(self, event: Any) -> list[tuple[str, bytes]]:
        pairs = [(f"ce_{k}", v) for k, v in event.items() if k != "data"] if isinstance(event, dict) else []
        return [(k, str(v)[:500].encode("utf-8", "surrogatepass")) for k, v in pairs]

    def _other(self, headers: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
        values = (*BYTES, *_CONTENT, b"1.0", b"x" * 2000, b"9" * 5000, b"2026-11-29T07:00:00Z")
        more = (self._random.choice(_NAMES), self._random.choice(values))
        kept = [pair for pair in headers if self._random.random() < 0.8]
        return [*kept, more]


def _get(event: Any, name: str) -> Any:
    return event.get(name) if isinstance(event, dict) else event


def _dump(value: Any) -> bytes:
    # also NaN, numbers of any length and halves of characters, as others write them
    return json.dumps(value).encode()
