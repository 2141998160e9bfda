"""Read a file of calls, one JSON document a line, in any dialect."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import IO

from jitr.schemas.calls import Call
from jitr.schemas.dialects import read_call
from jitr.schemas.errors import RecordError
from jitr.schemas.events import Event

_EVERY = 500
# editors on Windows put it before the first line of UTF-8
_MARK = b"\xef\xbb\xbf"


def raw_lines(file: Path, progress: Callable[[int], None] | None = None) -> Iterator[tuple[int, bytes | str]]:
    """The lines of a plain or gzip'd file that are not blank, with their numbers.

    A gzip file that breaks off, or is none, ends in a message in place of a line. With ``progress`` one is
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
    file gives the same ids and tomorrow's file of that name others; one without a time is of ``now``, or
    has its line's number where only the order counts. For ``progress`` see `raw_lines`.
    """
    for number, line in raw_lines(file, progress):
        if isinstance(line, str):
            yield f"{file}:{number}: {line}"
            continue
        digest = blake2b(line, digest_size=6).hexdigest()
        time = float(number) if now is None else now
        event = Event(id=f"{file.name}:{number}:{digest}", type="", source="", time=time, data=line)
        try:
            yield read_call(event, tenant=tenant)
        except RecordError as error:
            yield f"{file}:{number}: {error}"
