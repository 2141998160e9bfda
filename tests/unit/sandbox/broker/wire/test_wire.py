"""Whatever bytes come, reading them ends in values or in MalformedError."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jitr.sandbox.broker.wire.wire import MalformedError, WireReader, Writer


@given(
    st.binary(max_size=64), st.lists(st.sampled_from(["int8", "int16", "int32", "int64", "string", "bytes_"]))
)
def test_reading_ends_in_values_or_malformed(data: bytes, fields: list[str]) -> None:
    reader = WireReader(data)
    try:
        for field in fields:
            getattr(reader, field)()
        reader.array(lambda: reader.array(reader.nullable_string))
    except MalformedError:
        pass
    assert reader.at <= len(data)


@given(
    st.integers(-(2**15), 2**15 - 1),
    st.integers(-(2**63), 2**63 - 1),
    st.none() | st.text(max_size=50),
    st.none() | st.binary(max_size=50),
    st.lists(st.integers(-(2**31), 2**31 - 1)),
)
def test_what_is_written_is_read(
    short: int, long: int, text: str | None, raw: bytes | None, numbers: list[int]
) -> None:
    out = (
        Writer().int16(short).int64(long).string(text).bytes_(raw).array(numbers, Writer.int32).boolean(True)
    )
    reader = WireReader(bytes(out.data))
    assert (reader.int16(), reader.int64(), reader.nullable_string(), reader.nullable_bytes()) == (
        short,
        long,
        text,
        raw,
    )
    assert (reader.array(reader.int32), reader.boolean()) == (numbers, True)


def test_a_count_larger_than_the_request_reserves_nothing() -> None:
    with pytest.raises(MalformedError, match="an array of 2147483647 items in 0 bytes"):
        WireReader(b"\x7f\xff\xff\xff").array(lambda: 0)
