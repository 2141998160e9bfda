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


def open_lines(file: Path) -> IO[bytes]:
    """Open a plain or gzip'd file of lines."""
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
    has its line's number where only the order counts. A gzip file that breaks off ends in a message. With
    ``progress`` one is told, now and then, how many bytes of the file have been read.
    """
    number = 0
    with open_lines(file) as lines:
        raw = getattr(lines, "fileobj", lines)
        while True:
            try:
                line = lines.readline()
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                yield f"{file}:{number + 1}: the file breaks off: {error}"
                return
            if not line:
                return
            number += 1
            if progress is not None and number % _EVERY == 0:
                progress(raw.tell())
            if not line.strip():
                continue
            digest = blake2b(line, digest_size=6).hexdigest()
            time = float(number) if now is None else now
            event = Event(id=f"{file.name}:{number}:{digest}", type="", source="", time=time, data=line)
            try:
                yield read_call(event, tenant=tenant)
            except RecordError as error:
                yield f"{file}:{number}: {error}"
