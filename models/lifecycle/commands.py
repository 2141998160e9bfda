"""A person's word: which fits which state, and what it does."""

from __future__ import annotations

from typing import Literal

from jitr.models.lifecycle.rows import Step, answering, as_canary, at_teacher, changed, live, on_offer
from jitr.schemas.errors import TransitionError
from jitr.schemas.evidence import Command
from jitr.schemas.policy import Policy
from jitr.schemas.routes import Route

Verb = Literal["approve", "promote", "pause", "unpause", "rollback"]


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


def command(route: Route, told: Command, policy: Policy) -> Step:
    """Do what a person says, where it fits."""
    why = fits(route, told.verb)
    if why is not None:
        return Step(route, False, why, refused=True)
    by = f"{told.verb} by {told.by or 'someone'}" + (f": {told.note}" if told.note else "")
    offered = on_offer(route)
    match told.verb:
        case "approve":
            return Step(as_canary(route, offered, policy) if offered else route, True, by)
        case "promote":
            if route.state == "canary":
                return Step(changed(route, state="active", share=1.0), True, by)
            return Step(as_canary(route, offered, policy) if offered else route, True, by)
        case "pause":
            return Step(changed(at_teacher(route, "paused"), resume=route.state), True, by)
        case "unpause":
            return Step(_unpaused(route, policy), True, by)
        case "rollback":
            ref = route.surrogate
            row = at_teacher(route, "offered" if offered else "teacher")
            row = changed(row, labels_at_demotion=route.labels)
            return Step(changed(row, surrogate=changed(ref, state="retired") if ref else None), True, by)


def _unpaused(route: Route, policy: Policy) -> Route:
    state, ref, offered = route.resume or "teacher", live(route), on_offer(route)
    if state == "offered" and offered is not None and policy.approval == "auto":
        return as_canary(route, offered, policy)
    if ref is None:
        return changed(route, state=state, resume=None)
    row = answering(route, ref, state, policy)
    # A pause forgets whence a hold came: it goes back to the more careful state.
    return changed(row, resume="canary") if state == "hold" else row
