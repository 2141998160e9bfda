"""A replay writes the same parts again, and a reference stays readable when its cell has grown."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jitr.models.datasets.examples import Example
from jitr.models.datasets.parts import GRID, digest_of, list_parts, read_parts, write_part, write_parts
from jitr.schemas.errors import TrainingError


def made(offsets: list[int]) -> list[Example]:
    return [Example(f"c{o}", float(o), f"text {o}", "ab"[o % 2], teacher="m") for o in offsets]


def test_a_replay_writes_the_same_bytes(tmp_path: Path) -> None:
    offsets = list(range(GRID + 10))
    first = write_parts(str(tmp_path), "t", 0, made(offsets), offsets)
    before = {ref.url: Path(ref.url).read_bytes() for ref in first}
    assert write_parts(str(tmp_path), "t", 0, made(offsets), offsets) == first
    assert {ref.url: Path(ref.url).read_bytes() for ref in first} == before
    assert len(first) == 2 and not list(tmp_path.rglob("*.tmp"))


@settings(max_examples=20)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=5), st.booleans())
def test_batches_that_end_inside_a_cell_lose_nothing(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], replay: bool
) -> None:
    root = str(tmp_path_factory.mktemp("parts"))
    start = 0
    for size in sizes:
        offsets = list(range(start, start + size))
        write_parts(root, "t", 3, made(offsets), offsets)
        if replay:
            write_parts(root, "t", 3, made(offsets), offsets)
        start += size
    parts = list_parts(root, "t")
    assert sum(part.rows for part in parts) == start
    assert read_parts(parts).calls == start


def test_a_reference_reads_what_it_meant_after_the_cell_has_grown(tmp_path: Path) -> None:
    early = write_part(str(tmp_path), "t", 0, 0, made([0, 1, 2]), [0, 1, 2])
    late = write_part(str(tmp_path), "t", 0, 0, made([3, 4]), [3, 4])
    assert early.url == late.url and (early.rows, late.rows) == (3, 5)
    assert read_parts([early]).calls == 3
    assert read_parts([late]).calls == 5


def test_several_calls_may_share_an_offset(tmp_path: Path) -> None:
    rows = made([0, 1])
    assert write_part(str(tmp_path), "t", 0, 0, rows, [7, 7]).rows == 2


def test_parts_live_on_any_filesystem() -> None:
    ref = write_part("memory://jitr-test/parts", "t", 0, 0, made([0]), [0])
    assert read_parts([ref]).inputs == ("text 0",)
    assert list_parts("memory://jitr-test/parts", "t")[0].digest == ref.digest


def test_a_part_that_is_not_what_its_reference_says_is_refused(tmp_path: Path) -> None:
    ref = write_part(str(tmp_path), "t", 0, 0, made([0, 1]), [0, 1])
    with pytest.raises(TrainingError, match="does not begin with"):
        read_parts([msgspec.structs.replace(ref, digest="0" * 64)])
    Path(ref.url).write_bytes(b"no parquet")
    with pytest.raises(TrainingError, match="cannot be read"):
        read_parts([ref])
    with pytest.raises(TrainingError, match="cannot be read"):
        read_parts([str(tmp_path / "missing.parquet")])


def test_an_offset_outside_of_its_cell_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="outside of cell"):
        write_part(str(tmp_path), "t", 0, 0, made([GRID]), [GRID])


@settings(max_examples=20)
@given(st.permutations(range(12)), st.lists(st.integers(0, 3 * GRID), min_size=12, max_size=12))
def test_equal_data_has_an_equal_digest_however_it_came(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], offsets: list[int]
) -> None:
    rows = made(list(range(12)))
    root = str(tmp_path_factory.mktemp("parts"))
    one = write_part(root, "one", 0, 0, rows, [0] * 12)
    cut = write_parts(root, "cut", 0, [rows[i] for i in order], sorted(offsets))
    assert digest_of(cut) == digest_of([one])
    fewer = write_part(root, "fewer", 0, 0, rows[1:], [0] * 11)
    assert digest_of([fewer]) != digest_of([one])


def test_a_reference_means_what_was_written_not_what_a_dead_worker_wrote_further(tmp_path: Path) -> None:
    write_part(str(tmp_path), "t", 0, 0, made([0, 1, 2, 3]), [5, 5, 5, 6])
    again = write_part(str(tmp_path), "t", 0, 0, made([0, 1]), [5, 5])
    assert again.rows == 2
    assert read_parts([again]).inputs == ("text 0", "text 1")
