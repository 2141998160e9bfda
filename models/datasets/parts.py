"""Parquet parts on a fixed grid of source offsets: a replay writes the same file again.

A part holds the examples of one grid cell (`GRID` offsets of one source partition), in the order in which
they came. A cell that is not full yet is merged with what its file already holds, so its rows only ever grow
at the end; a `PartRef` names how many of them it means, and stays readable when the cell has grown.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import Any

import fsspec
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from jitr.models.datasets.examples import Dataset, Example
from jitr.schemas.errors import TrainingError
from jitr.schemas.tasks import OutputKind
from jitr.schemas.trainings import PartRef

GRID = 512

_SCHEMA = pa.schema(
    [
        ("offset", pa.int64()),
        ("call_id", pa.string()),
        ("time", pa.float64()),
        ("input", pa.string()),
        ("label", pa.string()),
        ("weight", pa.float64()),
        ("teacher", pa.string()),
        ("text", pa.string()),
        ("opening", pa.string()),
    ]
)


def write_part(
    root_url: str,
    task: str,
    source_partition: int,
    first_offset: int,
    examples: Sequence[Example],
    offsets: Sequence[int],
) -> PartRef:
    """Write the examples of one grid cell, merged with those that its file already holds.

    Parameters
    ----------
    root_url : str
        Any fsspec URL or a local path; parts lie under ``<root>/<task>/``.
    task : str
        Id of the task.
    source_partition : int
        Partition of the source topic.
    first_offset : int
        First offset of the cell, a multiple of `GRID`.
    examples, offsets : sequences of equal length
        The rows in order, each with the source offset of its record (several calls may share one).

    Returns
    -------
    PartRef
        Where the cell lies, and its rows up to the last of these: after a crash the file may hold later ones.
    """
    if first_offset % GRID:
        raise ValueError(f"first_offset={first_offset} must be a multiple of {GRID}; see cell_of()")
    outside = [o for o in offsets if not first_offset <= o < first_offset + GRID]
    if outside:
        raise ValueError(f"offset {outside[0]} lies outside of cell {first_offset}; see write_parts()")
    name = f"p{source_partition:05d}-{first_offset:016d}.parquet"
    url = f"{root_url.rstrip('/')}/{task}/{name}"
    fs, path = fsspec.core.url_to_fs(url)
    rows: dict[tuple[int, str], Example] = {}
    if fs.exists(path):
        with fs.open(path, "rb") as file:
            rows = {(offset, e.call_id): e for offset, e in _read(file)}
    given = {(o, e.call_id): e for o, e in zip(offsets, examples, strict=True)}
    rows |= given
    # rows that are there keep their place, so that what was referred to stays in front
    places = sorted(rows, key=lambda place: place[0])
    ordered = [(place[0], rows[place]) for place in places]
    fs.makedirs(str(PurePosixPath(path).parent), exist_ok=True)
    aside = f"{path}.tmp"
    with fs.open(aside, "wb") as file:
        columns: list[list[Any]] = [[o for o, _ in ordered]]
        columns += [[getattr(e, field) for _, e in ordered] for field in _SCHEMA.names[1:-1]]
        columns += [[msgspec.json.encode(e.opening).decode() if e.opening else None for _, e in ordered]]
        table = pa.table(columns, schema=_SCHEMA)
        pq.write_table(table, file, compression="zstd")
    fs.mv(aside, path)
    end = max((n for n, place in enumerate(places, 1) if place in given), default=0)
    meant = [e for _, e in ordered[:end]]
    return PartRef(url=url, digest=_digest(meant), rows=len(meant))


def write_parts(
    root_url: str,
    task: str,
    source_partition: int,
    examples: Sequence[Example],
    offsets: Sequence[int],
) -> list[PartRef]:
    """Write a batch that may span several cells; the parts come back in order of offset."""
    cells: dict[int, list[tuple[Example, int]]] = defaultdict(list)
    for example, offset in zip(examples, offsets, strict=True):
        cells[cell_of(offset)].append((example, offset))
    return [
        write_part(root_url, task, source_partition, first, [e for e, _ in rows], [o for _, o in rows])
        for first, rows in sorted(cells.items())
    ]


def cell_of(offset: int) -> int:
    """First offset of the grid cell that an offset lies in.

    Examples
    --------
    >>> cell_of(511), cell_of(512)
    (0, 512)
    """
    return offset - offset % GRID


def list_parts(root_url: str, task: str) -> list[PartRef]:
    """Every part of a task as it stands now, in order of partition and offset."""
    base = f"{root_url.rstrip('/')}/{task}"
    fs, path = fsspec.core.url_to_fs(base)
    found = sorted(fs.glob(f"{path}/p*.parquet"))
    refs = []
    for part in found:
        with fs.open(part, "rb") as file:
            rows = [e for _, e in _read(file)]
        url = f"{base}/{PurePosixPath(part).name}"
        refs.append(PartRef(url=url, digest=_digest(rows), rows=len(rows)))
    return refs


def read_parts(
    parts: Iterable[PartRef | str], since: int = 0, kind: OutputKind = "label", tolerance: float = 0.0
) -> Dataset:
    """Read parts into a dataset; a `PartRef` is checked, and read as far as it went when it was made.

    Parameters
    ----------
    parts : iterable of PartRef or URL
    since : int
        Rows of earlier source offsets are left out.
    kind, tolerance
        See `Dataset.from_examples`.

    Raises
    ------
    TrainingError
        A part is missing, damaged, or does not hold what its reference says.
    """
    examples: list[Example] = []
    for part in parts:
        examples += [example for offset, example in _checked(part) if offset >= since]
    return Dataset.from_examples(examples, kind, tolerance)


def since_of(parts: Iterable[PartRef], since: int) -> tuple[list[PartRef], int]:
    """The parts that hold rows of a source offset or later ones, and how many such rows they hold.

    Raises
    ------
    TrainingError
        The part that the offset falls into cannot be read.
    """
    later = [part for part in parts if _first(part) + GRID > since]
    rows = sum(
        part.rows if _first(part) >= since else sum(offset >= since for offset, _ in _checked(part))
        for part in later
    )
    return later, rows


def _first(part: PartRef) -> int:
    """The first offset of a part's cell, which its name ends in."""
    return int(part.url.rpartition("-")[2].partition(".")[0])


