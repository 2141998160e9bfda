"""A request as a call that may be kept: read, of a bounded length and redacted; or why it is none."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import msgspec

from jitr.models.redaction.calls import length
from jitr.models.redaction.redaction import Redaction
from jitr.router.decision import Decision
from jitr.router.protocols.openai_requests import read_request
from jitr.router.publishing.wellformed import is_wellformed, wellformed
from jitr.router.reasons import Reason
from jitr.schemas.calls import Call
from jitr.schemas.errors import RecordError
from jitr.schemas.settings import Settings

log = logging.getLogger(__name__)
# an event of more is refused by Kafka's default
LONGEST: Final = 1_000_000
# texts of more characters are redacted beside the event loop: a microsecond each at the worst
LONG: Final = 10_000
# one thread does it, as Python's lock would hold up the loop for more; so many calls may wait for it
MOST_LONG: Final = 32
_LONGEST_MODEL: Final = 200
_FAULT: Final = "a fault of jitr's; the gateway's log says more"


class Intake:
    """Takes requests in; what may not be looked at any further is a decision for the teacher.

    Nothing here raises because of a request.

    Parameters
    ----------
    settings : Settings
    now : callable
        Seconds since the epoch, for the time of events.

    Examples
    --------
    >>> intake = Intake(Settings(), lambda: 0.0)
    >>> request = {"model": "m", "messages": [{"role": "user", "content": "I am ann@example.org"}]}
    >>> call = intake.read(request, "c1")
    >>> intake.redacted("c1", call).messages[0].content
    'I am [email]'
    >>> intake.read({"model": "m"}, "c2").reason.value
    'unreadable'
    """

    def __init__(self, settings: Settings, now: Callable[[], float]) -> None:
        self._tenant: Final = settings.gateway.tenant
        self._redact: Final = Redaction(settings)
        self._beside: Final = ThreadPoolExecutor(1, "redaction")
        self._long_calls = 0
        self._now: Final = now

    def read(
        self,
        request: Mapping[str, Any] | Call,
        id: str,
        tenant: str | None = None,
        task: str | None = None,
    ) -> Call | Decision:
        """The request as a call, whose texts are not redacted yet."""
        try:
            call = self._read(request, id, tenant, task)
            if length(call) <= LONGEST:
                return call
            reason, why = Reason.TOO_LONG, f"{length(call):,} characters, at most {LONGEST:,} are looked at"
        except RecordError as wrong:
            reason, why = Reason.UNREADABLE, str(wrong)
        except Exception:  # a fault of ours must not become the caller's
            log.exception("reading %s failed; the teacher answers", id)
            reason, why = Reason.FAILED, _FAULT
        if isinstance(request, Call):
            return self.unread(id, reason, why, tenant or request.tenant, request.model)
        model = request.get("model")
        return self.unread(id, reason, why, tenant, model if isinstance(model, str) else "")

    def unread(self, id: str, reason: Reason, why: str, tenant: str | None, model: str = "") -> Decision:
        """The decision about a request that is not read; its event says why."""
        call = Call(
            id=id,
            model=model[:_LONGEST_MODEL],
            messages=(),
            time=self._now(),
            tenant=tenant or self._tenant,
            error=f"the request is not read: {why}",
        )
        return Decision(id, None, "teacher", reason, unread=wellformed(call))

    def redacted(self, id: str, call: Call) -> Call | Decision:
        """What is kept of a call; on any thread."""
        try:
            if is_wellformed(call):
                return self._redact.call(call, own_id=call.id == id)
            # what stands in the place of its texts is not what the caller sent
            return Decision(id, self._redact.call(wellformed(call)), "teacher", Reason.UNREADABLE)
        except Exception:
            log.exception("redacting %s failed; the teacher answers", id)
            return self.unread(id, Reason.FAILED, _FAULT, call.tenant)

    async def redacted_soon(self, id: str, call: Call) -> Call | Decision:
        """What is kept of a call; a long one is worked on by a thread, as others must not wait for it."""
        if length(call) <= LONG:
            return self.redacted(id, call)
        if self._long_calls >= MOST_LONG:
            return self.unread(id, Reason.BUSY, "too many long ones at once", call.tenant, call.model)
        self._long_calls += 1
        try:
            return await asyncio.wrap_future(self._beside.submit(self.redacted, id, call))
        except RuntimeError:
            return self.unread(id, Reason.FAILED, "the router is closed", call.tenant, call.model)
        finally:
            self._long_calls -= 1

    def close(self) -> None:
        """End the thread; calls that wait for it are cancelled."""
        self._beside.shutdown(wait=False, cancel_futures=True)

    def _read(self, request: Mapping[str, Any] | Call, id: str, tenant: str | None, task: str | None) -> Call:
        if not isinstance(request, Call):
            return read_request(request, id=id, time=self._now(), tenant=tenant or self._tenant, task=task)
        return msgspec.structs.replace(request, tenant=tenant or request.tenant, task=task or request.task)
