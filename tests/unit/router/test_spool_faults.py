"""Full disks, damaged files and strangers: what waits on disk is kept, or counted as lost."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Iterator
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


def batch(n: int, size: int = 1000) -> bytes:
    return f"{n:04d}".encode() * (size // 4)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("file systems cannot be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_refuses_and_what_was_written_is_whole(small_disk: Path) -> None:
    with Spool(small_disk / "spool", 2**20) as spool:
        kept = 0
        while (why := spool.append(batch(kept), 2)) is None:
            kept += 1
        assert why is Drop.DISK_FULL and 10 < kept <= 64
        assert spool.append(batch(kept), 2) is Drop.DISK_FULL
        assert spool.calls == 2 * kept
    with Spool(small_disk / "spool", 2**20) as spool:
        assert spool.calls == 2 * kept
        assert drained(spool) == [batch(n) for n in range(kept)]
        assert spool.lost == 0


def test_when_there_is_space_again_it_takes_and_nothing_that_follows_is_damaged(small_disk: Path) -> None:
    with Spool(small_disk / "spool", 2**20) as spool:
        ballast = small_disk / "ballast"
        ballast.write_bytes(b"x" * 30_000)
        kept = 0
        while spool.append(batch(kept), 1) is None:
            kept += 1
        ballast.unlink()
        for n in range(kept, kept + 10):
            assert spool.append(batch(n), 1) is None
        assert drained(spool) == [batch(n) for n in range(kept + 10)]
        assert spool.lost == 0 and spool.calls == 0


def test_a_bound_on_the_size_of_files_is_a_full_disk_too(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Spool(tmp_path, 2**20) as spool:
        assert spool.append(batch(0), 1) is None
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1500, before[1]))
            assert spool.append(batch(1), 1) is Drop.DISK_FULL
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        [segment] = tmp_path.rglob("*.spool")
        assert segment.stat().st_size == 1024  # the half that was written is cut off again
        assert spool.append(batch(2), 1) is None
        assert drained(spool) == [batch(0), batch(2)]


def test_files_are_for_their_owner_only(tmp_path: Path) -> None:
    (tmp_path / "spool" / "0").mkdir(parents=True, mode=0o777)
    with Spool(tmp_path / "spool", 1000) as spool:
        spool.append(b"private", 1)
        for path in [tmp_path / "spool", *(tmp_path / "spool").rglob("*")]:
            assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


@pytest.mark.parametrize("at", range(0, 44, 3))
def test_a_damaged_entry_costs_itself_and_is_counted(at: int, tmp_path: Path) -> None:
    with Spool(tmp_path, 10_000) as spool:
        for n in range(3):
            spool.append(batch(n, 20), n + 1)
        [segment] = tmp_path.rglob("*.spool")
        data = bytearray(segment.read_bytes())
        data[44 + at] ^= 0x55  # in the second entry
        segment.write_bytes(data)
        assert drained(spool) == [batch(0, 20), batch(2, 20)]
        assert spool.lost == 2 and spool.calls == 0


@pytest.mark.parametrize("at", [44, 50, 59, 65, 87])
def test_after_a_restart_damage_is_counted_too(at: int, tmp_path: Path) -> None:
    with Spool(tmp_path, 10_000) as spool:
        for n in range(3):
            spool.append(batch(n, 20), n + 1)
    [segment] = tmp_path.rglob("*.spool")
    data = bytearray(segment.read_bytes())
    data[at] ^= 0x55
    segment.write_bytes(data)
    with Spool(tmp_path, 10_000) as spool:
        assert spool.calls == 6
        assert drained(spool) == [batch(0, 20), batch(2, 20)]
        assert spool.lost == 2 and spool.calls == 0


def test_a_file_that_is_gone_or_cannot_be_read_is_lost_and_counted(tmp_path: Path) -> None:
    with Spool(tmp_path, 1700) as spool:  # a segment each
        for n in range(3):
            spool.append(batch(n, 400), 5)
        first, second, _ = sorted(tmp_path.rglob("*.spool"))
        first.unlink()
        second.unlink()
        second.mkdir()
        assert drained(spool) == [batch(2, 400)]
        assert spool.lost == 10 and spool.calls == 0 and spool.size_bytes == 0


@settings(max_examples=200)
@given(
    entries=st.lists(
        st.tuples(st.binary(min_size=1, max_size=60), st.integers(1, 100)), min_size=1, max_size=8
    ),
    edits=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=4),
    cut=st.integers(0, 90),
    tail=st.binary(max_size=40),
)
def test_whatever_is_done_to_a_file_what_is_read_was_written_and_the_rest_is_counted(
    entries: list[tuple[bytes, int]],
    edits: list[tuple[float, int]],
    cut: int,
    tail: bytes,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    root = tmp_path_factory.mktemp("spool")
    with Spool(root, 2**20) as spool:
        for data, calls in entries:
            assert spool.append(data, calls) is None
        [segment] = root.rglob("*.spool")
        damaged = bytearray(segment.read_bytes())
        for place, byte in edits:
            damaged[int(place * (len(damaged) - 1))] = byte
        segment.write_bytes(bytes(damaged[: len(damaged) - cut] if cut < len(damaged) else b"") + tail)
        found = []
        while (head := spool.peek()) is not None:
            assert head in entries
            found.append(head)
            spool.take()
        assert sum(calls for _, calls in found) + spool.lost == sum(calls for _, calls in entries)
