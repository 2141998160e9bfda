"""How a verb shows what it found: a table for people, JSON for programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from unicodedata import category

import click
import msgspec
from rich.console import Console, JustifyMethod
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

# complaints about lines
_SHOWN = 20


def console(stderr: bool = False) -> Console:
    """A console on standard output or error: no colour and a generous width where it is no terminal."""
    made = Console(highlight=False, stderr=stderr)
    return made if made.is_terminal else Console(highlight=False, stderr=stderr, width=180)


def print_json(value: Any) -> None:
    """Print one JSON document; every field is there, also those that have their default."""
    click.echo(msgspec.json.format(msgspec.json.encode(_whole(value)), indent=2).decode())


def _whole(value: Any) -> Any:
    """Records leave defaults out on the wire; a script wants to find `state` wherever it looks.

    Examples
    --------
    >>> from jitr.schemas.routes import TeacherTarget
    >>> _whole([TeacherTarget()])
    [{'kind': 'teacher'}]
    """
    if isinstance(value, msgspec.Struct):
        shape = value.__struct_config__
        tag = {shape.tag_field: shape.tag} if shape.tag_field else {}
        names = zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True)
        return tag | {wire: _whole(getattr(value, name)) for name, wire in names}
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_whole(item) for item in value]
    return value


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """A table; columns whose name begins with ``>`` are set flush right, those with ``~`` may wrap.

    Cells are shown as they are: a prompt with ``[/INST]`` in it is no markup, and what would move the cursor
    is left out.

    Examples
    --------
    >>> table("t", ["name", ">calls"], [("a", 3)]).row_count
    1
    """
    made = Table(
        title=plain(title), title_justify="left", title_style="bold", header_style="dim", pad_edge=False
    )
    for column in columns:
        justify: JustifyMethod = "right" if column.startswith(">") else "left"
        made.add_column(column.lstrip(">~"), justify=justify, no_wrap=not column.startswith("~"))
    for row in rows:
        made.add_row(*(plain("" if cell is None else str(cell)) for cell in row))
    return made


def plain(text: str) -> Text:
    """Text of others for a terminal: no markup, no control characters but line breaks and tabs.

    Examples
    --------
    >>> plain("a [/INST] \\x1b[2Jb").plain
    'a [/INST] [2Jb'
    """
    return Text("".join([c for c in text if c in "\n\t" or category(c) != "Cc"]))


def progress(quiet: bool = False) -> Progress:
    """A progress bar on standard error, so that standard output stays clean."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=quiet,
        transient=True,
    )


def moment(time: float) -> str:
    """Seconds since the epoch as a person reads them, in UTC.

    Examples
    --------
    >>> moment(1.5)
    '1970-01-01 00:00:01'
    """
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S")


def usd(value: float) -> str:
    """Dollars, with as many digits as say something.

    Examples
    --------
    >>> usd(1234.5), usd(0.0421), usd(-2), usd(-0.00001)
    ('$1,234.50', '$0.0421', '-$2.00', '$0.0000')
    """
    value = value if abs(value) >= 0.00005 else abs(value)
    sign = "-" if value < 0 else ""
    value = abs(value)
    return f"{sign}${value:,.2f}" if value >= 1 or value == 0 else f"{sign}${value:.4f}"


def name_lines(messages: Sequence[str], lines: int | None = None) -> None:
    """Name the first lines that could not be read, of so many, on the standard error."""
    for message in messages[:_SHOWN]:
        click.echo(message, err=True)
    more = (len(messages) if lines is None else lines) - _SHOWN
    if more > 0:
        click.echo(f"... and {more:,} more lines that cannot be read", err=True)
