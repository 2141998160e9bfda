"""Read a log of calls, one JSON document a line, in any dialect."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import blake2b
from itertools import chain, islice
from pathlib import Path
from statistics import median_low
from typing import IO, Any, TypeAlias

import msgspec

from jitr.offline.forms import FINE_TUNING, form_of, form_of_file, is_fine_tuning
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
_YEARS_S = 10 * 365 * 86_400.0
# editors on Windows put it before the first line of UTF-8
_MARK = b"\xef\xbb\xbf"
Line: TypeAlias = bytes | str | Mapping[str, Any] | Call
"""One call: as JSON, as an object that JSON would hold, or as jitr's own record."""
Log: TypeAlias = Path | Iterable[Line]
"""A file, plain or gzip'd, or its lines."""


def name_of(log: Log) -> str:
    """What messages call a log: the file's path, or `log` for lines.

    Examples
    --------
    >>> name_of(Path("a/b.jsonl")), name_of([])
    ('a/b.jsonl', 'log')
    """
    return str(log) if isinstance(log, Path) else "log"


def as_log(given: str | Path | Iterable[Line]) -> Log:
    """A log as people name it: a text is a path.

    Examples
    --------
    >>> as_log("calls.jsonl"), as_log(["{}"])
    (PosixPath('calls.jsonl'), ['{}'])
    """
    return Path(given) if isinstance(given, str | Path) else given


def raw_lines(log: Log, progress: Callable[[int], None] | None = None) -> Iterator[tuple[int, bytes | str]]:
    """The lines of a log that are not blank, with their numbers.

    A gzip file that breaks off, or is none, ends in a message in place of a line; so does a file that holds
    no lines of JSON at all. With ``progress`` one is told, now and then, how many bytes of the file have been
    read.
    """
    if not isinstance(log, Path):
        yield from ((number, line) for number, line in enumerate(map(_line, log), 1) if line.strip())
        return
    number = 0
    with _open(log) as lines:
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


def _line(given: Line) -> bytes:
    if isinstance(given, bytes):
        return given
    return given.encode("utf-8", "surrogatepass") if isinstance(given, str) else msgspec.json.encode(given)


def _open(file: Path) -> IO[bytes]:
    return gzip.open(file, "rb") if file.suffix == ".gz" else file.open("rb")  # type: ignore[return-value]  # GzipFile is one


def call_lines(
    log: Log,
    tenant: str = "default",
    now: float | None = None,
    progress: Callable[[int], None] | None = None,
) -> Iterator[Call | str]:
    """The calls of a log; a line that cannot be read is a message that names file, line and field.

    A call without an id gets one from the file's name, its line and what stands there, so that the same
    file gives the same ids and tomorrow's file of that name others. One without a time is of ``now``; without
    that it has the time of the call before it, or its line's number where the file has no times. A time that
    lies years from those around it is none: its line is left out. For ``progress`` see `raw_lines`.
    """
    found = _read(log, tenant, now, progress)
    head = list(islice(found, _LOOK))
    times = [call.time for _, call, timed in head if timed and isinstance(call, Call)]
    calls = sum(isinstance(call, Call) for _, call, _ in head)
    usual = median_low(times) if 2 * len(times) > calls else 0.0
    before = next((time for time in times if abs(time - usual) <= _YEARS_S), usual)
    for number, call, timed in chain(head, found):
        if isinstance(call, Call) and usual >= A_TIME:
            if timed and abs(call.time - usual) > _YEARS_S:
                far = f"$.time: {call.time:g} lies years from the times of the other lines"
                yield f"{name_of(log)}:{number}: {far}"
                continue
            if not timed and now is None:
                call = msgspec.structs.replace(call, time=before)
            before = call.time
        yield call


def _read(
    log: Log, tenant: str, now: float | None, progress: Callable[[int], None] | None
) -> Iterator[tuple[int, Call | str, bool]]:
    """Each line's number, its call or what is wrong with it, and whether it told a time."""
    name = name_of(log)
    short = log.name if isinstance(log, Path) else name
    for number, line in raw_lines(log, progress):
        if isinstance(line, str):
            yield number, f"{name}:{number}: {line}", False
            continue
        digest = blake2b(line, digest_size=6).hexdigest()
        time = float(number) if now is None else now
        event = Event(id=f"{short}:{number}:{digest}", type="", source="", time=time, data=line)
        try:
            call = read_call(event, tenant=tenant)
            wrong = FINE_TUNING if is_fine_tuning(call) else None
        except RecordError as error:
            form = _form(line)
            wrong = f"{error}; this looks like {form}" if form else str(error)
        yield (number, f"{name}:{number}: {wrong}", False) if wrong else (number, call, call.time != time)


def _form(line: bytes) -> str | None:
    try:
        return form_of(loads(line))
    except RecordError:
        return None
