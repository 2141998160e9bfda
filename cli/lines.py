"""Read a file of calls, one JSON document a line, in any dialect."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from itertools import chain, islice
from pathlib import Path
from statistics import median_low
from typing import IO

import click
import msgspec

from jitr.cli.forms import FINE_TUNING, form_of, form_of_file, is_fine_tuning
from jitr.schemas.calls import Call
from jitr.schemas.dialects import read_call
from jitr.schemas.errors import RecordError
from jitr.schemas.events import Event
from jitr.schemas.lenient import loads

# less than this is the number of a line, or a count from anywhere, and no time
A_TIME = 1e8
_EVERY = 500
# so many lines tell whether a file has times, and which
_LOOK = 200
# complaints about lines
_SHOWN = 20
_YEARS_S = 10 * 365 * 86_400.0
# editors on Windows put it before the first line of UTF-8
_MARK = b"\xef\xbb\xbf"


def raw_lines(file: Path, progress: Callable[[int], None] | None = None) -> Iterator[tuple[int, bytes | str]]:
    """The lines of a plain or gzip'd file that are not blank, with their numbers.

    A gzip file that breaks off, or is none, ends in a message in place of a line; so does a file that holds
    no lines of JSON at all. With ``progress`` one is
    told, now and then, how many bytes of the file have been read.
    """
    number = 0
    with _open(file) as lines:
        raw = getattr(lines, "fileobj", lines)
        while True:
            try:
                line = lines.readline()
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                yield number + 1, f"the file breaks off: {error}"
                return
            if not line:
                return
            number += 1
            if number == 1:
                line = line.removeprefix(_MARK)
                wrong = form_of_file(line)
                if wrong is not None:
                    yield number, wrong
                    return
            if progress is not None and number % _EVERY == 0:
                progress(raw.tell())
            if line.strip():
                yield number, line


def _open(file: Path) -> IO[bytes]:
    return gzip.open(file, "rb") if file.suffix == ".gz" else file.open("rb")  # type: ignore[return-value]  # GzipFile is one


def call_lines(
    file: Path,
    tenant: str = "default",
    now: float | None = None,
    progress: Callable[[int], None] | None = None,
) -> Iterator[Call | str]:
    """The calls of a file; a line that cannot be read is a message that names file, line and field.

    A call without an id gets one from the file's name, its line and what stands there, so that the same
    file gives the same ids and tomorrow's file of that name others. One without a time is of ``now``; without
    that it has the time of the call before it, or its line's number where the file has no times. A time that
    lies years from those around it is none: its line is left out. For ``progress`` see `raw_lines`.
    """
    found = _read(file, tenant, now, progress)
    head = list(islice(found, _LOOK))
    times = [call.time for _, call, timed in head if timed and isinstance(call, Call)]
    calls = sum(isinstance(call, Call) for _, call, _ in head)
    usual = median_low(times) if 2 * len(times) > calls else 0.0
    before = next((time for time in times if abs(time - usual) <= _YEARS_S), usual)
    for number, call, timed in chain(head, found):
        if isinstance(call, Call) and usual >= A_TIME:
            if timed and abs(call.time - usual) > _YEARS_S:
                yield f"{file}:{number}: $.time: {call.time:g} lies years from the times of the other lines"
                continue
            if not timed and now is None:
                call = msgspec.structs.replace(call, time=before)
            before = call.time
        yield call


def _read(
    file: Path, tenant: str, now: float | None, progress: Callable[[int], None] | None
) -> Iterator[tuple[int, Call | str, bool]]:
    """Each line's number, its call or what is wrong with it, and whether it told a time."""
    for number, line in raw_lines(file, progress):
        if isinstance(line, str):
            yield number, f"{file}:{number}: {line}", False
            continue
        digest = blake2b(line, digest_size=6).hexdigest()
        time = float(number) if now is None else now
        event = Event(id=f"{file.name}:{number}:{digest}", type="", source="", time=time, data=line)
        try:
            call = read_call(event, tenant=tenant)
            wrong = FINE_TUNING if is_fine_tuning(call) else None
        except RecordError as error:
            form = _form(line)
            wrong = f"{error}; this looks like {form}" if form else str(error)
        yield (number, f"{file}:{number}: {wrong}", False) if wrong else (number, call, call.time != time)


def _form(line: bytes) -> str | None:
    try:
        return form_of(loads(line))
    except RecordError:
        return None


def name_lines(messages: Sequence[str], lines: int | None = None) -> None:
    """Name the first lines that could not be read, of so many, on the standard error."""
    for message in messages[:_SHOWN]:
        click.echo(message, err=True)
    more = (len(messages) if lines is None else lines) - _SHOWN
    if more > 0:
        click.echo(f"... and {more:,} more lines that cannot be read", err=True)
