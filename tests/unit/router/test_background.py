"""A loop in a thread: closed while it works, and abandoned by a forked child."""

from __future__ import annotations

import asyncio
import os
import socket
import threading

import pytest

from jitr.router.background import BackgroundLoop, LoopClosedError


def test_what_runs_when_it_is_closed_ends_with_an_error_and_what_comes_later_too() -> None:
    background = BackgroundLoop("test")
    running, errors = threading.Event(), []

    async def endless() -> None:
        running.set()
        await asyncio.Event().wait()

    def wait() -> None:
        with pytest.raises(LoopClosedError):
            background.run(endless())
        errors.append("closed")

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert running.wait(30)
    background.close()
    waiting.join(30)
    assert errors == ["closed"]
    with pytest.raises(LoopClosedError):
        background.run(endless())
    background.call(errors.append, "never")
    assert errors == ["closed"]


def test_an_abandoned_loop_leaves_its_parent_what_the_parent_listens_to() -> None:
    """A child that closed connections at its end took them out of the selector that it shares."""
    background = BackgroundLoop("test")
    ours, theirs = socket.socketpair()
    heard = threading.Event()

    async def listen() -> None:
        asyncio.get_running_loop().add_reader(theirs, heard.set)

    background.run(listen())
    child = os.fork()
    if not child:
        background.abandon()
        background._loop.remove_reader(theirs)  # as connections do that are collected
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    ours.send(b"x")
    assert heard.wait(30)
    background.close()
    ours.close()
    theirs.close()
