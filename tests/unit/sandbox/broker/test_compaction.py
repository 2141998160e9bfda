"""Compaction as a property: the last value of every key is what a reader of the whole log ends with."""

import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from jitr.sandbox.broker.compaction import plan_of, rewrite, swap
from jitr.sandbox.broker.log import PartitionLog
from jitr.sandbox.broker.segment import OpenFiles
from jitr.sandbox.broker.topic_config import TopicConfig
from jitr.sandbox.broker.wire.batch import read_header, records_of

COMPACT = {"cleanup.policy": "compact", "segment.bytes": "1024", "min.cleanable.dirty.ratio": "0"}


def records(log: PartitionLog) -> Iterator[tuple[int, bytes | None, bool]]:
    at = log.start_offset
    while at < log.end_offset:
        data = log.read(at, 10**6, at_least_one=True)
        if not data:
            return
        done = 0
        while done < len(data):
            header = read_header(data, done)
            for record in records_of(data[done : done + header.size]) or ():
                yield record.offset, record.key, record.has_value
            done += header.size
            at = header.last_offset + 1


def last(log: PartitionLog) -> dict[bytes | None, tuple[int, bool]]:
    return {key: (offset, has_value) for offset, key, has_value in records(log)}


def compact(log: PartitionLog, files: OpenFiles, now_s: float) -> bool:
    plan = plan_of(log, now_s)
    if plan is None:
        return False
    swap(log, *rewrite(plan), files)
    return True


WRITES = st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=80)


@settings(max_examples=60)
@given(rounds=st.lists(WRITES, min_size=1, max_size=3), codec=st.sampled_from([0, 1]))
def test_the_last_record_of_each_key_stays_where_it_was(rounds, codec: int) -> None:
    from aiokafka.record.default_records import DefaultRecordBatchBuilder

    with TemporaryDirectory() as folder:
        files = OpenFiles()
        log = PartitionLog(Path(folder), TopicConfig.of(COMPACT), files, lambda: 1_000.0)
        for writes in rounds:
            for i in range(0, len(writes), 3):
                builder = DefaultRecordBatchBuilder(2, codec, False, -1, -1, -1, 100_000)
                for j, (key, has_value) in enumerate(writes[i : i + 3]):
                    builder.append(j, 1_000_000, b"k%d" % key, b"v" * 60 if has_value else None, [])
                log.append(bytes(builder.build()))
            before, end = last(log), log.end_offset
            compact(log, files, now_s=1_000.0)
            assert last(log) == before
            assert log.end_offset == end
            clean = [key for offset, key, _ in records(log) if offset < log.active.base_offset]
            assert len(clean) == len(set(clean))
        again = PartitionLog(Path(folder), TopicConfig.of(COMPACT), files, lambda: 1_000.0)
        assert last(again) == last(log)
        assert again.end_offset == log.end_offset
        files.close(sync=False)


def test_a_tombstone_goes_in_a_later_pass_when_it_is_old(tmp_path: Path, batch) -> None:
    files = OpenFiles()
    config = TopicConfig.of({**COMPACT, "delete.retention.ms": "60000"})
    log = PartitionLog(tmp_path, config, files, lambda: 1_000.0)

    def grow() -> None:
        for i in range(20):
            log.append(batch((b"other%d" % i, b"v" * 100)))

    log.append(batch((b"gone", b"value")))
    log.append(batch((b"gone", None)))
    grow()
    now_s = os.stat(log.segments[0].path).st_mtime
    assert compact(log, files, now_s)
    assert last(log)[b"gone"] == (1, False)
    grow()
    assert compact(log, files, now_s + 30)
    assert last(log)[b"gone"] == (1, False)
    grow()
    assert compact(log, files, now_s + 3600)
    assert b"gone" not in last(log)
    files.close(sync=False)


def test_a_compaction_that_was_stopped_half_way_changes_nothing(tmp_path: Path, batch) -> None:
    files = OpenFiles()
    log = PartitionLog(tmp_path, TopicConfig.of(COMPACT), files, lambda: 1_000.0)
    for i in range(60):
        log.append(batch((b"own%d" % i if i % 2 else b"shared", b"v" * 100)))
    assert compact(log, files, 1_000.0)  # leaves small files, which the next pass puts together
    for i in range(60):
        log.append(batch((b"new%d" % i, b"v" * 100)))
    before = last(log)
    plan = plan_of(log, 1_000.0)
    assert plan is not None
    done, _ = rewrite(plan)
    # the process ends after one rename, before the files it replaces are removed
    group, path = done[0]
    assert len(group) > 1
    path.replace(group[0].path)
    again = PartitionLog(tmp_path, TopicConfig.of(COMPACT), OpenFiles(), lambda: 1_000.0)
    found = list(records(again))
    assert last(again) == before
    assert len(found) == len({offset for offset, _, _ in found})
    assert all(one.next_offset <= next_.base_offset for one, next_ in pairwise(again.segments))
    assert again.end_offset == 120
    assert not list(tmp_path.glob("*.cleaned"))
    files.close(sync=False)


def test_what_is_clean_or_not_to_be_compacted_is_left_alone(tmp_path: Path, batch) -> None:
    files = OpenFiles()
    log = PartitionLog(tmp_path, TopicConfig.of(COMPACT), files, lambda: 1_000.0)
    log.append(batch((b"k", b"v")))
    assert plan_of(log, 1_000.0) is None  # the active segment alone
    for _ in range(30):
        log.append(batch((b"k", b"v" * 100)))
    assert compact(log, files, 1_000.0)
    assert not compact(log, files, 1_000.0)
    log.config = TopicConfig.of({**COMPACT, "cleanup.policy": "delete"})
    log.clean_until = 0
    assert plan_of(log, 1_000.0) is None
    files.close(sync=False)


def test_records_without_a_key_from_before_the_topic_was_compacted_are_dropped(tmp_path: Path, batch) -> None:
    files = OpenFiles()
    log = PartitionLog(tmp_path, TopicConfig.of({"segment.bytes": "1024"}), files, lambda: 1_000.0)
    log.append(batch((None, b"keyless"), (b"k", b"v")))
    for i in range(20):
        log.append(batch((b"k%d" % i, b"v" * 100)))
    log.config = TopicConfig.of(COMPACT)
    assert compact(log, files, 1_000.0)
    found = last(log)
    assert None not in found and found[b"k"] == (1, True)
    files.close(sync=False)
