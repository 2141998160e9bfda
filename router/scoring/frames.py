"""What a process and the one that runs surrogates for it say to each other: msgpack, each after its length.

Requests are answered in order, but for `Load`, whose answer comes when it has loaded. Texts travel as bytes:
what a caller sends may hold a lone surrogate code point, which is no UTF-8.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

import msgspec

_LENGTH: Final = 4


class Load(msgspec.Struct, frozen=True, tag=True):
    """Load the artifact in a folder, verify it against its digest, warm it, and know it by a number."""

    key: int
    folder: str
    digest: str


class Unload(msgspec.Struct, frozen=True, tag=True):
    """Let go of a surrogate."""

    key: int


class Score(msgspec.Struct, frozen=True, tag=True):
    """Answer texts of surrogates that are loaded, in one go: (key, text) each."""

    asked: list[tuple[int, bytes]]


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The process is up, and has imported what runs surrogates."""


class Loaded(msgspec.Struct, frozen=True, tag=True):
    """A surrogate is ready: what it takes of memory by itself, each encoder that it needs, and of time."""

    key: int
    ram_mb: float
    encoders: dict[str, float]
    answer_s: float


class LoadRefused(msgspec.Struct, frozen=True, tag=True):
    """A surrogate cannot be used: what is wrong with it, or with what it needs."""

    key: int
    kind: Literal["artifact", "weights", "other"]
    detail: str


class Said(msgspec.Struct, frozen=True, tag=True):
    """A surrogate's answer to one text: normal form, the text to send, the gate's score."""

    label: str
    text: str
    score: float


class Failed(msgspec.Struct, frozen=True, tag=True):
    """A surrogate raised an error on one text."""

    error: str


class ScoreReply(msgspec.Struct, frozen=True, tag=True):
    """The answers to one `Score`, in its order, and the seconds that they took."""

    answers: list[Said | Failed]
    took_s: float


Request = Load | Unload | Score
Reply = Ready | Loaded | LoadRefused | ScoreReply
_encoder: Final = msgspec.msgpack.Encoder()


def frame(message: Request | Reply) -> bytes:
    """A message as it is sent.

    Examples
    --------
    >>> frame(Unload(key=1))[:4], [msgspec.msgpack.decode(body) for body in Frames().feed(frame(Unload(1)))]
    (b'\\x00\\x00\\x00\\x12', [{'type': 'Unload', 'key': 1}])
    """
    body = _encoder.encode(message)
    return len(body).to_bytes(_LENGTH) + body


class Frames:
    """Puts a stream of bytes together into messages' bodies.

    Examples
    --------
    >>> frames, sent = Frames(), frame(Unload(key=7))
    >>> list(frames.feed(sent[:6])), len(list(frames.feed(sent[6:] + sent)))
    ([], 2)
    """

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take what was read, and give each message that is whole now."""
        self._held += data
        while len(self._held) >= _LENGTH:
            end = _LENGTH + int.from_bytes(self._held[:_LENGTH])
            if len(self._held) < end:
                return
            body = bytes(self._held[_LENGTH:end])
            del self._held[:end]
            yield body
