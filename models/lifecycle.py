"""The two machines of a task's life, as one pure function of a row and a piece of evidence.

    version:  training -> shadow -> certified -> retired      route:  teacher -> offered -> canary -> active <-> hold
                   \\-> rejected \\-> rejected                                ^---------- demoted -------+   (any) <-> paused

The row holds all there is: two writers that read the same evidence write the same rows. Nothing is raised
in the stream: what does not fit changes nothing, and says so.
"""  # noqa: E501

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import msgspec

from jitr.models import money
from jitr.schemas.errors import TransitionError
from jitr.schemas.evidence import (
    Alarm,
    AuditWindow,
    Certified,
    Command,
    Evidence,
    Futile,
    Resume,
    Tick,
    Trained,
    TrainingFailed,
    Verdict,
)
from jitr.schemas.money import Money
from jitr.schemas.policy import Policy
from jitr.schemas.routes import Route, RouteState, RouteVersion, SurrogateRef, SurrogateTarget, TeacherTarget

Verb = Literal["approve", "promote", "pause", "unpause", "rollback"]
T = TypeVar("T", Route, SurrogateRef)
# Copies of evidence come soon after it (a writer died between sending and acking) or not at all.
_SEEN = 16
_ANSWERING = ("canary", "active")


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
        return Step(_with(route, version=version), False, "is a copy of evidence that was applied before")
    step = _apply(route, evidence, policy)
    new: dict[str, Any] = {"version": version}
    if not isinstance(evidence, Tick):
        new["seen"] = (*route.seen, evidence.id)[-_SEEN:]
    if step.moved:
        new["reason"] = step.reason
    if step.route.state != route.state:
        new["since"] = evidence.time
        if step.route.state == "active" and route.first_active is None:
            new["first_active"] = evidence.time
    return Step(_with(step.route, **new), step.moved, step.reason, step.refused)


def live(route: Route) -> SurrogateRef | None:
    """The surrogate version that answers, or would if it were not held or paused."""
    ref = route.surrogate
    return ref if ref is not None and ref.state == "certified" else None


def shadowed(route: Route) -> SurrogateRef | None:
    """The candidate that is in its shadow run."""
    return _candidate(route, "shadow")


def on_offer(route: Route) -> SurrogateRef | None:
    """The candidate that is certified and waits for a word."""
    return _candidate(route, "certified")


def fits(route: Route, verb: Verb) -> str | None:
    """Why a command does not fit the state that a route is in, or None if it does.

    Examples
    --------
    >>> fits(Route(tenant="t", task="k"), "approve")
    'approve does not fit state `teacher`: nothing is on offer; wait for a certificate (`jitr offers`)'
    >>> fits(Route(tenant="t", task="k"), "pause") is None
    True
    """
    state = route.state
    why = {
        "approve": None
        if state == "offered"
        else "nothing is on offer; wait for a certificate (`jitr offers`)",
        "promote": None
        if state == "canary" or (state in ("active", "hold") and on_offer(route))
        else "there is no canary to promote, and no newer version on offer beside a live one",
        "pause": "it is paused already; `unpause` ends that" if state == "paused" else None,
        "unpause": None if state == "paused" else "it is not paused",
        "rollback": None if live(route) else "no surrogate is live; the teacher answers",
    }[verb]
    return None if why is None else f"{verb} does not fit state `{state}`: {why}"


def check(route: Route, verb: Verb) -> None:
    """Raise what `fits` says.

    Raises
    ------
    TransitionError
        If the command does not fit.
    """
    why = fits(route, verb)
    if why is not None:
        raise TransitionError(why)


def training_due(labels: int, last_trained_labels: int, route: Route | None, policy: Policy) -> bool:
    """Whether a training is due: by sizes of the dataset alone, never by time.

    First at ``first_labels``; then at each doubling, a candidate in its shadow run or not: twice the data
    is worth more than the rest of the run. After a demotion or rejection, while nothing is live or in
    shadow, as soon as ``cooldown_labels`` new ones came (once). Never while a candidate waits for approval,
    nor while the route is paused.

    Parameters
    ----------
    labels : int
        Labels that the task has now.
    last_trained_labels : int
        Labels at the last request, 0 if there was none.

    Examples
    --------
    >>> [training_due(n, last, None, Policy()) for n, last in ((299, 0), (300, 0), (599, 300), (600, 300))]
    [False, True, False, True]
    """
    if labels < policy.first_labels:
        return False
    if route is not None and (on_offer(route) or route.state == "paused"):
        return False
    if last_trained_labels <= 0 or labels >= 2 * last_trained_labels:
        return True
    if route is None or live(route) or shadowed(route) or not route.demotions + route.rejections:
        return False
    # A request since then has not had its outcome yet: one training at a time.
    asked = last_trained_labels > route.labels_at_demotion
    return not asked and labels >= route.labels_at_demotion + policy.cooldown_labels


