"""Batches as a producer makes them, and a clock that stands until it is moved."""

from collections.abc import Callable

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder

Batch = Callable[..., bytes]


@pytest.fixture
def batch() -> Batch:
    """Build a batch of (key, value) pairs."""

    def build(
        *pairs: tuple[bytes | None, bytes | None],
        timestamp_ms: int = 1_000_000,
        codec: int = 0,
        producer: tuple[int, int, int] = (-1, -1, -1),
    ) -> bytes:
        builder = DefaultRecordBatchBuilder(2, codec, False, *producer, 10_000_000)
        for i, (key, value) in enumerate(pairs):
            builder.append(i, timestamp_ms + i, key, value, [("h", b"1")])
        return bytes(builder.build())

    return build


class Clock:
    """Unix time in seconds, moved by hand."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()
