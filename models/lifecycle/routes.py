"""The machine of a route: teacher -> offered -> canary -> active <-> hold -> demoted, on what audits say."""

from __future__ import annotations

import math

from jitr.models.economics import money
from jitr.models.lifecycle.rows import (
    ANSWERING,
    Step,
    answering,
    at_teacher,
    changed,
    live,
    on_offer,
    shadowed,
)
from jitr.schemas.evidence import Alarm, AuditWindow, Demotion, Resume
from jitr.schemas.policy import Policy
from jitr.schemas.routes import Route, SurrogateRef


def window(route: Route, told: AuditWindow, policy: Policy) -> Step:
    """Count; a canary with audits enough becomes active."""
    # Calls and dollars are the task's, whichever version they were for: they were made and spent.
    row = changed(
        route,
        calls=route.calls + told.calls,
        money=money.add(route.money, told.money),
        shadow=told.shadow,
    )
    ref = live(route)
    if ref is None or told.surrogate != ref.version:
        return Step(row, False, "calls and dollars counted")
    row = changed(
        row,
        accepted=row.accepted + told.accepted,
        audits=row.audits + told.audits,
        agreed=row.agreed + told.agreed,
    )
    if row.state in ANSWERING:
        row = changed(row, audit_rate=max(told.audit_rate, policy.audit_floor))
    if row.state == "canary" and row.audits >= policy.canary_audits and _sound(row, policy):
        rate = row.agreed / row.audits
        row = changed(row, state="active", share=1.0)
        return Step(row, True, f"{row.audits} audits of the canary agree {rate:.3f}")
    return Step(row, False, "audits counted")


def _sound(row: Route, policy: Policy) -> bool:
    """Whether the canary's audits lie at most one standard error below the target."""
    error = math.sqrt(policy.target * (1 - policy.target) / row.audits)
    return row.agreed / row.audits >= policy.target - error


def alarm(route: Route, ref: SurrogateRef, told: Alarm) -> Step:
    """An alarm holds; a route that does not hear of its audits goes back to the teacher."""
    if told.monitor == "blind":
        return _blind(route, ref, told)
    if route.state == "paused":
        if route.resume not in ANSWERING:
            return Step(route, False, "is held already")
        return Step(changed(route, resume="hold", holds=route.holds + 1), True, f"hold: {told.reason}")
    if route.state == "hold":
        return Step(route, False, "is held already")
    # The target stays: routers go on running the surrogate, to score it, and the teacher answers.
    row = changed(route, state="hold", resume=route.state, share=0.0, audit_rate=1.0, holds=route.holds + 1)
    return Step(row, True, f"hold ({told.monitor}): {told.reason}")


def _blind(route: Route, ref: SurrogateRef, told: Alarm) -> Step:
    if route.state == "paused":
        return Step(route, False, "paused: the teacher answers already")
    # Nothing is known against the surrogate: it is on offer again, and a person has to say so.
    row = at_teacher(changed(route, surrogate=None), "offered")
    if on_offer(route):
        row = changed(row, surrogate=changed(ref, state="retired"))
    elif shadowed(route):
        row = changed(row, surrogate=changed(ref, state="retired"), state="teacher")
    else:
        row = changed(row, candidate=ref)
    return Step(row, True, f"blind: {told.reason}; the teacher answers")


def resume(route: Route, ref: SurrogateRef, told: Resume, policy: Policy) -> Step:
    """A hold that found nothing ends where it began."""
    reason = f"{told.scored} calls scored in the hold disagree {told.disagreement:.3f}"
    if route.state == "paused" and route.resume == "hold":
        return Step(changed(route, resume="canary"), True, reason)
    if route.state != "hold":
        return Step(route, False, "is not held")
    return Step(answering(route, ref, route.resume or "canary", policy), True, reason)


def demoted(route: Route, ref: SurrogateRef, told: Demotion) -> Step:
    """The demotion test rejected: the teacher answers, and nothing from before the break counts any more."""
    row = changed(
        route,
        surrogate=changed(ref, state="retired"),
        demotions=route.demotions + 1,
        labels_at_demotion=route.labels,
        since_offset=told.since_offset,
    )
    waiting = on_offer(route) or shadowed(route)
    if waiting is not None:
        # It was taught and proved on calls before the break.
        row = changed(row, candidate=changed(waiting, state="retired"))
    row = changed(row, resume="demoted") if route.state == "paused" else at_teacher(row, "demoted")
    return Step(
        row,
        True,
        f"the promise is broken: {told.disagreement:.3f} of {told.scored} scored calls disagree "
        f"(e-value {told.e_value:.1f} >= {told.threshold:.1f})",
    )
