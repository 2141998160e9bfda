"""A client for programs that only publish their calls: no event loop, no gateway, no waiting."""

from __future__ import annotations

import atexit
import os
import threading
import time
import weakref
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from jitr.router.background import BackgroundLoop
from jitr.router.decision import new_id
from jitr.router.protocols.openai_requests import read_request
from jitr.router.publishing.drops import Drop
from jitr.router.publishing.events import MOST_CALLS, EventStream
from jitr.schemas.calls import Call
from jitr.schemas.dialects.openai_answer import OpenAIAnswer, read_answer
from jitr.schemas.settings import Settings


class Publisher:
    """Publishes calls from any thread; a thread of its own packs and sends them.

    A forked child (gunicorn's workers, ``multiprocessing``) may go on to use its parent's publisher: its
    first call begins a thread, a connection and a spool of its own. What its parent still holds is its
    parent's to send.

    Parameters
    ----------
    settings : Settings, optional
        By default from the environment (``KAFKA_BOOTSTRAP_SERVERS``, ``JITR_...``).
    source : str
        URI reference of your service, for example ``/checkout``.

    Examples
    --------
    ::

        with Publisher() as publisher:
            response = client.chat.completions.create(**request)
            publisher.publish(request=request, response=response.model_dump())
    """

    def __init__(self, settings: Settings | None = None, *, source: str = "/jitr/publisher") -> None:
        self._settings: Final = settings or Settings.load()
        self._source: Final = source
        self._lock = threading.Lock()
        self._handed = 0
        self._lost: Counter[str] = Counter()
        self._parents: Final[list[object]] = []
        self._closed = self._begun = False
        self._begin()
        # a program that forgets to close still sends its last calls
        atexit.register(self.close)
        forked = weakref.WeakMethod(self._forked)
        os.register_at_fork(after_in_child=lambda: (begun := forked()) and begun())

    def publish(
        self,
        call: Call | None = None,
        *,
        request: Mapping[str, Any] | None = None,
        response: Mapping[str, Any] | None = None,
        task: str | None = None,
        tenant: str | None = None,
        latency_s: float | None = None,
        cost_usd: float | None = None,
        error: str | None = None,
    ) -> str:
        """Publish one call; returns at once.

        Parameters
        ----------
        call : Call, optional
            In canonical form; or else
        request, response : mapping
            OpenAI's request body, and its response body where there was one.
        task : str, optional
            The task's name, where you know it: then nothing is guessed.
        tenant : str, optional
        latency_s, cost_usd : float, optional
            What the caller waited, and what was billed, if known.
        error : str, optional
            Why there is no response.

        Returns
        -------
        str
            The call's id.

        Raises
        ------
        RecordError
            If request or response is not of OpenAI's form; the message names the field.
        """
        if call is None:
            if request is None:
                raise TypeError("publish(call) or publish(request=..., response=...): neither was given")
            said = read_answer(response) if response else OpenAIAnswer()
            unsaid = read_request(
                request,
                id=new_id(),
                time=time.time(),
                tenant=tenant or self._settings.gateway.tenant,
                task=task,
            )
            call = _with(unsaid, said, latency_s, cost_usd, error)
        with self._lock:
            if self._closed:
                self._lost[Drop.CLOSED] += 1
            elif self._handed >= MOST_CALLS:
                self._lost[Drop.QUEUE_FULL] += 1
            else:
                if not self._begun:
                    self._begin()
                self._handed += 1
                self._background.call(self._take, call)
        return call.id

    @property
    def taken(self) -> int:
        """Calls given to `publish`, and those of an earlier run that were found on disk."""
        with self._lock:
            return self._stream.taken + self._handed + self._lost.total()

    @property
    def published(self) -> int:
        """Calls that Kafka has confirmed."""
        return self._stream.published

    @property
    def dropped(self) -> Counter[str]:
        """Calls lost, by why (`jitr.router.publishing.drops`)."""
        return self._stream.dropped + self._lost

    @property
    def waiting(self) -> int:
        """Calls that wait, in memory and on disk."""
        return self._stream.waiting + self._handed

    def close(self, deadline_s: float = 10.0) -> None:
        """Send what waits, or write it to disk; may be called twice."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        atexit.unregister(self.close)
        if self._begun:
            self._background.run(self._stream.stop(deadline_s))
            self._background.close()

    def _begin(self) -> None:
        self._background = BackgroundLoop("jitr-publisher")
        self._stream = EventStream(self._settings, source=self._source)
        self._background.run(self._stream.start())
        self._begun = True

    def _take(self, call: Call) -> None:
        with self._lock:
            self._handed -= 1
            self._stream.publish(call)

    def _forked(self) -> None:
        # only the thread that forked lives on in a child; sockets and selector are shared with the parent,
        # so what holds them is neither closed here nor collected
        begun = self._begun
        self._lock, self._handed, self._begun = threading.Lock(), 0, False
        self._stream.abandon()
        if begun:
            self._background.abandon()
            self._parents.append((self._background, self._stream))
        self._stream = EventStream(self._settings, source=self._source)

    def __enter__(self) -> Publisher:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _with(
    call: Call, said: OpenAIAnswer, latency_s: float | None, cost_usd: float | None, error: str | None
) -> Call:
    return msgspec.structs.replace(
        call,
        response=said.response,
        usage=said.usage,
        latency_s=latency_s,
        cost_usd=cost_usd,
        error=error or said.error,
    )