def _apply(route: Route, evidence: Evidence, policy: Policy) -> Step:
    match evidence:
        case Tick():
            return Step(_with(route, labels=max(route.labels, evidence.labels)), False, "labels counted")
        case AuditWindow():
            return _window(route, evidence, policy)
        case Trained():
            return _trained(route, evidence)
        case TrainingFailed():
            labels = max(route.labels, evidence.labels)
            row = _paid(_with(route, labels=labels, labels_at_demotion=labels), evidence.cost_usd)
            row = _with(row, rejections=row.rejections + 1)
            return Step(row, True, f"training {evidence.training} failed: {evidence.reason}")
        case Command():
            why = fits(route, evidence.verb)
            if why is not None:
                return Step(route, False, why, refused=True)
            return _command(route, evidence, policy)
        case Certified() | Futile():
            ref = shadowed(route)
            if ref is None or ref.version != evidence.surrogate:
                return Step(route, False, f"surrogate {evidence.surrogate} is not in a shadow run")
            if isinstance(evidence, Certified):
                return _certified(route, ref, evidence, policy)
            return _rejected(route, ref, f"surrogate {ref.version} is rejected: {evidence.reason}")
        case Alarm() | Resume() | Verdict():
            ref = live(route)
            if ref is None or ref.version != evidence.surrogate:
                return Step(route, False, f"surrogate {evidence.surrogate} is not live")
            if isinstance(evidence, Alarm):
                return _alarm(route, ref, evidence)
            if isinstance(evidence, Resume):
                return _resume(route, ref, evidence, policy)
            return _demoted(route, ref, evidence)


def _window(route: Route, window: AuditWindow, policy: Policy) -> Step:
    # Calls and dollars are the task's, whichever version they were for: they were made and spent.
    row = _with(route, calls=route.calls + window.calls, money=money.add(route.money, window.money))
    ref = live(route)
    if ref is None or window.surrogate != ref.version:
        return Step(row, False, "calls and dollars counted")
    row = _with(
        row,
        accepted=row.accepted + window.accepted,
        audits=row.audits + window.audits,
        agreed=row.agreed + window.agreed,
    )
    if row.state in _ANSWERING:
        row = _with(row, audit_rate=max(window.audit_rate, policy.audit_floor))
    if row.state == "canary" and row.audits >= policy.canary_audits and _sound(row, policy):
        rate = row.agreed / row.audits
        return Step(
            _with(row, state="active", share=1.0), True, f"{row.audits} audits of the canary agree {rate:.3f}"
        )
    return Step(row, False, "audits counted")


def _sound(row: Route, policy: Policy) -> bool:
    """Whether the canary's audits lie at most one standard error below the target."""
    error = math.sqrt(policy.target * (1 - policy.target) / row.audits)
    return row.agreed / row.audits >= policy.target - error


def _trained(route: Route, evidence: Trained) -> Step:
    ref = evidence.surrogate
    known = [old.version for old in (route.surrogate, route.candidate) if old is not None]
    if ref.version in known:
        return Step(route, False, f"surrogate {ref.version} is known already")
    row = _with(_paid(route, evidence.cost_usd), kind=evidence.output, labels=max(route.labels, ref.labels))
    offered = on_offer(route)
    if offered is not None:
        # It was asked for before the offer was made: what is proved is not withdrawn for what is not.
        said = f"surrogate {ref.version} is rejected: {offered.version} is proved and on offer"
        return Step(_with(row, rejections=row.rejections + 1), True, said)
    row = _with(row, candidate=_with(ref, state="shadow", proof=None))
    reason = f"surrogate {ref.version} ({ref.base}, {ref.labels} labels) begins its shadow run"
    old = shadowed(route)
    if old is not None:
        reason += f"; {old.version} is retired unproved"
    return Step(row, True, reason)


def _certified(route: Route, ref: SurrogateRef, evidence: Certified, policy: Policy) -> Step:
    proof = evidence.proof
    if proof.kind == "loo" or proof.bound < policy.target:
        return _rejected(
            route,
            ref,
            f"surrogate {ref.version} is rejected: its certificate ({proof.kind}, bound {proof.bound:.3f}) "
            f"does not prove the target {policy.target:g}",
        )
    new = _with(ref, state="certified", proof=proof)
    said = (
        f"surrogate {ref.version} is certified: at least {proof.bound:.3f} agree on {proof.coverage:.0%} "
        f"of calls, {proof.agreed} of {proof.calls}"
    )
    row = _with(route, candidate=new)
    old = live(route)
    if route.state == "paused":
        return Step(row if old else _with(row, resume="offered"), True, said)
    if policy.approval == "manual":
        return Step(row if old else _with(row, state="offered"), True, said)
    if old and old.proof and route.state != "hold" and proof.coverage < old.proof.coverage:
        kept = _with(route, candidate=_with(new, state="retired"))
        return Step(kept, True, f"{said}; {old.version} covers more and stays")
    return Step(_canary(row, new, policy), True, said)


def _rejected(route: Route, ref: SurrogateRef, reason: str) -> Step:
    row = _with(
        route,
        candidate=_with(ref, state="rejected"),
        rejections=route.rejections + 1,
        labels_at_demotion=route.labels,
    )
    return Step(row, True, reason)


