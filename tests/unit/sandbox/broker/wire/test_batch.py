"""A batch is checked before it is stored, and loses records without losing offsets."""

import struct

import pytest
from aiokafka.record.default_records import DefaultRecordBatch
from hypothesis import given
from hypothesis import strategies as st

from jitr.sandbox.broker.wire.batch import (
    check_batch,
    crc_fits,
    filtered,
    read_header,
    records_of,
    with_base_offset,
)
from jitr.sandbox.broker.wire.codes import Code, RefusalError


def code_of(data: bytes, max_bytes: int = 10**6) -> Code:
    with pytest.raises(RefusalError) as refused:
        check_batch(data, max_bytes)
    return refused.value.code


def test_a_whole_batch_passes_and_its_header_is_read(batch) -> None:
    header = check_batch(batch((b"a", b"1"), (b"b", b"2"), producer=(7, 1, 5)), 10**6)
    assert (header.base_offset, header.last_offset, header.count) == (0, 1, 2)
    assert (header.producer_id, header.producer_epoch, header.base_sequence, header.last_sequence) == (
        7,
        1,
        5,
        6,
    )


def test_damage_anywhere_behind_the_header_is_found(batch) -> None:
    whole = batch((b"key", b"value"))
    for at in range(21, len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 0x10
        assert code_of(bytes(damaged)) is Code.CORRUPT_MESSAGE


def test_other_reasons_to_refuse_a_batch(batch) -> None:
    whole = batch((b"key", b"value"))
    assert code_of(b"") is Code.CORRUPT_MESSAGE
    assert code_of(whole[:-1]) is Code.CORRUPT_MESSAGE
    assert code_of(whole[:16] + b"\x01" + whole[17:]) is Code.CORRUPT_MESSAGE
    assert code_of(whole + whole) is Code.INVALID_RECORD
    assert code_of(whole, max_bytes=20) is Code.MESSAGE_TOO_LARGE


@given(data=st.binary(max_size=200))
def test_no_bytes_raise_anything_but_a_refusal(data: bytes) -> None:
    with pytest.raises(RefusalError):
        check_batch(data, 10**6)


@given(body=st.binary(max_size=80), count=st.integers(1, 2**31 - 1), codec=st.sampled_from([0, 1]))
def test_records_that_are_none_are_refused_or_read_within_their_bytes(
    body: bytes, count: int, codec: int
) -> None:
    data = (
        struct.pack(">qiibIhiqqqhii", 0, 49 + len(body), 0, 2, 0, codec, count - 1, 0, 0, -1, -1, -1, count)
        + body
    )
    try:
        records = records_of(data)
    except RefusalError:
        return
    assert records is not None
    assert sum(len(record.raw) for record in records) <= len(body)


@pytest.mark.parametrize("codec", [0, 1], ids=["plain", "gzip"])
def test_filtered_batches_are_whole_batches_with_the_old_offsets(batch, codec: int) -> None:
    stored = with_base_offset(batch(*[(b"k%d" % i, b"v%d" % i * 50) for i in range(10)], codec=codec), 500)
    records = records_of(stored)
    assert [record.key for record in records] == [b"k%d" % i for i in range(10)]
    thin = filtered(stored, records, lambda record: record.offset in (503, 507))
    assert crc_fits(thin)
    assert (read_header(thin).base_offset, read_header(thin).last_offset) == (500, 509)
    read = DefaultRecordBatch(bytearray(thin))
    assert [(r.offset, r.key, r.value, r.timestamp) for r in read] == [
        (503, b"k3", b"v3" * 50, 1_000_003),
        (507, b"k7", b"v7" * 50, 1_000_007),
    ]
    assert filtered(stored, records, lambda _: False) is None
    assert filtered(stored, records, lambda _: True) == stored


def test_a_codec_that_cannot_be_read_leaves_the_batch_opaque(batch) -> None:
    data = bytearray(batch((b"k", b"v")))
    data[22] = 3  # lz4
    assert records_of(bytes(data)) is None
