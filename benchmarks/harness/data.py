"""Folders of gzip'd JSON lines."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def tables(folders: tuple[Path, ...]) -> list[Path]:
    """Every ``*.jsonl`` and ``*.jsonl.gz`` in these folders and one level below, by path."""
    found: list[Path] = []
    for folder in folders:
        for pattern in ("*.jsonl.gz", "*.jsonl", "*/*.jsonl.gz", "*/*.jsonl"):
            found += folder.glob(pattern)
    return sorted(set(found))


def rows(path: Path, most: int | None = None) -> Iterator[dict[str, Any]]:
    """The objects of a table; at most so many."""
    with (
        gzip.open(path, "rt", encoding="utf-8")
        if path.suffix == ".gz"
        else path.open(encoding="utf-8") as lines
    ):
        for i, line in enumerate(lines):
            if most is not None and i >= most:
                return
            if line.strip():
                yield json.loads(line)