def _checked(part: PartRef | str) -> list[tuple[int, Example]]:
    """The rows that a part means, with their offsets."""
    url = part if isinstance(part, str) else part.url
    try:
        with fsspec.open(url, "rb") as file:
            rows = _read(file)
    except (OSError, pa.ArrowInvalid, KeyError) as error:
        raise TrainingError(f"dataset part {url} cannot be read: {error}; collect it again") from error
    if isinstance(part, PartRef):
        rows = rows[: part.rows]
        if len(rows) != part.rows or _digest(e for _, e in rows) != part.digest:
            raise TrainingError(
                f"dataset part {url} does not begin with the {part.rows} rows that its digest"
                f" {part.digest[:12]} names; collect it again"
            )
    return rows


def _read(file: object) -> list[tuple[int, Example]]:
    table = pq.read_table(file, schema=_SCHEMA)
    columns = [table.column(name).to_pylist() for name in _SCHEMA.names]
    examples = []
    for row in zip(*columns, strict=True):
        offset, id, time, asked, label, weight, teacher, text, opening = row
        # parts that are older than the last two columns have nothing in them
        tokens = msgspec.json.decode(opening) if opening else {}
        examples.append((offset, Example(id, time, asked, label, weight, teacher, text or "", tokens)))
    return examples


def digest_of(parts: Iterable[PartRef]) -> tuple[str, int]:
    """The digest of all rows of some parts together, and how many they are.

    Equal data has equal digests, in whatever order it came and however it was cut into parts: that hangs on
    which worker wrote what and when.

    Examples
    --------
    >>> rows = [Example(str(i), float(i), f"text {i}", "a") for i in range(3)]
    >>> one = write_part("memory://doc/one", "t", 0, 0, rows, [0, 1, 2])
    >>> two = write_parts("memory://doc/two", "t", 0, rows[::-1], [5, GRID, GRID + 1])
    >>> len(two), digest_of([one]) == digest_of(two)
    (2, True)
    """
    known = tuple(parts)
    return _hex(sum(int(part.digest, 16) for part in known)), sum(part.rows for part in known)


def _digest(rows: Iterable[Example]) -> str:
    """The rows' sha256 added up: a digest of a set (Bellare and Micciancio, 1997)."""
    return _hex(sum(int.from_bytes(hashlib.sha256(msgspec.json.encode(row)).digest()) for row in rows))


def _hex(total: int) -> str:
    return format(total % 2**256, "064x")
