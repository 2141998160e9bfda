"""Routes and their transitions: the rows of the routing table, and the ledger that explains them."""

from __future__ import annotations

from typing import ClassVar, Literal

from jitr.schemas.money import Money
from jitr.schemas.record import Record
from jitr.schemas.tasks import OutputKind

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

    incarnation: int = 0
    offset: int = -1

    def __str__(self) -> str:
        return f"{self.incarnation}.{self.offset}"


class Proof(Record, frozen=True, kw_only=True):
    """The certificate in short: what was proved, on what.

    ``kind`` says how: ``later`` on calls that came after training (shadow), ``split`` on rows held back,
    ``loo`` by leave-one-out, which is measured and not proved.
    """

    kind: Literal["later", "split", "loo"]
    target: float
    delta: float
    bound: float
    calls: int
    agreed: int
    coverage: float
    threshold: float


class SurrogateRef(Record, frozen=True, kw_only=True):
    """One surrogate version: where its artifact is, and what it was proved to do.

    Before a proof, ``thresholds`` (strictest first) and ``forecast`` (out-of-sample agreement at each)
    fix the order in which shadow may prove them. Afterwards ``proof`` holds the threshold in force.
    ``after_offset`` is the last offset of the task's calls that training saw: only later ones prove.
    """

    version: str
    uri: str
    digest: str
    base: str
    state: SurrogateState = "shadow"
    labels: int = 0
    accuracy: float = 0.0
    train_s: float = 0.0
    size_mb: float = 0.0
    p99_ms: float = 0.0
    after_offset: int = -1
    shares: tuple[float, ...] = ()
    thresholds: tuple[float, ...] = ()
    forecast: tuple[float, ...] = ()
    proof: Proof | None = None


class ShadowRun(Record, frozen=True, kw_only=True):
    """How far a candidate's shadow run has come.

    ``calls`` are those that it was scored on; ``forecast_calls`` how many its first proof was forecast to
    take, 0 where none is forecast.
    """

    version: str
    calls: int
    forecast_calls: int = 0


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

    tenant: str
    task: str
    kind: OutputKind = "label"
    state: RouteState = "teacher"
    target: Target = TeacherTarget()
    version: RouteVersion = RouteVersion()
    surrogate: SurrogateRef | None = None
    candidate: SurrogateRef | None = None
    share: float = 0.0
    audit_rate: float = 0.0
    resume: RouteState | None = None
    labels: int = 0
    calls: int = 0
    accepted: int = 0
    audits: int = 0
    agreed: int = 0
    money: Money = Money()
    holds: int = 0
    demotions: int = 0
    rejections: int = 0
    labels_at_demotion: int = 0
    since_offset: int = 0
    repeats: int = 0
    repeats_agreed: int = 0
    withheld: Withholding | None = None
    shadow: ShadowRun | None = None
    since: float = 0.0
    first_active: float | None = None
    reason: str = ""
    seen: tuple[str, ...] = ()


class Transition(Record, frozen=True, kw_only=True):
    """One step of a route: what it was, what it is, and the evidence for it."""

    event_type: ClassVar[str] = "dev.jitr.route.changed.v1"

    route: Route
    previous: RouteState
    evidence: str
    evidence_kind: str
    reason: str
    time: float
    step: bool = True
