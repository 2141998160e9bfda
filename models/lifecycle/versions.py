"""The machine of a surrogate version: training -> shadow -> certified -> retired, or rejected on the way."""

from __future__ import annotations

from jitr.models.lifecycle.rows import Step, as_canary, changed, live, on_offer, paid, shadowed
from jitr.schemas.evidence import Certified, Trained, TrainingFailed, Withheld
from jitr.schemas.policy import Policy
from jitr.schemas.routes import Route, SurrogateRef, Withholding


def trained(route: Route, evidence: Trained) -> Step:
    """A version begins its shadow run, unless what it has learned is not to be offered."""
    ref = evidence.surrogate
    known = [old.version for old in (route.surrogate, route.candidate) if old is not None]
    if ref.version in known:
        return Step(route, False, f"surrogate {ref.version} is known already")
    row = changed(paid(route, evidence.cost_usd), kind=evidence.output, labels=max(route.labels, ref.labels))
    against = _against(route, evidence)
    if against is not None:
        said = f"surrogate {ref.version} is rejected: {against}"
        return Step(changed(row, rejections=row.rejections + 1), True, said)
    row = changed(row, candidate=changed(ref, state="shadow", proof=None))
    reason = f"surrogate {ref.version} ({ref.encoders}, {ref.labels} labels) begins its shadow run"
    old = shadowed(route)
    if old is not None:
        reason += f"; {old.version} is retired unproved"
    return Step(row, True, reason)


def _against(route: Route, evidence: Trained) -> str | None:
    """Why a training that was asked for some time ago is not wanted any more."""
    if evidence.demotions < route.demotions:
        return "it has learned from labels of before the last demotion"
    offered = on_offer(route)
    # what is proved is not withdrawn for what is not
    return None if offered is None else f"{offered.version} is proved and on offer"


def failed(route: Route, evidence: TrainingFailed) -> Step:
    """A training gave nothing; it is paid all the same."""
    labels = max(route.labels, evidence.labels)
    row = paid(changed(route, labels=labels, labels_at_demotion=labels), evidence.cost_usd)
    row = changed(row, rejections=row.rejections + 1)
    return Step(row, True, f"training {evidence.training} failed: {evidence.reason}")


def certified(route: Route, ref: SurrogateRef, evidence: Certified, policy: Policy) -> Step:
    """The candidate is proved: it is offered, or goes ahead where a certificate is enough."""
    proof = evidence.proof
    if proof.kind == "loo" or proof.bound < policy.target:
        return rejected(
            route,
            ref,
            f"its certificate ({proof.kind}, bound {proof.bound:.3f}) does not prove the target "
            f"{policy.target:g}",
        )
    new = changed(ref, state="certified", proof=proof)
    said = (
        f"surrogate {ref.version} is certified: at least {proof.bound:.3f} agree on {proof.coverage:.0%} "
        f"of calls, {proof.agreed} of {proof.calls}"
    )
    row = changed(route, candidate=new)
    old = live(route)
    if route.state == "paused":
        return Step(row if old else changed(row, resume="offered"), True, said)
    if policy.approval == "manual":
        return Step(row if old else changed(row, state="offered"), True, said)
    if old and old.proof and route.state != "hold" and proof.coverage < old.proof.coverage:
        kept = changed(route, candidate=changed(new, state="retired"))
        return Step(kept, True, f"{said}; {old.version} covers more and stays")
    return Step(as_canary(row, new, policy), True, said)


def rejected(route: Route, ref: SurrogateRef, reason: str) -> Step:
    """The candidate is given up."""
    row = changed(
        route,
        candidate=changed(ref, state="rejected"),
        rejections=route.rejections + 1,
        labels_at_demotion=route.labels,
    )
    return Step(row, True, f"surrogate {ref.version} is rejected: {reason}")


def withheld(route: Route, evidence: Withheld) -> Step:
    """No training is asked for, and why; what is live, on offer or in its shadow run goes on."""
    before = route.withheld.cause if route.withheld is not None else None
    if evidence.cause is None:
        return Step(changed(route, withheld=None), before is not None, evidence.reason)
    row = changed(route, withheld=Withholding(cause=evidence.cause, reason=evidence.reason))
    return Step(row, evidence.cause != before, evidence.reason)
