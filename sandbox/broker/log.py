"""The log of one partition: segments in order, appended at one end, expired at the other."""

from bisect import bisect_right
from collections.abc import Callable
from pathlib import Path

from jitr.sandbox.broker.producers import ProducerSequences
from jitr.sandbox.broker.segment import OpenFiles, Segment
from jitr.sandbox.broker.topic_config import TopicConfig
from jitr.sandbox.broker.wire.batch import check_batch, read_header, records_of, with_base_offset
from jitr.sandbox.broker.wire.codes import Code, RefusalError

_START_FILE = "log-start-offset"


class PartitionLog:
    """One partition's batches on disk, their offsets, and who waits for more.

    Parameters
    ----------
    folder : Path
        The partition's own folder; made if missing. What lies in it is taken up again.
    config : TopicConfig
        The topic's settings; may be replaced while running.
    files : OpenFiles
        Descriptors shared by all partitions.
    clock : callable
        Unix time in seconds.
    """

    def __init__(
        self, folder: Path, config: TopicConfig, files: OpenFiles, clock: Callable[[], float]
    ) -> None:
        self.folder = folder
        self.config = config
        self.closed = False
        self.clean_until = 0  # compaction has been over everything below this offset
        self.cleaning = False
        self.waiting: set[Callable[[], None]] = set()
        self._files = files
        self._clock = clock
        self._producers = ProducerSequences()
        self.segments: list[Segment] = []
        folder.mkdir(parents=True, exist_ok=True)
        self._recover()

    def _recover(self) -> None:
        for left_over in self.folder.glob("*.cleaned"):
            left_over.unlink()
        for path in sorted(self.folder.glob("*.log")):
            segment = Segment(self.folder, int(path.stem), self._files)
            if self.segments and self.segments[-1].next_offset > segment.base_offset:
                segment.remove()  # a compaction was stopped between its rename and this removal
                continue
            for header in segment.load():
                self._producers.note(header, header.base_offset)
            self.segments.append(segment)
        start_file = self.folder / _START_FILE
        self.start_offset = int(start_file.read_text()) if start_file.exists() else 0
        if not self.segments:
            self.segments.append(Segment(self.folder, self.start_offset, self._files))
        self.segments[-1].path.touch()
        self._rolled_at = self._clock()

    @property
    def active(self) -> Segment:
        return self.segments[-1]

    @property
    def end_offset(self) -> int:
        """Offset the next record will get."""
        return self.segments[-1].next_offset

    @property
    def size(self) -> int:
        return sum(segment.size for segment in self.segments)

    def append(self, data: bytes) -> int:
        """Store the one batch a producer sent for this partition; returns its base offset.

        Raises
        ------
        RefusalError
            For a batch that is damaged, too large, out of order, or keyless in a compacted topic.
        """
        header = check_batch(data, self.config.max_message_bytes)
        if self.config.compacts and any(record.key is None for record in records_of(data) or ()):
            raise RefusalError(Code.INVALID_RECORD, "a record of a compacted topic needs a key")
        stored_at = self._producers.duplicate_of(header)
        if stored_at is not None:
            return stored_at
        if self.active.size and self.active.size + header.size > self.config.segment_bytes:
            self.roll()
        placed = with_base_offset(data, self.end_offset)
        placed_header = read_header(placed)
        self.active.append(placed, placed_header)
        self._producers.note(placed_header, placed_header.base_offset)
        self.wake()
        return placed_header.base_offset

    def wake(self) -> None:
        """Tell every waiting fetch that something changed."""
        for callback in tuple(self.waiting):
            callback()

    def roll(self) -> None:
        """Close the active segment and start the next one."""
        fresh = Segment(self.folder, self.end_offset, self._files)
        fresh.path.touch()  # its name alone keeps the end offset over a restart
        self.segments.append(fresh)
        self._rolled_at = self._clock()

    def read(self, offset: int, max_bytes: int, *, at_least_one: bool) -> bytes:
        """Batches from `offset` on, at most `max_bytes`, or one batch if `at_least_one`.

        Raises
        ------
        RefusalError
            OFFSET_OUT_OF_RANGE.
        """
        if not self.start_offset <= offset <= self.end_offset:
            raise RefusalError(
                Code.OFFSET_OUT_OF_RANGE, f"offset {offset} is not in {self.start_offset}..{self.end_offset}"
            )
        for segment in self._from(offset):
            if segment.next_offset > offset and (
                found := segment.read(offset, max_bytes, at_least_one=at_least_one)
            ):
                return found
        return b""

    def _from(self, offset: int) -> list[Segment]:
        first = bisect_right(self.segments, offset, key=lambda segment: segment.base_offset) - 1
        return self.segments[max(first, 0) :]

    def offset_at_time(self, timestamp_ms: int) -> tuple[int, int] | None:
        """Timestamp and offset of the first record at or after a time, or None if there is none."""
        for segment in self.segments:
            batch = segment.first_at_or_after(timestamp_ms)
            if batch is None:
                continue
            header = read_header(batch)
            base_timestamp = int.from_bytes(batch[27:35], "big", signed=True)
            for record in records_of(batch) or ():
                when = base_timestamp + record.timestamp_delta_ms
                if when >= timestamp_ms and record.offset >= self.start_offset:
                    return when, record.offset
            # compressed by a codec that cannot be read here: the batch's start is right but may be early
            return header.max_timestamp_ms, max(header.base_offset, self.start_offset)
        return None

    def delete_before(self, offset: int) -> int:
        """Move the start of the log up, and drop the segments that lie before it; returns the new start.

        Raises
        ------
        RefusalError
            OFFSET_OUT_OF_RANGE, for an offset beyond the end.
        """
        target = self.end_offset if offset == -1 else offset
        if not 0 <= target <= self.end_offset:
            raise RefusalError(
                Code.OFFSET_OUT_OF_RANGE, f"offset {offset} is beyond the end {self.end_offset}"
            )
        if target > self.start_offset:
            self._move_start(target)
        return self.start_offset

    def _move_start(self, offset: int) -> None:
        self.start_offset = offset
        part = self.folder / f"{_START_FILE}.new"
        part.write_text(str(offset))
        part.replace(self.folder / _START_FILE)
        while len(self.segments) > 1 and self.segments[1].base_offset <= offset:
            self.segments.pop(0).remove()

    def expire(self) -> None:
        """Roll a segment that is old enough, and drop those that retention by time or size gives up."""
        now_ms = self._clock() * 1000
        config = self.config
        if self.active.size and now_ms - self._rolled_at * 1000 > config.segment_ms:
            self.roll()
        if not config.deletes or self.cleaning:
            return
        if config.retention_ms >= 0:
            oldest_kept_ms = now_ms - config.retention_ms
            if self.active.size and _newest_ms(self.active) < oldest_kept_ms:
                self.roll()
            while len(self.segments) > 1 and _newest_ms(self.segments[0]) < oldest_kept_ms:
                self._move_start(self.segments[1].base_offset)
        if config.retention_bytes >= 0:
            while len(self.segments) > 1 and self.size - self.segments[0].size >= config.retention_bytes:
                self._move_start(self.segments[1].base_offset)

    def remove(self) -> None:
        """Delete the log's files."""
        self.closed = True
        for segment in self.segments:
            segment.remove()
        self.wake()


def _newest_ms(segment: Segment) -> float:
    # records without a timestamp age by their file
    return segment.max_timestamp_ms if segment.max_timestamp_ms >= 0 else segment.modified_s() * 1000
