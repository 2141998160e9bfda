from __future__ import annotations

from collections import deque
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jitr.router.publishing.drops import Drop
from jitr.router.publishing.spool import Spool


def drained(spool: Spool) -> list[bytes]:
    found = []
    while (head := spool.peek()) is not None:
        found.append(head[0])
        spool.take()
    return found


def test_batches_come_back_in_order_over_segments_and_a_restart(tmp_path: Path) -> None:
    batches = [f"batch {n}".encode() * 20 for n in range(50)]
    with Spool(tmp_path, 16_000) as spool:
        for batch in batches[:40]:
            assert spool.append(batch, 1) is None
        assert len(list(tmp_path.rglob("*.spool"))) > 1
    with Spool(tmp_path, 16_000) as spool:
        for batch in batches[40:]:
            assert spool.append(batch, 1) is None
        assert drained(spool) == batches
        assert spool.size_bytes == 0
    assert not list(tmp_path.rglob("*.spool"))


def test_beyond_its_bound_it_refuses_and_takes_again_when_there_is_room(tmp_path: Path) -> None:
    with Spool(tmp_path, 100) as spool:
        assert spool.append(b"x" * 60, 1) is None
        assert spool.append(b"x" * 60, 1) is Drop.SPOOL_FULL
        assert drained(spool) == [b"x" * 60]
        assert spool.append(b"x" * 60, 1) is None


def test_a_batch_that_was_not_taken_comes_again(tmp_path: Path) -> None:
    with Spool(tmp_path, 1000) as spool:
        spool.append(b"a", 1)
        assert spool.peek() == spool.peek() == (b"a", 1)
    with Spool(tmp_path, 1000) as spool:
        assert drained(spool) == [b"a"]


@pytest.mark.parametrize("cut", range(1, 20))
def test_a_torn_end_costs_the_last_batch_only(cut: int, tmp_path: Path) -> None:
    with Spool(tmp_path, 1000) as spool:
        spool.append(b"first", 1)
        spool.append(b"second!!", 1)
    [segment] = tmp_path.rglob("*.spool")
    segment.write_bytes(segment.read_bytes()[:-cut])
    with Spool(tmp_path, 1000) as spool:
        assert drained(spool) == [b"first"]


def test_a_flipped_bit_is_noticed(tmp_path: Path) -> None:
    with Spool(tmp_path, 1000) as spool:
        spool.append(b"first", 1)
        spool.append(b"second", 1)
    [segment] = tmp_path.rglob("*.spool")
    damaged = bytearray(segment.read_bytes())
    damaged[-1] ^= 1
    segment.write_bytes(damaged)
    with Spool(tmp_path, 1000) as spool:
        assert drained(spool) == [b"first"]


def test_two_processes_share_a_root_without_sharing_a_spool(tmp_path: Path) -> None:
    with Spool(tmp_path, 1000) as one, Spool(tmp_path, 1000) as other:
        one.append(b"one", 1)
        other.append(b"other", 1)
        assert drained(one) == [b"one"]
        assert drained(other) == [b"other"]


def test_what_waits_for_a_process_that_does_not_come_back_is_taken_over(tmp_path: Path) -> None:
    with Spool(tmp_path, 10_000) as one, Spool(tmp_path, 10_000) as other, Spool(tmp_path, 10_000) as third:
        one.append(b"one", 1)
        other.append(b"other", 2)
        third.append(b"third", 3)
        one.close()
        other.close()
        with Spool(tmp_path, 10_000) as back:
            assert back.calls == 3 and drained(back) == [b"one", b"other"]
        assert drained(third) == [b"third"]


@settings(max_examples=40)
@given(st.lists(st.one_of(st.binary(min_size=1, max_size=200), st.none(), st.just("restart")), max_size=60))
def test_it_is_a_queue_whatever_is_done_to_it(
    tmp_path_factory: pytest.TempPathFactory, steps: list[bytes | str | None]
) -> None:
    root = tmp_path_factory.mktemp("spool")
    expected: deque[bytes] = deque()
    segment: deque[bytes] = deque()
    spool = Spool(root, 1_000_000)
    for step in steps:
        if step == "restart":
            # what was taken from a segment that is not used up may come again
            spool.close()
            spool = Spool(root, 1_000_000)
            while (
                segment and (head := spool.peek()) is not None and head[0] == segment[0] != _first(expected)
            ):
                spool.take()
                segment.popleft()
            segment.clear()
        elif isinstance(step, bytes):
            assert spool.append(step, 1) is None
            expected.append(step)
        elif (head := spool.peek()) is not None:
            if expected and head[0] == expected[0]:
                segment.append(expected.popleft())
            spool.take()
    assert set(expected) <= set(drained(spool))
    spool.close()


def _first(queue: deque[bytes]) -> bytes | None:
    return queue[0] if queue else None
