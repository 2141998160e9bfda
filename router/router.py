"""The router: which task is this call, and who answers it?"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, Protocol

import msgspec

from jitr.router.deciding import Decider, cut_off, scored
from jitr.router.decision import Decision, new_id
from jitr.router.intake import Intake
from jitr.router.patience import TeacherTimes, deadline_s
from jitr.router.protocols.openai_requests import read_response
from jitr.router.publishing.events import EventStream
from jitr.router.reasons import Reason
from jitr.router.scoring.frames import Said
from jitr.router.scoring.scorers import BusyError, LoadingError
from jitr.router.snapshot import Live, Snapshot
from jitr.schemas.calls import Call, Response, Usage
from jitr.schemas.settings import Settings

log = logging.getLogger(__name__)
# what starting waits for the routing table and the surrogates that it names
WAIT_S: Final = 2.0


class Sink(Protocol):
    """Where calls go; `EventStream` is one."""

    @property
    def keeping(self) -> bool:
        """Whether calls find a place now; surrogates answer only while they do."""

    def publish(self, call: Call, *, redacted: bool = False) -> bool:
        """Take a call without waiting; False where it was dropped.

        ``redacted`` says that its request is, and only what was answered is to be looked at.
        """


class Router:
    """Decides about calls from memory, and publishes what became of them.

    ``lookup`` finds the task and its route and runs no model. ``answer`` runs the surrogate and the gate
    too. ``report`` publishes the call with what the teacher said, and must follow each ``answer``::

        async with Router.from_settings() as router:
            decision = await router.answer(request)
            text, body = decision.answer if decision.answered else None, None
            if text is None or decision.due:  # an audit: in the background, where nobody should wait for it
                response = await client.chat.completions.create(**request)
                text, body = text or response.choices[0].message.content, response.model_dump()
            router.report(decision, body)

    Nothing here raises because of a request, a surrogate or a server: then the teacher answers, and
    ``decision.reason`` says why. `jitr.SyncRouter` is for programs without an event loop.

    Parameters
    ----------
    settings : Settings
    snapshot : Snapshot
        Started and stopped by the caller; `from_settings` makes a router that has its own.
    sink : Sink
        Where calls are published; started and stopped by the caller.
    now : callable
        Seconds since the epoch, for the time of events.
    """

    def __init__(
        self, settings: Settings, snapshot: Snapshot, sink: Sink, *, now: Callable[[], float] = time.time
    ) -> None:
        self._intake: Final = Intake(settings, now)
        self._snapshot: Final = snapshot
        self._sink: Final = sink
        self._decider: Final = Decider(settings, snapshot, sink)
        self._owned: EventStream | None = None
        self._teacher_times: Final = TeacherTimes()
        self._scoring: set[asyncio.Future[Said]] = set()

    @classmethod
    def from_settings(cls, settings: Settings | None = None, *, source: str = "/jitr/router") -> Router:
        """A router with a routing snapshot and an event stream of its own, both run by `start` and `close`.

        ``async with`` starts and closes it.

        Parameters
        ----------
        settings : Settings, optional
            By default from the file that ``JITR_CONFIG`` names and from the environment.
        source : str
            URI reference of your service, for example ``/checkout``.
        """
        settings = settings or Settings.load()
        events = EventStream(settings, source=source)
        router = cls(settings, Snapshot(settings), events)
        router._owned = events
        return router

    async def start(self, wait_s: float = WAIT_S) -> bool:
        """Begin to follow the routing table and to publish, where both are the router's own.

        Neither Redis nor Kafka need be there yet: until they are, the teacher answers.

        Parameters
        ----------
        wait_s : float
            Most seconds to wait for the table and its surrogates; see `wait_ready`.

        Returns
        -------
        bool
            Whether they are there.
        """
        if self._owned is not None:
            await self._owned.start()
            await self._snapshot.start()
        return await self.wait_ready(wait_s)

    async def wait_ready(self, timeout_s: float) -> bool:
        """Wait until the routing table is read, and each surrogate it names is loaded or refused.

        Returns
        -------
        bool
            False where that takes longer.
        """
        return await self._snapshot.wait_ready(timeout_s)

    def lookup(
        self,
        request: Mapping[str, Any] | Call,
        *,
        tenant: str | None = None,
        task: str | None = None,
        skip: bool = False,
        unproved: bool = False,
    ) -> Decision:
        """Find a call's task and route, without running a model and without waiting.

        Parameters
        ----------
        request : mapping or Call
            An OpenAI chat completion request, or a canonical call.
        tenant : str, optional
            By default the settings' own (or the call's).
        task : str, optional
            The task's name, where the caller names it.
        skip : bool
            The caller asks for the teacher.
        unproved : bool
            Whether the upstream would serve this caller is not known: it must be asked.

        Returns
        -------
        Decision
            With target ``surrogate`` and reason ``ask`` where the surrogate is to be asked.
        """
        id = new_id()
        call = self._intake.read(request, id, tenant, task)
        if isinstance(call, Call):
            call = self._intake.redacted(id, call)
        return call if isinstance(call, Decision) else self._decider.decide(id, call, skip, unproved)[0]

    def unread(self, reason: Reason, why: str, *, tenant: str | None = None, model: str = "") -> Decision:
        """The decision about a request that could not be read: the teacher answers, and its event says why.

        Parameters
        ----------
        reason : Reason
        why : str
            In words.
        tenant, model : str, optional
            As far as they are known.
        """
        return self._intake.unread(new_id(), reason, why, tenant, model)

    async def answer(
        self,
        request: Mapping[str, Any] | Call,
        *,
        tenant: str | None = None,
        task: str | None = None,
        skip: bool = False,
        unproved: bool = False,
    ) -> Decision:
        """Decide who answers, and answer if it is the surrogate; see `lookup` for the parameters."""
        id = new_id()
        call = self._intake.read(request, id, tenant, task)
        if isinstance(call, Call):
            call = await self._intake.redacted_soon(id, call)
        if isinstance(call, Decision):
            return call
        # templates and surrogates come from redacted texts
        decision, live, text = self._decider.decide(id, call, skip, unproved)
        if live is None or live.surrogate is None:
            return decision
        asked = decision.reason is Reason.ASK
        try:
            if not asked:
                # the teacher answers anyway: nobody waits for the surrogate
                scoring = live.surrogate.ask(text)
                self._scoring.add(scoring)
                scoring.add_done_callback(self._settled)
                return replace(decision, scoring=scoring)
            found = await live.surrogate.ask(text, self._deadline_s(decision, live))
        except TimeoutError:
            return replace(decision, target="teacher", reason=Reason.SURROGATE_LATE)
        except BusyError:
            return replace(decision, target="teacher", reason=Reason.BUSY) if asked else decision
        except LoadingError:
            return replace(decision, target="teacher", reason=Reason.ARTIFACT_LOADING) if asked else decision
        except Exception:
            log.exception("surrogate %s failed on decision %s", decision.surrogate, decision.id)
            return replace(decision, target="teacher", reason=Reason.SURROGATE_FAILED)
        decided = scored(decision, found)
        if not decided.accepted:
            cut = cut_off(decision, found)
            return replace(decided, target="teacher", reason=Reason(cut) if cut else Reason.DEFERRED)
        return replace(decided, reason=Reason.ACCEPTED, due=decided.coin < decided.audit_rate)

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
        """Publish a call with what became of it; returns at once.

        Parameters
        ----------
        decision : Decision
            As `answer` (or `lookup`) returned it.
        response : mapping or Response, optional
            What the teacher said, if it was asked: an OpenAI response body or the canonical record.
        usage : Usage, optional
            Tokens, where the response does not carry them.
        error : str, optional
            Why the teacher gave no answer.
        status : int, optional
            The HTTP status of the teacher's server: a call that it refused is no evidence.
        latency_s : float, optional
            What the caller waited.
        cost_usd : float, optional
            What the teacher billed.
        """
        asked = decision.call or decision.unread
        assert asked is not None, "a decision of `answer`, `lookup` or `unread`"
        parsed: Response | None = None
        if isinstance(response, Response):
            parsed = response
        elif response is not None:
            answer = read_response(response)
            parsed, usage, error = answer.response, usage or answer.usage, error or answer.error
        if parsed is not None and latency_s is not None and decision.task and decision.target == "teacher":
            self._teacher_times.learn(asked.tenant, decision.task, latency_s)
        call = msgspec.structs.replace(
            asked,
            response=parsed,
            usage=usage or Usage(),
            error="; ".join([text for text in (asked.error, error) if text]) or None,
            status=status,
            latency_s=latency_s,
            cost_usd=cost_usd if cost_usd is not None else asked.cost_usd,
        )
        if decision.scoring is None:
            stamped = msgspec.structs.replace(call, decision=decision.stamp())
            self._sink.publish(stamped, redacted=decision.call is not None)
        elif decision.scoring.done():
            self._publish_scored(decision, call, decision.scoring)
        else:
            decision.scoring.add_done_callback(lambda done: self._publish_scored(decision, call, done))

    async def close(self, deadline_s: float = 5.0) -> None:
        """Wait for surrogates that run beside a teacher, so that their scores are published.

        A router of `from_settings` then stops following the table, and sends what waits to be published, or
        writes it to disk, within the deadline again.
        """
        if self._scoring:
            await asyncio.wait(self._scoring, timeout=deadline_s)
        self._intake.close()
        if self._owned is not None:
            try:
                await self._snapshot.stop()
            finally:
                await self._owned.stop(deadline_s)

    def abandon(self) -> None:
        """Let go of what a forked child has of its parent's router: the child must touch none of it."""
        if self._owned is not None:
            self._owned.abandon()

    async def __aenter__(self) -> Router:
        try:
            await self.start()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _settled(self, scoring: asyncio.Future[Said]) -> None:
        self._scoring.discard(scoring)
        if not scoring.cancelled():
            scoring.exception()  # a score that is missing says so; nobody else waits for it

    def _deadline_s(self, decision: Decision, live: Live) -> float:
        call, ref = decision.call, live.route.surrogate
        assert call is not None and decision.task is not None and ref is not None
        return deadline_s(ref.p99_ms, self._teacher_times.usual_s(call.tenant, decision.task))

    def _publish_scored(self, decision: Decision, call: Call, done: asyncio.Future[Said]) -> None:
        if not done.cancelled() and done.exception() is None:
            decision = scored(decision, done.result())
        self._sink.publish(msgspec.structs.replace(call, decision=decision.stamp()), redacted=True)