def _alarm(route: Route, ref: SurrogateRef, alarm: Alarm) -> Step:
    if alarm.monitor == "blind":
        if route.state == "paused":
            return Step(route, False, "paused: the teacher answers already")
        # Nothing is known against the surrogate: it is on offer again, and a person has to say so.
        row = _teacher(_with(route, surrogate=None), "offered")
        if on_offer(route):
            row = _with(row, surrogate=_with(ref, state="retired"))
        elif shadowed(route):
            row = _with(row, surrogate=_with(ref, state="retired"), state="teacher")
        else:
            row = _with(row, candidate=ref)
        return Step(row, True, f"blind: {alarm.reason}; the teacher answers")
    if route.state == "paused":
        if route.resume not in _ANSWERING:
            return Step(route, False, "is held already")
        return Step(_with(route, resume="hold", holds=route.holds + 1), True, f"hold: {alarm.reason}")
    if route.state == "hold":
        return Step(route, False, "is held already")
    # The target stays: routers go on running the surrogate, to score it, and the teacher answers.
    row = _with(route, state="hold", resume=route.state, share=0.0, audit_rate=1.0, holds=route.holds + 1)
    return Step(row, True, f"hold ({alarm.monitor}): {alarm.reason}")


def _resume(route: Route, ref: SurrogateRef, evidence: Resume, policy: Policy) -> Step:
    reason = f"{evidence.scored} calls scored in the hold disagree {evidence.disagreement:.3f}"
    if route.state == "paused" and route.resume == "hold":
        return Step(_with(route, resume="canary"), True, reason)
    if route.state != "hold":
        return Step(route, False, "is not held")
    return Step(_answering(route, ref, route.resume or "canary", policy), True, reason)


def _demoted(route: Route, ref: SurrogateRef, verdict: Verdict) -> Step:
    row = _with(
        route,
        surrogate=_with(ref, state="retired"),
        demotions=route.demotions + 1,
        labels_at_demotion=route.labels,
    )
    waiting = on_offer(route)
    if waiting is not None:
        # It was proved on calls before the break.
        row = _with(row, candidate=_with(waiting, state="retired"))
    row = _with(row, resume="demoted") if route.state == "paused" else _teacher(row, "demoted")
    return Step(
        row,
        True,
        f"the promise is broken: {verdict.disagreement:.3f} of {verdict.scored} scored calls disagree "
        f"(wealth {verdict.wealth:.1f} >= {verdict.bar:.1f})",
    )


def _command(route: Route, command: Command, policy: Policy) -> Step:
    by = f"{command.verb} by {command.by or 'someone'}" + (f": {command.note}" if command.note else "")
    offered = on_offer(route)
    match command.verb:
        case "approve":
            return Step(_canary(route, offered, policy) if offered else route, True, by)
        case "promote":
            if route.state == "canary":
                return Step(_with(route, state="active", share=1.0), True, by)
            return Step(_canary(route, offered, policy) if offered else route, True, by)
        case "pause":
            return Step(_with(_teacher(route, "paused"), resume=route.state), True, by)
        case "unpause":
            return Step(_unpaused(route, policy), True, by)
        case "rollback":
            ref = route.surrogate
            row = _teacher(route, "offered" if offered else "teacher")
            row = _with(row, labels_at_demotion=route.labels)
            return Step(_with(row, surrogate=_with(ref, state="retired") if ref else None), True, by)


def _unpaused(route: Route, policy: Policy) -> Route:
    state, ref, offered = route.resume or "teacher", live(route), on_offer(route)
    if state == "offered" and offered is not None and policy.approval == "auto":
        return _canary(route, offered, policy)
    if ref is None:
        return _with(route, state=state, resume=None)
    row = _answering(route, ref, state, policy)
    # A pause forgets whence a hold came: it goes back to the more careful state.
    return _with(row, resume="canary") if state == "hold" else row


def _teacher(route: Route, state: RouteState) -> Route:
    """The row with the teacher as its target."""
    return _with(route, state=state, target=TeacherTarget(), share=0.0, audit_rate=0.0, resume=None)


def _canary(route: Route, ref: SurrogateRef, policy: Policy) -> Route:
    """The row with a newly certified version, which begins with counts of its own."""
    row = _with(route, surrogate=ref, candidate=None, accepted=0, audits=0, agreed=0)
    return _answering(row, ref, "canary", policy)


def _answering(route: Route, ref: SurrogateRef, state: RouteState, policy: Policy) -> Route:
    """The row with a live version as its target; in a hold it is run and scored, and answers nothing."""
    share = {"canary": policy.canary_share, "active": 1.0}.get(state, 0.0)
    return _with(
        route,
        state=state,
        target=SurrogateTarget(version=ref.version),
        share=share,
        audit_rate=policy.audit_start if share else 1.0,
        resume=None,
    )


def _paid(route: Route, train_usd: float) -> Route:
    return _with(route, money=money.add(route.money, Money(train_usd=train_usd)))


def _candidate(route: Route, state: str) -> SurrogateRef | None:
    ref = route.candidate
    return ref if ref is not None and ref.state == state else None


def _with(record: T, **changes: Any) -> T:
    return msgspec.structs.replace(record, **changes)
