"""A row of the routing table: what stands in it, and the few shapes it may take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from jitr.models.economics import money
from jitr.schemas.money import Money
from jitr.schemas.policy import Policy
from jitr.schemas.routes import Route, RouteState, ShadowRun, SurrogateRef, SurrogateTarget, TeacherTarget

T = TypeVar("T", Route, SurrogateRef)
ANSWERING = ("canary", "active")


@dataclass(frozen=True, slots=True)
class Step:
    """What a piece of evidence did to a row.

    ``moved`` marks an arrow of either machine, which belongs into the ledger; counters and audit rates are
    written to the row alone. ``refused`` marks a command that did not fit.
    """

    route: Route
    moved: bool
    reason: str
    refused: bool = False


def live(route: Route) -> SurrogateRef | None:
    """The surrogate version that answers, or would if it were not held or paused."""
    ref = route.surrogate
    return ref if ref is not None and ref.state == "certified" else None


def shadowed(route: Route) -> SurrogateRef | None:
    """The candidate that is in its shadow run."""
    return _candidate(route, "shadow")


def shadow_run(route: Route) -> ShadowRun | None:
    """How far the candidate's shadow run has come; None where it has not begun or is over."""
    ref, run = shadowed(route), route.shadow
    return run if ref is not None and run is not None and run.version == ref.version else None


def on_offer(route: Route) -> SurrogateRef | None:
    """The candidate that is certified and waits for a word."""
    return _candidate(route, "certified")


def changed(record: T, **changes: Any) -> T:
    """The same record with some fields changed."""
    return msgspec.structs.replace(record, **changes)


def at_teacher(route: Route, state: RouteState) -> Route:
    """The row with the teacher as its target."""
    return changed(route, state=state, target=TeacherTarget(), share=0.0, audit_rate=0.0, resume=None)


def as_canary(route: Route, ref: SurrogateRef, policy: Policy) -> Route:
    """The row with a newly certified version, which begins with counts of its own."""
    row = changed(route, surrogate=ref, candidate=None, accepted=0, audits=0, agreed=0)
    return answering(row, ref, "canary", policy)


def answering(route: Route, ref: SurrogateRef, state: RouteState, policy: Policy) -> Route:
    """The row with a live version as its target; in a hold it is run and scored, and answers nothing."""
    share = {"canary": policy.canary_share, "active": 1.0}.get(state, 0.0)
    return changed(
        route,
        state=state,
        target=SurrogateTarget(version=ref.version),
        share=share,
        audit_rate=policy.audit_start if share else 1.0,
        resume=None,
    )


def paid(route: Route, train_usd: float) -> Route:
    """The row with the cost of a training added."""
    return changed(route, money=money.add(route.money, Money(train_usd=train_usd)))


def _candidate(route: Route, state: str) -> SurrogateRef | None:
    ref = route.candidate
    return ref if ref is not None and ref.state == state else None
