"""Committed offsets of consumer groups, kept in one file that is rewritten when it has grown."""

import os
from pathlib import Path

import msgspec

_REWRITE_AT_LINES = 20_000


class Committed(msgspec.Struct, frozen=True, array_like=True):
    """One committed offset; -1 says that it was deleted."""

    group: str
    topic: str
    partition: int
    offset: int
    metadata: str


class CommittedOffsets:
    """The last committed offset by group, topic and partition.

    Parameters
    ----------
    path : Path
        A file of JSON lines; made if missing. A torn last line is dropped.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     offsets = CommittedOffsets(Path(folder) / "offsets")
    ...     offsets.commit([Committed("g", "t", 0, 5, "")])
    ...     offsets.close()
    ...     CommittedOffsets(Path(folder) / "offsets").of_group("g")["t", 0].offset
    5
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._groups: dict[str, dict[tuple[str, int], Committed]] = {}
        if path.exists():
            decoder = msgspec.json.Decoder(Committed)
            for line in path.read_bytes().splitlines():
                try:
                    self._apply(decoder.decode(line))
                except msgspec.DecodeError:
                    break
        self._rewrite()

    def _rewrite(self) -> None:
        live = [entry for group in self._groups.values() for entry in group.values()]
        part = self._path.with_suffix(".new")
        part.write_bytes(msgspec.json.Encoder().encode_lines(live))
        part.replace(self._path)
        self._fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        self._lines = len(live)
        self._rewrite_at = max(_REWRITE_AT_LINES, 4 * len(live))

    def _apply(self, entry: Committed) -> None:
        key = entry.topic, entry.partition
        if entry.offset >= 0:
            self._groups.setdefault(entry.group, {})[key] = entry
        else:
            offsets = self._groups.get(entry.group, {})
            offsets.pop(key, None)
            if not offsets:
                self._groups.pop(entry.group, None)

    def commit(self, entries: list[Committed]) -> None:
        """Keep these offsets; they are in the file when this returns."""
        os.write(self._fd, msgspec.json.Encoder().encode_lines(entries))
        for entry in entries:
            self._apply(entry)
        self._lines += len(entries)
        if self._lines > self._rewrite_at:
            os.close(self._fd)
            self._rewrite()

    def groups(self) -> list[str]:
        return list(self._groups)

    def of_group(self, group: str) -> dict[tuple[str, int], Committed]:
        """Offsets of a group by topic and partition."""
        return self._groups.get(group, {})

    def forget_group(self, group: str) -> None:
        self._forget(list(self.of_group(group).values()))

    def forget_topic(self, topic: str) -> None:
        self._forget(
            [entry for group in self._groups.values() for entry in group.values() if entry.topic == topic]
        )

    def _forget(self, entries: list[Committed]) -> None:
        if entries:
            self.commit([msgspec.structs.replace(entry, offset=-1, metadata="") for entry in entries])

    def close(self) -> None:
        os.fsync(self._fd)
        os.close(self._fd)
