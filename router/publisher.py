"""A client for programs that only publish their calls: no event loop, no gateway, no waiting."""

from __future__ import annotations

import asyncio
import atexit
import threading
import time
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from jitr.router.decision import new_id
from jitr.router.events import EventStream
from jitr.router.requests import read_request
from jitr.schemas.calls import Call, Usage
from jitr.schemas.dialects.openai_answer import Answer, read_answer
from jitr.schemas.settings import Settings


class Publisher:
    """Publishes calls from any thread; a thread of its own packs and sends them.

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
        self._loop: Final = asyncio.new_event_loop()
        self._stream: Final = EventStream(self._settings, source=source)
        self._thread: Final = threading.Thread(
            target=self._loop.run_forever, name="jitr-publisher", daemon=True
        )
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._stream.start(), self._loop).result()
        self._open = True
        # a program that forgets to close still sends its last calls
        atexit.register(self.close)

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
            said = read_answer(response) if response else Answer(None, Usage())
            unsaid = read_request(
                request,
                id=new_id(),
                time=time.time(),
                tenant=tenant or self._settings.gateway.tenant,
                task=task,
            )
            call = _with(unsaid, said, latency_s, cost_usd, error)
        if self._open:
            self._loop.call_soon_threadsafe(self._stream.publish, call)
        return call.id

    @property
    def published(self) -> int:
        """Calls that Kafka has confirmed."""
        return self._stream.published

    @property
    def dropped(self) -> int:
        """Calls lost because a bound was passed."""
        return self._stream.dropped.total()

    def close(self, deadline_s: float = 10.0) -> None:
        """Send what waits, or write it to disk; may be called twice."""
        if not self._open:
            return
        self._open = False
        atexit.unregister(self.close)
        asyncio.run_coroutine_threadsafe(self._stream.stop(deadline_s), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Publisher:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _with(
    call: Call, said: Answer, latency_s: float | None, cost_usd: float | None, error: str | None
) -> Call:
    return msgspec.structs.replace(
        call,
        response=said.response,
        usage=said.usage,
        latency_s=latency_s,
        cost_usd=cost_usd,
        error=error or said.error,
    )
