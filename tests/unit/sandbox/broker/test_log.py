"""A partition's log: offsets go on, ends that are torn are cut, what is old goes."""

import os
from pathlib import Path

import pytest

from jitr.sandbox.broker.log import PartitionLog
from jitr.sandbox.broker.segment import OpenFiles
from jitr.sandbox.broker.topic_config import TopicConfig
from jitr.sandbox.broker.wire.batch import HEADER_BYTES, read_header, with_base_offset
from jitr.sandbox.broker.wire.codes import Code, RefusalError


@pytest.fixture
def open_log(tmp_path: Path, clock):
    """Open the log of this test's folder, again and again, with some settings."""
    opened: list[OpenFiles] = []

    def open_(**config: object) -> PartitionLog:
        files = OpenFiles(limit=2)
        opened.append(files)
        given = {key.replace("_", "."): str(value) for key, value in config.items()}
        return PartitionLog(tmp_path / "0", TopicConfig.of(given), files, clock)

    yield open_
    for files in opened:
        files.close(sync=False)


def offsets(log: PartitionLog, start: int, max_bytes: int = 10**6) -> list[int]:
    """Base offsets of the batches that a read gives."""
    data, at, found = log.read(start, max_bytes, at_least_one=True), 0, []
    while at + HEADER_BYTES <= len(data):
        found.append(read_header(data, at).base_offset)
        at += read_header(data, at).size
    return found


def fill(log: PartitionLog, batch, count: int, **options: object) -> None:
    for i in range(count):
        log.append(batch((b"k%d" % i, b"v" * 100), **options))


def test_every_offset_of_a_long_log_can_be_read(open_log, batch) -> None:
    log = open_log()
    for _ in range(200):
        log.append(batch((b"a", b"x" * 30), (b"b", b"y" * 30), (b"c", b"z" * 30)))
    assert log.end_offset == 600
    for offset in range(600):
        assert offsets(log, offset)[0] == offset - offset % 3
    assert log.read(600, 1000, at_least_one=True) == b""


def test_an_offset_outside_is_refused(open_log, batch) -> None:
    log = open_log()
    fill(log, batch, 3)
    for outside in (-1, 4):
        with pytest.raises(RefusalError) as refused:
            log.read(outside, 1000, at_least_one=True)
        assert refused.value.code is Code.OFFSET_OUT_OF_RANGE


def test_a_log_spans_segments_and_comes_back_as_it_was(open_log, batch) -> None:
    log = open_log(segment_bytes=2000)
    fill(log, batch, 100)
    assert len(log.segments) > 5
    again = open_log(segment_bytes=2000)
    assert again.end_offset == 100
    found, at = [], 0
    while at < 100:
        found += offsets(again, at)
        at = found[-1] + 1
    assert found == list(range(100))


def test_a_torn_end_is_cut_and_the_log_goes_on(open_log, batch, tmp_path: Path) -> None:
    log = open_log()
    fill(log, batch, 10)
    path = log.active.path
    os.truncate(path, path.stat().st_size - 7)
    again = open_log()
    assert again.end_offset == 9
    new = batch((b"another key", b"another value"))
    assert again.append(new) == 9
    assert offsets(again, 0) == list(range(10))
    assert again.read(9, 10**6, at_least_one=True) == with_base_offset(new, 9)


def test_a_flipped_bit_in_the_last_batch_is_noticed_on_recovery(open_log, batch) -> None:
    log = open_log()
    fill(log, batch, 5)
    data = bytearray(log.active.path.read_bytes())
    data[-3] ^= 1
    log.active.path.write_bytes(data)
    assert open_log().end_offset == 4


def test_a_duplicate_is_recognised_after_a_restart(open_log, batch) -> None:
    sent = batch((b"k", b"v"), producer=(5, 0, 0))
    assert open_log().append(sent) == 0
    again = open_log()
    assert again.append(sent) == 0
    assert again.end_offset == 1


def test_a_small_read_gives_one_batch_and_no_more_than_asked_behind_it(open_log, batch) -> None:
    log = open_log()
    fill(log, batch, 50)
    assert offsets(log, 7, max_bytes=1) == [7]
    assert log.read(7, 1, at_least_one=False) == b""
    assert len(log.read(0, 1000, at_least_one=True)) <= 1000


def test_time_finds_the_first_record_at_or_after_it(open_log, batch) -> None:
    log = open_log(segment_bytes=3000)
    for i in range(100):
        log.append(batch((b"a", b"x" * 40), (b"b", b"y" * 40), timestamp_ms=10_000 + 10 * i))
    assert log.offset_at_time(0) == (10_000, 0)
    assert log.offset_at_time(10_001) == (10_001, 1)
    for i in range(1, 100):
        assert log.offset_at_time(10_000 + 10 * i) == (10_000 + 10 * i, 2 * i)
        assert log.offset_at_time(10_000 + 10 * i - 5) == (10_000 + 10 * i, 2 * i)
    assert log.offset_at_time(20_000) is None


def test_retention_by_time_drops_old_segments_and_then_all(open_log, batch, clock) -> None:
    log = open_log(segment_bytes=2000, retention_ms=5000)
    fill(log, batch, 40, timestamp_ms=1_000_000)
    fill(log, batch, 5, timestamp_ms=1_004_000)
    clock.now_s = 1_005.5
    log.expire()
    assert 0 < log.start_offset <= 40
    assert log.end_offset == 45
    clock.now_s = 1_100
    log.expire()
    assert log.start_offset == log.end_offset == 45
    assert open_log().start_offset == 45


def test_retention_by_size_keeps_at_least_that_much(open_log, batch) -> None:
    log = open_log(segment_bytes=2000, retention_bytes=5000)
    fill(log, batch, 200)
    log.expire()
    assert 5000 <= log.size < 9000
    assert log.end_offset == 200


def test_records_can_be_deleted_and_stay_so(open_log, batch) -> None:
    log = open_log(segment_bytes=2000)
    fill(log, batch, 50)
    assert log.delete_before(30) == 30
    assert log.delete_before(10) == 30
    assert open_log(segment_bytes=2000).start_offset == 30
    with pytest.raises(RefusalError):
        log.delete_before(51)
    assert log.delete_before(-1) == 50
