"""Log compaction: of the records with one key only the last stays, offsets unchanged.

One pass reads the closed segments that were not compacted yet and notes the last offset of every key (of at
most a million keys; the rest waits for the next pass), then rewrites the closed segments without the records
that a later one supersedes, several small files into one. A tombstone goes once it was compacted before and
its file is older than `delete.retention.ms`. Source: kafka.apache.org/documentation/#compaction.

Batches of a codec that cannot be read here (all but gzip) stay as they are, which loses nothing.
"""

import os
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from jitr.sandbox.broker.log import PartitionLog
from jitr.sandbox.broker.segment import OpenFiles, Segment
from jitr.sandbox.broker.wire.batch import StoredRecord, filtered, records_of
from jitr.sandbox.broker.wire.codes import RefusalError

_MOST_KEYS = 1_000_000


@dataclass(frozen=True, slots=True)
class _Plan:
    segments: list[Segment]
    clean_until: int
    tombstones_before_s: float
    group_bytes: int


def plan_of(log: PartitionLog, now_s: float) -> _Plan | None:
    """What one pass over a log would do, or None if there is not enough new to do."""
    config = log.config
    if not config.compacts or log.cleaning or log.closed:
        return None
    lag_ms = now_s * 1000 - config.min_compaction_lag_ms
    closed: list[Segment] = []
    for segment in log.segments[:-1]:
        if config.min_compaction_lag_ms and segment.max_timestamp_ms > lag_ms:
            break
        closed.append(segment)
    dirty = sum(segment.size for segment in closed if segment.next_offset > log.clean_until)
    total = sum(segment.size for segment in closed)
    if not dirty or dirty / total < config.min_dirty_ratio:
        return None
    return _Plan(closed, log.clean_until, now_s - config.delete_retention_ms / 1000, config.segment_bytes)


def rewrite(plan: _Plan) -> tuple[list[tuple[list[Segment], Path]], int]:
    """Write the compacted files beside the old ones; safe in a thread, for closed segments do not change.

    Returns
    -------
    list of (segments replaced, file)
        In order of offset.
    int
        Offset below which the log is clean afterwards.
    """
    last, clean_until = _last_offsets(plan)

    def stays(record: StoredRecord) -> bool:
        return record.key is not None and last.get(_digest(record.key), -1) <= record.offset

    def stays_or_buried(record: StoredRecord) -> bool:
        return stays(record) and (record.has_value or record.offset >= plan.clean_until)

    done = []
    for group in _groups([segment for segment in plan.segments if segment.base_offset < clean_until], plan):
        path = group[0].path.with_suffix(".cleaned")
        modified_s = max(segment.modified_s() for segment in group)
        keep = stays_or_buried if modified_s < plan.tombstones_before_s else stays
        with path.open("wb") as file:
            for segment in group:
                for batch in segment.batches():
                    records = _readable(batch)
                    kept: bytes | None = batch
                    if records is not None:
                        kept = filtered(batch, records, keep)
                    if kept is not None:
                        file.write(kept)
            file.flush()
            os.fsync(file.fileno())
        os.utime(path, (modified_s, modified_s))
        done.append((group, path))
    return done, clean_until


def swap(
    log: PartitionLog, done: list[tuple[list[Segment], Path]], clean_until: int, files: OpenFiles
) -> None:
    """Put the rewritten files in the place of the old ones."""
    for group, path in done:
        if log.closed or any(segment not in log.segments for segment in group):
            path.unlink(missing_ok=True)  # deleted while it was compacted
            continue
        at = log.segments.index(group[0])
        files.forget(group[0].path)
        path.replace(group[0].path)
        for segment in group[1:]:
            segment.remove()
        fresh = Segment(log.folder, group[0].base_offset, files)
        for _ in fresh.load():
            pass
        log.segments[at : at + len(group)] = [fresh]
    log.clean_until = max(log.clean_until, clean_until)


def _last_offsets(plan: _Plan) -> tuple[dict[bytes, int], int]:
    last: dict[bytes, int] = {}
    until = plan.clean_until
    for segment in plan.segments:
        if segment.next_offset <= plan.clean_until:
            continue
        for batch in segment.batches():
            for record in _readable(batch) or ():
                if record.key is not None:
                    last[_digest(record.key)] = record.offset
        until = segment.next_offset
        if len(last) >= _MOST_KEYS:
            break
    return last, until


def _readable(batch: bytes) -> list[StoredRecord] | None:
    try:
        return records_of(batch)
    except RefusalError:
        return None  # damaged inside: kept, so that its reader sees the damage


def _digest(key: bytes) -> bytes:
    return blake2b(key, digest_size=16).digest()


def _groups(segments: list[Segment], plan: _Plan) -> list[list[Segment]]:
    groups: list[list[Segment]] = []
    size = 0
    for segment in segments:
        if groups and size + segment.size <= plan.group_bytes:
            groups[-1].append(segment)
            size += segment.size
        else:
            groups.append([segment])
            size = segment.size
    return groups
