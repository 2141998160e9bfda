"""Whoever waits to be connected is, at once, on the event loop that the gateway runs on."""

import asyncio
import errno
import socket
from typing import Any

import pytest
import uvloop
from aiohttp import web

from jitr.router.http import listener as module
from jitr.router.http.connections import Connections
from jitr.router.http.listener import Listener
from jitr.schemas.sections import GatewaySettings

ROUNDS = 10


async def answered(_: web.BaseRequest) -> web.Response:
    return web.Response(text="ok")


async def rounds(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def run(main: Any) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)


def test_all_who_wait_are_accepted_together() -> None:
    async def main() -> None:
        connections = Connections(answered, GatewaySettings())
        listener = Listener(connections, "127.0.0.1", 0)
        await listener.start()
        callers = [socket.create_connection(("127.0.0.1", listener.port)) for _ in range(5 * ROUNDS)]
        await rounds(ROUNDS)
        assert connections.open == len(callers)
        listener.close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", listener.port))
        for caller in callers:
            caller.close()
        await connections.shutdown(1.0)

    run(main())


def test_while_the_system_has_no_file_left_callers_wait_and_are_served_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main() -> None:
        monkeypatch.setattr(module, "RETRY_S", 0.01)
        connections = Connections(answered, GatewaySettings())
        listener = Listener(connections, "127.0.0.1", 0)
        await listener.start()
        full = OSError(errno.EMFILE, "Too many open files")
        accept, failures = socket.socket.accept, [full, full]

        def short(listening: socket.socket) -> Any:
            if failures:
                raise failures.pop()
            return accept(listening)

        monkeypatch.setattr(socket.socket, "accept", short)
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200") and not failures
        writer.close()
        listener.close()
        await connections.shutdown(1.0)

    run(main())


def test_an_address_that_is_taken_leaves_nothing_open() -> None:
    async def main() -> None:
        connections = Connections(answered, GatewaySettings())
        first = Listener(connections, "127.0.0.1", 0)
        await first.start()
        second = Listener(connections, "127.0.0.1", first.port)
        with pytest.raises(OSError, match="in use"):
            await second.start()
        first.close()
        third = Listener(connections, "127.0.0.1", 0)
        await third.start()
        third.close()

    run(main())
