"""The two machines of a task's life, as one pure function of a row and a piece of evidence.

    version:  training -> shadow -> certified -> retired      route:  teacher -> offered -> canary -> active <-> hold
                   \\-> rejected \\-> rejected                                ^---------- demoted -------+   (any) <-> paused

The row holds all there is: two writers that read the same evidence write the same rows. Nothing is raised
in the stream: what does not fit changes nothing, and says so.
"""  # noqa: E501

from __future__ import annotations

from typing import Any

from jitr.models.lifecycle import routes, versions
from jitr.models.lifecycle.commands import Verb, check, command, fits
from jitr.models.lifecycle.rows import Step, changed, live, on_offer, shadow_run, shadowed
from jitr.models.lifecycle.training import training_due
from jitr.schemas.evidence import (
    Alarm,
    AuditWindow,
    Certified,
    Command,
    Demotion,
    Evidence,
    Futile,
    Resume,
    Tick,
    Trained,
    TrainingFailed,
    Withheld,
)
from jitr.schemas.policy import Policy
from jitr.schemas.routes import Route, RouteVersion

__all__ = [
    "Step",
    "Verb",
    "check",
    "fits",
    "live",
    "next",
    "on_offer",
    "shadow_run",
    "shadowed",
    "training_due",
]

# Copies of evidence come soon after it (a writer died between sending and acking) or not at all.
_SEEN = 16


def next(route: Route, evidence: Evidence, policy: Policy, version: RouteVersion) -> Step:
    """Apply one piece of evidence to a row.

    Parameters
    ----------
    route : Route
        The row so far; ``Route(tenant=..., task=...)`` before the first evidence.
    evidence : Evidence
    policy : Policy
        The policy of this task.
    version : RouteVersion
        Where the evidence stands. At or below ``route.version`` it was applied before.

    Examples
    --------
    >>> row = Route(tenant="t", task="k")
    >>> tick = Tick(id="e1", tenant="t", task="k", time=5.0, labels=40)
    >>> step = next(row, tick, Policy(), RouteVersion(offset=0))
    >>> step.route.labels, step.moved
    (40, False)
    >>> next(step.route, tick, Policy(), RouteVersion(offset=0)).reason
    'was applied before'
    """
    if version <= route.version:
        return Step(route, False, "was applied before")
    if evidence.id in route.seen:
        return Step(changed(route, version=version), False, "is a copy of evidence that was applied before")
    step = _apply(route, evidence, policy)
    new: dict[str, Any] = {"version": version}
    if not isinstance(evidence, Tick):
        new["seen"] = (*route.seen, evidence.id)[-_SEEN:]
    paused = route.state == step.route.state == "paused"
    if step.moved and not paused and not (isinstance(evidence, Withheld) and live(route)):
        # what happens to a candidate meanwhile is no reason for a pause, which whoever made it looks for, and
        # why a live version has no successor is none for the state that the route is in
        new["reason"] = step.reason
    if step.route.state != route.state:
        new["since"] = evidence.time
        if step.route.state == "active" and route.first_active is None:
            new["first_active"] = evidence.time
    return Step(changed(step.route, **new), step.moved, step.reason, step.refused)


def _apply(route: Route, evidence: Evidence, policy: Policy) -> Step:
    match evidence:
        case Tick():
            return _tick(route, evidence)
        case AuditWindow():
            return routes.window(route, evidence, policy)
        case Trained():
            return versions.trained(route, evidence)
        case TrainingFailed():
            return versions.failed(route, evidence)
        case Withheld():
            return versions.withheld(route, evidence)
        case Command():
            return command(route, evidence, policy)
        case Certified() | Futile():
            ref = shadowed(route)
            if ref is None or ref.version != evidence.surrogate:
                return Step(route, False, f"surrogate {evidence.surrogate} is not in a shadow run")
            if isinstance(evidence, Certified):
                return versions.certified(route, ref, evidence, policy)
            return versions.rejected(route, ref, evidence.reason)
        case Alarm() | Resume() | Demotion():
            ref = live(route)
            if ref is None or ref.version != evidence.surrogate:
                return Step(route, False, f"surrogate {evidence.surrogate} is not live")
            if isinstance(evidence, Alarm):
                return routes.alarm(route, ref, evidence)
            if isinstance(evidence, Resume):
                return routes.resume(route, ref, evidence, policy)
            return routes.demoted(route, ref, evidence)


def _tick(route: Route, tick: Tick) -> Step:
    if tick.labels <= route.labels:
        return Step(route, False, "labels were counted before")
    row = changed(route, labels=tick.labels, repeats=tick.repeats, repeats_agreed=tick.repeats_agreed)
    return Step(row, False, "labels counted")
