"""Policy: what must be true before a route moves, per tenant and per task. All defaults stand here."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from jitr.schemas.trainings import Limits

Share = Annotated[float, Meta(gt=0, lt=1)]
Count = Annotated[int, Meta(ge=1)]


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of one task's promise and life; docs/guarantee.md says what each does.

    Attributes
    ----------
    approval : str
        ``manual``: nothing changes an answer until someone approves. ``auto``: a certificate is enough.
    target, delta : float
        Accepted answers agree with the teacher at least ``target`` of the time, with confidence 1-delta.
    tolerance : float
        Numbers agree where they lie no further apart, in the unit of the answers.
    support : int
        Calls before a candidate is a task.
    first_labels : int
        Labels before the first training; then at each doubling.
    canary_share, canary_audits
        Share of accepted calls that a canary answers, until so many audits.
    audit_start, audit_floor : float
        Audit rate after a switch, and the least it falls to.
    demotion_block_calls : int
        Accepted calls in a block of the demotion test, 1 or more; it counts one audit a block at most.
    demotion_horizon_calls : int
        Accepted calls over which the demotion test errs with a chance of ``demotion_alpha``; 1 or more.
    demotion_alpha : float
        Chance that a surrogate that keeps its target is demoted in one horizon, in (0, 1).
    cusum_threshold : float
        Level in nats, above 0, at which the CUSUM detector over audits alarms and a hold begins.
    hold_scored : int
        Calls scored in a hold before it may resume.
    lease_s : float
        How long a router serves its last snapshot without Redis.
    cooldown_labels : int
        New labels after a demotion or rejection before the next training.
    shadow_cap : int
        Teacher-answered calls that shadow scores per task and minute, at most; of more, a sample.
    payback_days : float
        A training is asked for only if it is forecast to pay for itself within so many days.
    limits : Limits
        What a surrogate may cost.
    """

    approval: Literal["manual", "auto"] = "manual"
    target: Share = 0.95
    delta: Share = 0.05
    tolerance: Annotated[float, Meta(ge=0, le=1e12)] = 0.0
    support: Count = 30
    first_labels: Count = 300
    canary_share: Annotated[float, Meta(gt=0, le=1)] = 0.10
    canary_audits: Count = 100
    audit_start: Annotated[float, Meta(gt=0, le=1)] = 0.20
    audit_floor: Annotated[float, Meta(gt=0, le=1)] = 0.005
    demotion_block_calls: Count = 100
    demotion_horizon_calls: Count = 1_000_000
    demotion_alpha: Share = 0.10
    cusum_threshold: Annotated[float, Meta(gt=0)] = 5.0
    hold_scored: Count = 300
    lease_s: Annotated[float, Meta(gt=0)] = 60.0
    cooldown_labels: Count = 500
    shadow_cap: Count = 6_000
    payback_days: Annotated[float, Meta(gt=0, le=36_500)] = 30.0
    limits: Limits = Limits()


DEMO = Policy(
    approval="auto",
    target=0.90,
    support=20,
    first_labels=150,
    canary_share=0.5,
    canary_audits=30,
    audit_floor=0.05,
    demotion_block_calls=10,
    demotion_horizon_calls=10_000,
    hold_scored=60,
    lease_s=10.0,
    cooldown_labels=100,
    limits=Limits(max_train_s=30.0),
)
