"""Routes and their transitions: the rows of the routing table, and the ledger that explains them."""

from __future__ import annotations

from typing import ClassVar, Literal

from jitr.schemas.bounds import Count, Duration, Finite, Name, Offset, Rate, Slug, Total
from jitr.schemas.money import Money
from jitr.schemas.record import Record
from jitr.schemas.tasks import OutputKind
from jitr.schemas.times import Time

RouteState = Literal["teacher", "offered", "canary", "active", "hold", "demoted", "paused"]
SurrogateState = Literal["training", "shadow", "certified", "retired", "rejected"]
WithheldCause = Literal["cost", "self_agreement"]


class RouteVersion(Record, order=True, array_like=True, frozen=True, kw_only=True):
    """Where the evidence that caused a row stands: (incarnation of `jitr.evidence`, offset).

    No clock and no counter: two writers in a rebalance write identical rows.

    Examples
    --------
    >>> RouteVersion(incarnation=1, offset=7) > RouteVersion(incarnation=1, offset=6)
    True
    >>> str(RouteVersion(incarnation=1, offset=7))
    '1.7'
    """

    incarnation: Total = 0
    offset: Offset = -1

    def __str__(self) -> str:
        return f"{self.incarnation}.{self.offset}"


class Proof(Record, frozen=True, kw_only=True):
    """The certificate in short: what was proved, on what.

    ``kind`` says how: ``later`` on calls that came after training (shadow), ``split`` on rows held back,
    ``loo`` by leave-one-out, which is measured and not proved.
    """

    kind: Literal["later", "split", "loo"]
    target: Rate
    delta: Rate
    bound: Rate
    calls: Count
    agreed: Count
    coverage: Rate
    threshold: Finite


class SurrogateRef(Record, frozen=True, kw_only=True):
    """One surrogate version: where its artifact is, and what it was proved to do.

    Before a proof, ``thresholds`` (strictest first) and ``forecast`` (out-of-sample agreement at each)
    fix the order in which shadow may prove them. Afterwards ``proof`` holds the threshold in force.
    ``after_offset`` is the last offset of the task's calls that training saw: only later ones prove.
    """

    version: str
    uri: str
    digest: str
    encoders: str
    state: SurrogateState = "shadow"
    labels: Count = 0
    accuracy: Rate = 0.0
    train_s: Duration = 0.0
    size_mb: Duration = 0.0
    p99_ms: Duration = 0.0
    after_offset: Offset = -1
    shares: tuple[Finite, ...] = ()
    thresholds: tuple[Finite, ...] = ()
    forecast: tuple[Finite, ...] = ()
    proof: Proof | None = None


class ShadowRun(Record, frozen=True, kw_only=True):
    """How far a candidate's shadow run has come.

    ``calls`` are those that it was scored on; ``forecast_calls`` how many its first proof was forecast to
    take, 0 where none is forecast.
    """

    version: str
    calls: Count
    forecast_calls: Count = 0


class Withholding(Record, frozen=True, kw_only=True):
    """Why a task is not trained on, with its figures.

    ``cost``: a training is forecast not to pay. ``self_agreement``: the teacher agrees with itself less than
    the target asks of a surrogate.
    """

    cause: WithheldCause
    reason: str


class TeacherTarget(Record, tag="teacher", tag_field="kind", frozen=True, kw_only=True):
    """The LLM answers."""


class SurrogateTarget(Record, tag="surrogate", tag_field="kind", frozen=True, kw_only=True):
    """A surrogate version answers what its gate accepts."""

    version: str


class LlmTarget(Record, tag="llm", tag_field="kind", frozen=True, kw_only=True):
    """Another LLM answers."""

    model: str


Target = TeacherTarget | SurrogateTarget | LlmTarget


class Route(Record, frozen=True, kw_only=True):
    """The row of the routing table that says what happens to one task's calls: its whole state.

    ``share`` is the share of accepted calls that the surrogate answers (the canary's, else 1);
    ``audit_rate`` the probability of an audit, never 0 while the surrogate answers. ``resume`` is the
    state to which a hold or a pause returns. ``accepted``, ``audits`` and ``agreed`` count since the live
    version was certified; ``calls`` and ``money`` count from the task's beginning.
    ``labels_at_demotion`` is how many labels there were at the last demotion, rejection or rollback.
    A surrogate or candidate that is retired or rejected stays in sight until another takes its place.
    ``since_offset`` is the first of the task's calls whose answers describe the teacher of today: where the
    hold began that ended in the last demotion. ``repeats`` counts pairs of the teacher's answers to one
    input as they come by themselves on the stream (no probes are sent), ``repeats_agreed`` those that agree.
    ``withheld`` says why no training is asked for. ``shadow`` tells of the shadow run in progress.
    ``seen`` holds the ids of the last evidence, so that a copy at another offset moves nothing.
    """

    tenant: Name
    task: Slug
    kind: OutputKind = "label"
    state: RouteState = "teacher"
    target: Target = TeacherTarget()
    version: RouteVersion = RouteVersion()
    surrogate: SurrogateRef | None = None
    candidate: SurrogateRef | None = None
    share: Rate = 0.0
    audit_rate: Rate = 0.0
    resume: RouteState | None = None
    labels: Count = 0
    calls: Total = 0
    accepted: Total = 0
    audits: Total = 0
    agreed: Total = 0
    money: Money = Money()
    holds: Total = 0
    demotions: Total = 0
    rejections: Total = 0
    labels_at_demotion: Count = 0
    since_offset: Offset = 0
    repeats: Count = 0
    repeats_agreed: Count = 0
    withheld: Withholding | None = None
    shadow: ShadowRun | None = None
    since: Time = 0.0
    first_active: Time | None = None
    reason: str = ""
    seen: tuple[str, ...] = ()


class Transition(Record, frozen=True, kw_only=True):
    """One step of a route: what it was, what it is, the evidence for it, and who made that."""

    event_type: ClassVar[str] = "dev.jitr.route.changed.v1"

    route: Route
    previous: RouteState
    evidence: str
    evidence_kind: str
    reason: str
    time: Time
    step: bool = True
    by: str = ""
