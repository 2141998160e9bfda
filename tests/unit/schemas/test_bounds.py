"""No number on the wire is without bounds, and on both sides of each bound something stands."""

from collections.abc import Iterator
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec
import pytest
from msgspec import Meta

from jitr.schemas import bounds
from jitr.schemas.calls import Call, Message, Usage
from jitr.schemas.dialects import read_call
from jitr.schemas.errors import RecordError
from jitr.schemas.events import Event
from jitr.schemas.jsonschema import RECORDS
from jitr.schemas.record import decode
from jitr.schemas.times import END, Time


def numbers(kind: Any, at: str = "", seen: tuple[Any, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every int and float in a type, with its path and its bounds if it has any."""
    if kind in seen:
        return
    if get_origin(kind) is Annotated:
        inner, meta = get_args(kind)[0], get_args(kind)[1]
        if inner in (int, float):
            yield at, meta
            return
        kind = inner
    if kind in (int, float):
        yield at, None
    elif isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        for name, hint in get_type_hints(kind, include_extras=True).items():
            if name in kind.__struct_fields__:
                yield from numbers(hint, f"{at}.{name}", (*seen, kind))
    else:
        for inner in get_args(kind):
            yield from numbers(inner, at, seen)


FOUND = [(f"{name}{path}", meta) for name, kind in RECORDS.items() for path, meta in numbers(kind)]


def test_every_number_of_every_record_has_bounds_on_both_sides() -> None:
    assert len(FOUND) > 100
    open_ended = [
        path
        for path, meta in FOUND
        if not isinstance(meta, Meta)
        or (meta.ge is None and meta.gt is None)
        or (meta.le is None and meta.lt is None)
    ]
    assert open_ended == []


@pytest.mark.parametrize(
    ("kind", "inside", "outside"),
    [
        (bounds.Int64, [-(2**63), 2**63 - 1], [-(2**63) - 1, 2**63, 10**30]),
        (bounds.Count, [0, 10**9], [-1, 10**9 + 1, 10**40]),
        (bounds.Total, [0, 2**63 - 1], [-1, 2**63]),
        (bounds.Offset, [-1, 2**63 - 1], [-2, 2**63]),
        (bounds.Finite, [-1e300, 1e300], [-1.1e300, 1.1e300]),
        (bounds.Rate, [0.0, 1.0], [-1e-9, 1.0001]),
        (bounds.Weight, [1e-9, 1e6], [0.0, 1.1e6]),
        (bounds.Duration, [0.0, 1e12], [-1.0, 1.1e12]),
        (bounds.Dollars, [0.0, 1e9], [-0.01, 1.1e9]),
        (bounds.Sum, [0.0, 1e30], [-1.0, 1.1e30]),
        (Time, [0.0, END - 1], [-1.0, END, 1e300]),
        (bounds.Id, ["x", "x" * 1000], ["", "x" * 1001]),
        (bounds.Name, ["x", "x" * 500], ["", "x" * 501]),
        (bounds.Slug, ["t1", "A-b_c.d", "x" * 200], ["", "..", ".x", "a/b", "a b", "x" * 201]),
    ],
)
def test_what_lies_inside_of_the_bounds_is_read_and_what_lies_outside_is_not(
    kind: Any, inside: list[Any], outside: list[Any]
) -> None:
    for value in inside:
        assert msgspec.json.decode(msgspec.json.encode(value), type=kind) == value
        # a snapshot holds it too
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(value), type=kind) == value
    for value in outside:
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(msgspec.json.encode(value), type=kind)


@pytest.mark.parametrize(
    ("bodies", "reason"),
    [
        ({"cost_usd": 1e300}, r"\$\.cost_usd: Expected `float` <= 1000000000"),
        ({"tenant": "x" * 501}, r"\$\.tenant: Expected `str` of length <= 500"),
    ],
)
def test_a_dialect_builds_no_call_that_is_out_of_bounds(bodies: dict[str, Any], reason: str) -> None:
    request = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    data = msgspec.json.encode({"request": request, **bodies})
    with pytest.raises(RecordError, match=reason):
        read_call(Event(id="e", type="", source="", time=1.0, data=data))


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        (b'"n": 1000000000000000000000000000000', r"\$\.n: Expected `int` <= 9223372036854775807"),
        (b'"usage": {"input_tokens": 1%b}' % (b"0" * 40), r"\$\.usage\.input_tokens: Expected `int` <="),
        (b'"cost_usd": 1e300', r"\$\.cost_usd: Expected `float` <= 1000000000"),
        (b'"temperature": 1e400', r"\$\.temperature: Number out of range"),
        (b'"latency_s": -1', r"\$\.latency_s: Expected `float` >= 0"),
        (b'"id": ""', r"\$\.id: Expected `str` of length >= 1"),
    ],
)
def test_a_call_out_of_bounds_is_refused_by_the_name_of_the_field(field: bytes, reason: str) -> None:
    call = Call(id="c", model="m", time=1.0, messages=(Message(role="user", content="hi"),), usage=Usage())
    with pytest.raises(RecordError, match=reason):
        decode(msgspec.json.encode(call)[:-1] + b", " + field + b"}", Call)
