"""A time in any unit that producers write is read as seconds; one that cannot be is refused with a reason."""

import json
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from jitr.schemas.dialects import read_call
from jitr.schemas.errors import RecordError
from jitr.schemas.events import Event
from jitr.schemas.times import END, rfc3339, seconds

CANONICAL = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
PAIR = {"request": CANONICAL, "response": {"choices": [{"message": {"content": "yo"}}]}}
T = 1795935600


@pytest.mark.parametrize("unit", [1, 10**3, 10**6, 10**9])
@pytest.mark.parametrize("form", [int, float, str])
def test_the_size_of_a_number_tells_its_unit(unit: int, form: Any) -> None:
    assert seconds(form(T * unit)) == T


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (99_999_999_999, 99_999_999_999.0),
        (100_000_000_000, 100_000_000.0),
        (10**14 - 1, (10**14 - 1) / 1000),
        (10**14, 10**8),
        (10**17 - 1, (10**17 - 1) / 10**6),
        (10**17, 10**8),
        (1e20 - 1e5, (1e20 - 1e5) / 1e9),
    ],
)
def test_where_a_unit_ends_the_next_begins(number: float, expected: float) -> None:
    assert seconds(number) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-29T07:00:00Z", T),
        ("2026-11-29t07:00:00z", T),
        ("2026-11-29 08:30:00+01:30", T),
        ("2026-11-29T07:00:00", T),
        ("2026-11-29T07:00:00.123456789Z", T + 0.123456),
        ("2016-12-31T23:59:60Z", 1483228800),
        ("9999-12-31T23:59:59Z", END - 1),
    ],
)
def test_rfc_3339_is_read_as_people_write_it(text: str, expected: float) -> None:
    assert seconds(text) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("time", "reason"),
    [
        (0, "0 stands for no time"),
        (9e-7, "0 stands for no time"),
        (-0.0, "0 stands for no time"),
        ("0", "0 stands for no time"),
        ("1970-01-01T00:00:00Z", "0 stands for no time"),
        (-5.0, "got -5.0"),
        (1e20, "got 1e\\+20"),
        (1e300, "got 1e\\+300"),
        (10**40, "a number of 133 bits"),
        pytest.param(10**5000, "a number of 16610 bits", id="of 5000 digits"),
        (float("nan"), "got nan"),
        (float("inf"), "got inf"),
        (True, "got True"),
        (None, "got null"),
        ({}, "got an object"),
        ("", "got ''"),
        ("noon", "got 'noon'"),
        ("\ud800", "got '.ud800'"),
        ("2016-12-31T23:60:00Z", "RFC 3339"),
        ("0001-01-01T00:00:00+23:59", "in the years 1970 to 9999"),
        ("9999-12-31T23:59:60Z", "in the years 1970 to 9999"),
    ],
)
def test_what_cannot_be_a_time_is_refused_with_a_reason(time: Any, reason: str) -> None:
    with pytest.raises(RecordError, match=reason):
        seconds(time)


@given(st.floats() | st.integers() | st.text() | st.none() | st.booleans() | st.datetimes().map(str))
def test_every_value_gives_a_time_that_can_be_written_or_a_refusal(value: Any) -> None:
    try:
        time = seconds(value)
    except RecordError as error:
        str(error).encode()
    else:
        assert 0 < time < END
        assert seconds(rfc3339(time)) == pytest.approx(time, abs=1e-4)


@pytest.mark.parametrize("form", [CANONICAL, PAIR], ids=["canonical", "openai"])
def test_every_dialect_reads_the_time_of_a_call(form: dict[str, Any]) -> None:
    def read(time: Any) -> float:
        data = json.dumps({**form, "time": time}).encode()
        return read_call(Event(id="e", type="", source="", time=7.0, data=data)).time

    assert [read(t) for t in (T, T * 1000, str(T * 1000), "2026-11-29T07:00:00Z", None)] == [T, T, T, T, 7.0]
    with pytest.raises(RecordError, match=r"^\$\.time: 0 stands for no time"):
        read(0)
