"""Finding recorded data by the form of its columns, never by its name."""

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

Row = dict[str, Any]
REPLIES = ("response", "human_response", "target")  # columns that hold the answer to an ad-hoc prompt


@dataclass(frozen=True, slots=True)
class Table:
    """A file of JSON lines.

    Parameters
    ----------
    path : Path
        `NAME.jsonl` or `NAME.jsonl.gz`.
    form : str
        "texts", "definitions", "instances", "items", "answers" or "ad-hoc".
    """

    path: Path
    form: str

    @property
    def stem(self) -> str:
        """The file's name up to its first dot: tables that belong together share it."""
        return self.path.name.split(".")[0]

    def rows(self) -> Iterator[Row]:
        """Decode the file, line by line."""
        yield from _lines(self.path)


def find(folder: Path) -> list[Table]:
    """Every table under a folder whose columns are of a known form, in the order of their paths."""
    tables = []
    for path in sorted([*folder.rglob("*.jsonl"), *folder.rglob("*.jsonl.gz")]):
        first = next(_lines(path), {})
        form = form_of(first)
        if form:
            tables.append(Table(path, form))
    return tables


def form_of(row: Row) -> str | None:
    """The form of a table from its first row.

    Examples
    --------
    >>> form_of({"text": "a", "label": "b"}), form_of({"i": 0, "input": "a", "gold": 1})
    ('texts', 'items')
    >>> form_of({"timestamp": 1, "tokens": 2}) is None
    True
    """
    columns = set(row)
    if {"task", "definition"} <= columns:
        return "definitions"
    if {"task", "input", "output"} <= columns:
        return "instances"
    if {"model", "i", "response"} <= columns:
        return "answers"
    if {"i", "input"} <= columns:
        return "items"
    # texts with a time are a stream of their own: shuffling would falsify it
    if {"text", "label"} <= columns and "time" not in columns:
        return "texts"
    if {"instruction", "prompt"} & columns and set(REPLIES) & columns:
        return "ad-hoc"
    return None


def _lines(path: Path) -> Iterator[Row]:
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        for line in file:
            if line.strip():
                yield msgspec.json.decode(line, type=dict[str, Any])
