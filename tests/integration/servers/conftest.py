"""Ports for servers that a test starts itself."""

import socket
from collections.abc import Callable
from contextlib import ExitStack

import pytest


@pytest.fixture
def free_ports() -> Callable[[int], list[int]]:
    """So many ports that nobody listens on."""

    def find(count: int) -> list[int]:
        with ExitStack() as stack:
            probes = [stack.enter_context(socket.socket()) for _ in range(count)]
            for probe in probes:
                probe.bind(("127.0.0.1", 0))
            return [probe.getsockname()[1] for probe in probes]

    return find
