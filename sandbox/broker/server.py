"""The broker's sockets: one task a connection, one request of a connection at a time, as in Kafka."""

import asyncio
import ipaddress
import logging
import socket
from pathlib import Path

from jitr.sandbox.broker.apis.api import answer
from jitr.sandbox.broker.node import BrokerLimits, Node
from jitr.sandbox.broker.wire.wire import MalformedError
from jitr.schemas.errors import ConfigError

log = logging.getLogger(__name__)
_READ_AHEAD_BYTES = 1024 * 1024  # of one connection, before its client has to wait


class Broker:
    """A Kafka-protocol broker for development, on loopback only; see the package for what it does not do.

    Parameters
    ----------
    data_dir : Path
        Where topics and offsets are kept; made if missing, taken up again if not.
    host : str
        A loopback address, or `localhost`.
    port : int
        0 lets the system choose; `port` tells it after the start.
    limits : BrokerLimits, optional
        What clients may ask: automatic topics, sizes, timeouts.

    Raises
    ------
    ConfigError
        If host is not loopback: the broker knows no passwords.

    Examples
    --------
    >>> import asyncio, tempfile
    >>> async def started_and_stopped() -> bool:
    ...     with tempfile.TemporaryDirectory() as folder:
    ...         broker = Broker(Path(folder))
    ...         await broker.start()
    ...         bootstrap = broker.bootstrap
    ...         await broker.stop()
    ...         return bootstrap.startswith("127.0.0.1:")
    >>> asyncio.run(started_and_stopped())
    True
    """

    def __init__(
        self, data_dir: Path, host: str = "127.0.0.1", port: int = 0, *, limits: BrokerLimits | None = None
    ) -> None:
        if not _is_loopback(host):
            raise ConfigError(
                f"host={host!r} is not loopback: this broker has no authentication, so it takes 127.0.0.1 or "
                "localhost only; to serve other machines run Apache Kafka"
            )
        self._data_dir = data_dir
        self._host = host
        self._port = port
        self._limits = limits or BrokerLimits()
        self._node: Node | None = None
        self._server: asyncio.Server | None = None
        self._upkeep: asyncio.Task[None] | None = None
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def host(self) -> str:
        return self._host

    @property
    def port(self) -> int:
        """The port listened on; the one asked for before the start."""
        return self._port

    @property
    def bootstrap(self) -> str:
        """`host:port`, for a client's `bootstrap_servers`."""
        return f"{self._host}:{self._port}"

    async def start(self) -> None:
        """Take up the data and listen.

        Raises
        ------
        OSError
            If the port is taken or the folder cannot be written.
        """
        node = Node(self._data_dir, self._limits)
        try:
            family = socket.AF_UNSPEC if ":" in self._host else socket.AF_INET
            self._server = await asyncio.start_server(
                self._connected, self._host, self._port, family=family, limit=_READ_AHEAD_BYTES
            )
        except OSError:
            node.close()
            raise
        self._port = self._server.sockets[0].getsockname()[1]
        node.host, node.port = self._host, self._port
        self._node = node
        self._upkeep = asyncio.create_task(node.upkeep())
        self._upkeep.add_done_callback(_tell_failure)

    async def stop(self) -> None:
        """Close every connection and write everything through; may be called twice."""
        if self._server is None or self._node is None or self._upkeep is None:
            return
        server, self._server = self._server, None
        server.close()
        tasks = [self._upkeep, *self._connections]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
        self._node.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._connections) >= self._limits.max_connections or self._node is None:
            writer.close()
            return
        self._connections.add(task)
        try:
            await self._converse(self._node, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError):
            pass  # the client went away
        except asyncio.CancelledError:
            pass  # the broker stops
        except MalformedError as error:
            log.warning("closing the connection of %s: %s", writer.get_extra_info("peername"), error)
        except Exception:
            log.exception("closing the connection of %s", writer.get_extra_info("peername"))
        finally:
            self._connections.discard(task)
            writer.close()

    async def _converse(self, node: Node, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client_host = str(writer.get_extra_info("peername")[0])
        most = self._limits.socket_request_max_bytes
        while True:
            size = int.from_bytes(await reader.readexactly(4), "big", signed=True)
            if not 8 <= size <= most:
                raise MalformedError(f"a request of {size} bytes, 8 to {most} are taken")
            response = await answer(node, await reader.readexactly(size), client_host)
            if response is not None:
                writer.write(response)
                await writer.drain()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _tell_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("retention and compaction have stopped", exc_info=task.exception())
