"""The gateway's socket: whoever waits to be connected is, at once, however busy the gateway is."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from typing import Any, Final

from jitr.router.http.connections import Connections

log = logging.getLogger(__name__)
BACKLOG: Final = 1024
# while the system has no file or memory for another connection
RETRY_S: Final = 1.0
_SHORT: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Listener:
    """Accepts connections for `Connections`.

    uvloop's own server accepts one in each round of the loop. Under load a round answers a request of every
    caller, so that the hundredth who comes anew would wait a hundred times as long as the others.

    Parameters
    ----------
    connections : Connections
    host : str
        A name or an address; of a name, all its addresses.
    port : int
        0 lets the system choose.
    """

    def __init__(self, connections: Connections, host: str, port: int) -> None:
        self._connections: Final = connections
        self._host: Final = host
        self._port: Final = port
        self._bound = port
        self._sockets: Final[list[socket.socket]] = []
        self._made: Final[set[asyncio.Task[Any]]] = set()

    @property
    def port(self) -> int:
        """Where it listens, once it does."""
        return self._bound

    async def start(self) -> None:
        """Listen.

        Raises
        ------
        OSError
            If an address cannot be listened on; then none is.
        """
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(
            self._host, self._port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        try:
            for family, _, _, _, address in dict.fromkeys(found):
                self._sockets.append(socket.create_server(address, family=family, backlog=BACKLOG))
        except OSError:
            self.close()
            raise
        self._bound = self._sockets[0].getsockname()[1]
        for listening in self._sockets:
            listening.setblocking(False)
            loop.add_reader(listening, self._accept, listening)

    def close(self) -> None:
        """Listen no more; those who are connected stay."""
        for listening in self._sockets:
            if listening.fileno() >= 0:
                asyncio.get_running_loop().remove_reader(listening)
                listening.close()

    def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(BACKLOG):
            try:
                accepted, _ = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _SHORT:
                    # it concerns the one who wanted to be connected
                    log.warning("a caller could not be connected: %s", error)
                    return
                log.error("callers wait: no more connections can be accepted (%s)", error)
                loop.remove_reader(listening)
                loop.call_later(RETRY_S, self._resume, listening)
                return
            accepted.setblocking(False)
            task = loop.create_task(self._connect(accepted))
            self._made.add(task)
            task.add_done_callback(self._made.discard)

    async def _connect(self, accepted: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(self._connections, accepted)
        except OSError:  # gone already
            accepted.close()

    def _resume(self, listening: socket.socket) -> None:
        if listening.fileno() >= 0:
            asyncio.get_running_loop().add_reader(listening, self._accept, listening)
