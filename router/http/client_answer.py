"""One answer of the upstream: its head, and its body as it comes."""

from __future__ import annotations

from typing import Protocol

from multidict import CIMultiDict


class Source(Protocol):
    """Where an answer comes from; `ClientConnection` is one."""

    parts: list[bytes]
    whole: bool
    error: BaseException | None

    def take(self) -> bytes:
        """All that has come of the body."""

    async def piece(self) -> bytes:
        """The next piece of the body; empty at its end."""

    def leave(self) -> None:
        """The answer is done with."""


class Content:
    """The body of an answer, in pieces as they come; the part of aiohttp's reader that is used here."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Source) -> None:
        self._connection = connection

    def at_eof(self) -> bool:
        """Whether all of it was taken."""
        return self._connection.whole and not self._connection.parts

    def exception(self) -> BaseException | None:
        """Why it does not come to its end, if so."""
        return None if self._connection.whole else self._connection.error

    def read_nowait(self) -> bytes:
        """What has come and was not taken yet."""
        return self._connection.take()

    async def readany(self) -> bytes:
        """The next piece; empty at the end.

        Raises
        ------
        OSError, TimeoutError
            If it does not come to its end.
        """
        return await self._connection.piece()

    async def read(self) -> bytes:
        """All that is still to come; see `readany` for what it raises."""
        first = await self._connection.piece()
        if self.at_eof():
            return first
        pieces = [first]
        while piece := await self._connection.piece():
            pieces.append(piece)
        return b"".join(pieces)


class Answer:
    """One answer: its head, and its body as it comes. `release` or `close` must follow.

    Attributes
    ----------
    status : int
    reason : str
    headers : CIMultiDict of str
        As they came, in order.
    content : Content
    """

    __slots__ = ("_connection", "content", "headers", "reason", "status")

    def __init__(
        self, connection: Source, status: int, reason: str, headers: list[tuple[bytes, bytes]]
    ) -> None:
        self._connection = connection
        self.status = status
        self.reason = reason
        self.headers: CIMultiDict[str] = CIMultiDict(
            [(n.decode("utf-8", "surrogateescape"), v.decode("utf-8", "surrogateescape")) for n, v in headers]
        )
        self.content = Content(connection)

    @property
    def content_type(self) -> str:
        """The media type, in lower case and without parameters; empty where there is none."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    def release(self) -> None:
        """Be done with it. The connection is kept if all was taken, else closed, so that the server stops."""
        self._connection.leave()

    close = release
