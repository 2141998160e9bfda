"""Which task a call is of, whether its surrogate may be asked, and whether what it says is accepted."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Final, Protocol

import msgspec

from jitr.models.redaction.calls import length
from jitr.router.decision import Decision
from jitr.router.protocols.openai_requests import needs_teacher
from jitr.router.reasons import Reason
from jitr.router.scoring.frames import Said
from jitr.router.snapshot import Live, View
from jitr.schemas.calls import MOST_BYTES, Call
from jitr.schemas.coins import coin
from jitr.schemas.labels import has_text
from jitr.schemas.only_teacher import cut_short
from jitr.schemas.settings import Settings

log = logging.getLogger(__name__)
# calls of more are worked on by no agent: there must be room for the answers, or no audit is ever seen
_MOST_ASKED: Final = MOST_BYTES - 50_000


class Views(Protocol):
    """Where each tenant's table is; `jitr.router.snapshot.Snapshot` is one."""

    def view(self, tenant: str) -> View | Reason:
        """What serves a tenant now, or why nothing does."""


class Keeping(Protocol):
    """Where calls are published."""

    @property
    def keeping(self) -> bool:
        """Whether calls find a place now; surrogates answer only while they do."""


class Decider:
    """Decides about redacted calls; nothing here raises because of one.

    Parameters
    ----------
    settings : Settings
    views : Views
    sink : Keeping
    """

    def __init__(self, settings: Settings, views: Views, sink: Keeping) -> None:
        self._views: Final = views
        self._sink: Final = sink
        self._harmless: Final = frozenset(settings.gateway.harmless)

    def decide(self, id: str, call: Call, skip: bool, unproved: bool) -> tuple[Decision, Live | None, str]:
        """The decision; and where a surrogate is to be run, its route with the text it reads."""
        try:
            return self._decide(id, call, skip, unproved)
        except Exception:
            log.exception("deciding about %s failed; the teacher answers", id)
            return Decision(id, call, "teacher", Reason.FAILED), None, ""

    def _decide(self, id: str, call: Call, skip: bool, unproved: bool) -> tuple[Decision, Live | None, str]:
        def teacher(reason: Reason, task: str | None = None) -> tuple[Decision, None, str]:
            return Decision(id, call, "teacher", reason, task=task), None, ""

        view = self._views.view(call.tenant)
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
            coin=coin(id, "audit"),
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


def scored(decision: Decision, found: Said) -> Decision:
    """The decision with what the surrogate said, and whether that is accepted."""
    # whatever a gate says: an answer without text is none
    accepted = decision.threshold is not None and found.score >= decision.threshold and has_text(found.text)
    # nor is one at which the teacher would have had to stop
    accepted = accepted and not cut_off(decision, found)
    return replace(
        decision, label=found.label, answer=found.text, score=float(found.score), accepted=accepted
    )


def cut_off(decision: Decision, found: Said) -> str:
    """Why the teacher would have had to stop before the end of such an answer; empty where it would not."""
    call = decision.call
    return cut_short(found.text, call.max_tokens, call.stop) if call is not None else ""
