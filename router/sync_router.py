"""The router for programs without an event loop: any thread may ask it, and forked children too."""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import weakref
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

from jitr.router.background import BackgroundLoop, LoopClosedError
from jitr.router.decision import Decision
from jitr.router.reasons import Reason
from jitr.router.router import WAIT_S, Router
from jitr.schemas.calls import Call, Response, Usage
from jitr.schemas.settings import Settings


class SyncRouter:
    """Decides about calls from memory, and publishes what became of them; `Router` says how.

    A thread of its own follows the routing table, runs the event loop and publishes. Making it begins that,
    and waits at most two seconds for the table; without Redis the teacher answers until it is there.

    A forked child (gunicorn's workers, ``multiprocessing``) may go on to use its parent's router: its first
    call begins a thread, a connection and a spool of its own, and the teacher answers until the table is
    read (`wait_ready`). What its parent still holds is its parent's to send.

    Parameters
    ----------
    settings : Settings, optional
        By default from the file that ``JITR_CONFIG`` names and from the environment.
    source : str
        URI reference of your service, for example ``/checkout``.

    Examples
    --------
    ::

        with SyncRouter() as router:
            decision = router.answer(request)
            text, body = decision.answer if decision.answered else None, None
            if text is None or decision.due:  # an audit: later, where nobody should wait for it
                response = client.chat.completions.create(**request)
                text, body = text or response.choices[0].message.content, response.model_dump()
            router.report(decision, body)
    """

    def __init__(self, settings: Settings | None = None, *, source: str = "/jitr/router") -> None:
        self._settings: Final = settings or Settings.load()
        self._source: Final = source
        self._lock = threading.Lock()
        self._parents: Final[list[object]] = []
        self._closed = self._begun = False
        self._begin(WAIT_S)
        # a program that forgets to close still sends its last calls
        atexit.register(self.close)
        forked = weakref.WeakMethod(self._forked)
        os.register_at_fork(after_in_child=lambda: (begun := forked()) and begun())

    def wait_ready(self, timeout_s: float) -> bool:
        """Wait until the routing table is read, and each surrogate it names is loaded or refused.

        Returns
        -------
        bool
            False where that takes longer than so many seconds, or the router is closed.
        """
        running = self._running()
        return running.run(self._router.wait_ready(timeout_s)) if running else False

    def lookup(
        self,
        request: Mapping[str, Any] | Call,
        *,
        tenant: str | None = None,
        task: str | None = None,
        skip: bool = False,
        unproved: bool = False,
    ) -> Decision:
        """Find a call's task and route, without running a model; see `Router.lookup`."""

        async def look() -> Decision:
            return self._router.lookup(request, tenant=tenant, task=task, skip=skip, unproved=unproved)

        return self._decided(look, tenant)

    def answer(
        self,
        request: Mapping[str, Any] | Call,
        *,
        tenant: str | None = None,
        task: str | None = None,
        skip: bool = False,
        unproved: bool = False,
    ) -> Decision:
        """Decide who answers, and answer if it is the surrogate; see `Router.lookup` for the parameters."""

        def ask() -> Coroutine[Any, Any, Decision]:
            return self._router.answer(request, tenant=tenant, task=task, skip=skip, unproved=unproved)

        return self._decided(ask, tenant)

    def report(
        self,
        decision: Decision,
        response: Mapping[str, Any] | Response | None = None,
        *,
        usage: Usage | None = None,
        error: str | None = None,
        status: int | None = None,
        latency_s: float | None = None,
        cost_usd: float | None = None,
    ) -> None:
        """Publish a call with what became of it; returns at once. See `Router.report`.

        It goes nowhere once the router is closed.
        """

        def told() -> None:
            self._router.report(
                decision,
                response,
                usage=usage,
                error=error,
                status=status,
                latency_s=latency_s,
                cost_usd=cost_usd,
            )

        running = self._running()
        if running:
            running.call(told)

    def close(self, deadline_s: float = 5.0) -> None:
        """Send what waits, or write it to disk, and end the thread; may be called twice.

        Calls that come later are the teacher's.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
        atexit.unregister(self.close)
        if self._begun:
            self._background.run(self._router.close(deadline_s))
            self._background.close()

    def _begin(self, wait_s: float) -> None:
        self._router = Router.from_settings(self._settings, source=self._source)
        self._background = BackgroundLoop("jitr-router")
        self._begun = True
        self._background.run(self._router.start(wait_s))

    def _running(self) -> BackgroundLoop | None:
        with self._lock:
            if self._closed:
                return None
            if not self._begun:
                self._begin(0.0)
            return self._background

    def _decided(self, ask: Callable[[], Coroutine[Any, Any, Decision]], tenant: str | None) -> Decision:
        running = self._running()
        if running is not None:
            with contextlib.suppress(LoopClosedError):
                return running.run(ask())
        return self._router.unread(Reason.CLOSED, "the router is closed", tenant=tenant)

    def _forked(self) -> None:
        # only the thread that forked lives on in a child; sockets and selector are shared with the parent,
        # so what holds them is neither closed here nor collected
        begun = self._begun and not self._closed
        self._lock, self._begun = threading.Lock(), False
        if begun:
            self._router.abandon()
            self._background.abandon()
            self._parents.append((self._background, self._router))

    def __enter__(self) -> SyncRouter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
