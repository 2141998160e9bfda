"""The router: which task is this call, and who answers it?"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, Protocol

import msgspec

from jitr.models.redaction.calls import length
from jitr.router.decision import Decision, coin, new_id
from jitr.router.frames import Said
from jitr.router.intake import Intake
from jitr.router.patience import TeacherTimes, deadline_s
from jitr.router.reasons import Reason
from jitr.router.requests import needs_teacher, read_response
from jitr.router.scoring import BusyError, LoadingError
from jitr.router.snapshot import Live, Snapshot
from jitr.schemas.calls import MOST_BYTES, Call, Response, Usage
from jitr.schemas.labels import has_text
from jitr.schemas.only_teacher import cut_short
from jitr.schemas.settings import Settings

log = logging.getLogger(__name__)
# calls of more are worked on by no agent: there must be room for the answers, or no audit is ever seen
_MOST_ASKED: Final = MOST_BYTES - 50_000


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
    too. ``report`` publishes the call with what the teacher said, and must follow each ``answer``. All
    may be used without the gateway::

        decision = await router.answer(request)
        text, body = decision.answer if decision.answered else None, None
        if text is None or decision.due:  # an audit: in the background, where nobody should wait for it
            response = await client.chat.completions.create(**request)
            text, body = text or response.choices[0].message.content, response.model_dump()
        router.report(decision, body)

    Nothing here raises because of a request, a surrogate or a server: then the teacher answers, and
    ``decision.reason`` says why.

    Parameters
    ----------
    settings : Settings
    snapshot : Snapshot
        Started and stopped by the caller.
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
        self._harmless: Final = frozenset(settings.gateway.harmless)
        self._teacher_times: Final = TeacherTimes()
        self._scoring: set[asyncio.Future[Said]] = set()

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
        return call if isinstance(call, Decision) else self._decide(id, call, skip, unproved)[0]

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
        # skeletons and surrogates come from redacted texts
        decision, live, text = self._decide(id, call, skip, unproved)
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
        scored = _scored(decision, found)
        if not scored.accepted:
            cut = _cut_short(decision, found)
            return replace(scored, target="teacher", reason=Reason(cut) if cut else Reason.DEFERRED)
        return replace(scored, reason=Reason.ACCEPTED, due=scored.coin < scored.audit_rate)

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
        """Wait for surrogates that run beside a teacher, so that their scores are published."""
        if self._scoring:
            await asyncio.wait(self._scoring, timeout=deadline_s)
        self._intake.close()

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
            decision = _scored(decision, done.result())
        self._sink.publish(msgspec.structs.replace(call, decision=decision.stamp()), redacted=True)

    def _decide(self, id: str, call: Call, skip: bool, unproved: bool) -> tuple[Decision, Live | None, str]:
        try:
            return self._place(id, call, skip, unproved)
        except Exception:
            log.exception("deciding about %s failed; the teacher answers", id)
            return Decision(id, call, "teacher", Reason.FAILED), None, ""

    def _place(self, id: str, call: Call, skip: bool, unproved: bool) -> tuple[Decision, Live | None, str]:
        def teacher(reason: Reason, task: str | None = None) -> tuple[Decision, None, str]:
            return Decision(id, call, "teacher", reason, task=task), None, ""

        view = self._snapshot.view(call.tenant)
        if isinstance(view, Reason):
            return teacher(view)
        match = view.matcher.match(call)
        if match is None:
            return teacher(Reason.OPT_OUT if skip else Reason.NO_TASK)
        if skip:
            return teacher(Reason.OPT_OUT, match.task_id)
        unfit = needs_teacher(call, self._harmless) or (Reason.TOO_LONG if _is_too_long(call) else None)
        if unfit is not None:
            return teacher(unfit, match.task_id)
        live = view.routes.get(match.task_id)
        if live is None:
            return teacher(Reason.NO_ROUTE, match.task_id)
        route = live.route
        decision = Decision(
            id,
            call,
            "surrogate" if live.reason is Reason.ASK else "teacher",
            live.reason,
            task=match.task_id,
            route_version=str(route.version),
        )
        if live.surrogate is None or route.surrogate is None:
            return replace(decision, held=route.state == "hold"), None, ""
        if unproved and live.reason is Reason.ASK:
            return replace(decision, target="teacher", reason=Reason.UNPROVED_CALLER), None, ""
        decision = replace(
            decision,
            surrogate=route.surrogate.version,
            threshold=live.threshold,
            audit_rate=route.audit_rate,
            coin=coin(id),
            held=route.state == "hold",
        )
        if live.reason is Reason.ASK and not self._sink.keeping:
            # an audit of its answer would not be seen, nor a lost one missed
            return replace(decision, target="teacher", reason=Reason.UNPUBLISHED), None, ""
        if live.reason is Reason.ASK and coin(id, "canary") >= route.share:
            decision = replace(decision, target="teacher", reason=Reason.CANARY)
        return decision, live, match.input


def _is_too_long(call: Call) -> bool:
    """Whether a call's event would be dead-lettered: then its audits would be lost and nobody would know."""
    # a character is six bytes at most
    if 6 * length(call) <= _MOST_ASKED:
        return False
    return len(msgspec.json.encode(call)) > _MOST_ASKED


def _scored(decision: Decision, found: Said) -> Decision:
    # whatever a gate says: an answer without text is none
    accepted = decision.threshold is not None and found.score >= decision.threshold and has_text(found.text)
    # nor is one at which the teacher would have had to stop
    accepted = accepted and not _cut_short(decision, found)
    return replace(
        decision, label=found.label, answer=found.text, score=float(found.score), accepted=accepted
    )


def _cut_short(decision: Decision, found: Said) -> str:
    call = decision.call
    return cut_short(found.text, call.max_tokens, call.stop) if call is not None else ""
