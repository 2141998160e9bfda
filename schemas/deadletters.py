"""A dead letter: an event that could not be used, with its original bytes and the reason."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """What stands on the dead-letter topic.

    The record's value is the event's original bytes, its headers are the original headers and, under
    ``jitr-dlq-``, the reason and where it came from.

    Examples
    --------
    >>> letter = DeadLetter(b"{", None, (("k", b"v"),), "bad JSON", "envelope", "", "llm.calls", 3, 17)
    >>> DeadLetter.read(letter.value, letter.key, letter.headers) == letter
    True
    """

    value: bytes
    key: bytes | None
    original_headers: tuple[tuple[str, bytes], ...]
    reason: str
    stage: str
    stack: str
    topic: str
    partition: int
    offset: int

    @property
    def headers(self) -> list[tuple[str, bytes]]:
        """Original headers, then ours."""
        ours = {
            "reason": self.reason,
            "stage": self.stage,
            "stack": self.stack,
            "topic": self.topic,
            "partition": str(self.partition),
            "offset": str(self.offset),
        }
        return [
            # a name, or a reason that quotes something, may be no Unicode
            *((_encodable(k), v) for k, v in self.original_headers),
            *((f"{PREFIX}{k}", _encodable(v).encode()) for k, v in ours.items()),
        ]

    @classmethod
    def read(
        cls, value: bytes | None, key: bytes | None, headers: Iterable[tuple[str, bytes | None]]
    ) -> DeadLetter:
        """Read one back from a record of the dead-letter topic; what no worker wrote has no origin.

        Examples
        --------
        >>> DeadLetter.read(None, None, [("jitr-dlq-offset", b"x"), ("jitr-dlq-topic", None)]).offset
        -1
        """
        heads = [(k, v or b"") for k, v in headers]
        ours = {
            k.removeprefix(PREFIX): v.decode("utf-8", "replace") for k, v in heads if k.startswith(PREFIX)
        }
        return cls(
            value=value or b"",
            key=key,
            original_headers=tuple((k, v) for k, v in heads if not k.startswith(PREFIX)),
            reason=ours.get("reason", ""),
            stage=ours.get("stage", ""),
            stack=ours.get("stack", ""),
            topic=ours.get("topic", ""),
            partition=_number(ours.get("partition", "")),
            offset=_number(ours.get("offset", "")),
        )


def _encodable(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _number(text: str) -> int:
    """A partition or an offset, of at most 19 digits; -1 where there is none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else -1


def replay_mark(partition: int, offset: int) -> list[tuple[str, bytes]]:
    """Headers of an empty record that stands on the dead-letter topic once a letter there was sent again.

    It comes after its letter, so that it is kept as long.

    Examples
    --------
    >>> marked(replay_mark(0, 17)), marked([("k", b"v")])
    ((0, 17), None)
    """
    return [(_REPLAYED, f"{partition}/{offset}".encode())]


def marked(headers: Iterable[tuple[str, bytes | None]]) -> tuple[int, int] | None:
    """Partition and offset of the letter that a mark is for; None where the record is no mark."""
    for key, value in headers:
        if key == _REPLAYED:
            partition, _, offset = (value or b"").decode("utf-8", "replace").partition("/")
            place = _number(partition), _number(offset)
            if min(place) >= 0:
                return place
    return None


PREFIX = "jitr-dlq-"
_REPLAYED = "jitr-replayed"
