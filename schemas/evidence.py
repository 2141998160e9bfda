"""Evidence: anything that may move a route, as it travels on `jitr.evidence`.

Every piece has an id; the same id twice is the same evidence and moves nothing the second time.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from jitr.schemas.bounds import Count, Dollars, Finite, Id, Name, Offset, Rate, Slug
from jitr.schemas.money import Money
from jitr.schemas.record import Record
from jitr.schemas.routes import Proof, ShadowRun, SurrogateRef, WithheldCause
from jitr.schemas.tasks import OutputKind
from jitr.schemas.times import Time


class _Evidence(Record, tag_field="kind", frozen=True, kw_only=True):
    """What all evidence says: whom it concerns and when it was made (event time)."""

    event_type: ClassVar[str] = "dev.jitr.evidence.v1"

    id: Id
    tenant: Name
    task: Slug
    time: Time


class Trained(_Evidence, tag="trained", frozen=True, kw_only=True):
    """A training ended well: the version begins its shadow run.

    ``demotions`` is how often the route had been demoted when it was asked for: one that was asked for
    before the last demotion has learned what the teacher no longer says.
    """

    training: str
    surrogate: SurrogateRef
    output: OutputKind
    demotions: Count = 0
    cost_usd: Dollars = 0.0


class TrainingFailed(_Evidence, tag="training_failed", frozen=True, kw_only=True):
    """A training gave nothing that could be used, and why."""

    training: str
    reason: str
    labels: Count = 0
    cost_usd: Dollars = 0.0


class Certified(_Evidence, tag="certified", frozen=True, kw_only=True):
    """The shadow run proved a threshold of the candidate."""

    surrogate: str
    proof: Proof


class Futile(_Evidence, tag="futile", frozen=True, kw_only=True):
    """The shadow run shows that the candidate will not be proved: train on."""

    surrogate: str
    reason: str
    calls: Count = 0


class AuditWindow(_Evidence, tag="audit_window", frozen=True, kw_only=True):
    """Plain counts since the last window, and the audit rate that routers should use now.

    ``calls`` counts all calls of the task, ``accepted`` those that the gate of the live surrogate
    accepted, ``audits`` and ``agreed`` the audits among them; ``money`` is what they cost. A task
    without a surrogate has windows too, with ``surrogate`` None. ``shadow`` is how far the shadow run has
    come, where there is one: a count from its beginning, not since the last window.
    """

    surrogate: str | None = None
    calls: Count = 0
    accepted: Count = 0
    audits: Count = 0
    agreed: Count = 0
    audit_rate: Rate = 0.0
    money: Money = Money()
    shadow: ShadowRun | None = None


class Alarm(_Evidence, tag="alarm", frozen=True, kw_only=True):
    """A reason to hold; ``monitor`` names what alarmed."""

    surrogate: str
    monitor: Literal["cusum", "adwin", "label", "blind", "teacher"]
    statistic: Finite
    threshold: Finite
    reason: str


class Resume(_Evidence, tag="resume", frozen=True, kw_only=True):
    """In a hold the surrogate was scored and found to keep its target."""

    surrogate: str
    scored: Count
    disagreement: Finite


class Demotion(_Evidence, tag="demotion", frozen=True, kw_only=True):
    """The demotion test rejects that the target is kept. Nothing else demotes.

    ``since_offset`` is where the hold began that ended here: the first of the task's calls that may still
    teach a surrogate, for what was answered before may be what broke the promise.
    """

    surrogate: str
    e_value: Finite
    threshold: Finite
    scored: Count
    disagreement: Finite
    since_offset: Offset = 0


class Command(_Evidence, tag="command", frozen=True, kw_only=True):
    """A person's word."""

    verb: Literal["approve", "promote", "pause", "unpause", "rollback"]
    by: str = ""
    note: str = ""


class Tick(_Evidence, tag="tick", frozen=True, kw_only=True):
    """Time or data passed: ``labels`` is how many labels the task has now.

    ``repeats`` and ``repeats_agreed`` count pairs of independent answers of the teacher to one input, and
    those that agree, since the task began or its teacher broke the last promise.
    """

    labels: Count = 0
    repeats: Count = 0
    repeats_agreed: Count = 0


class Withheld(_Evidence, tag="withheld", frozen=True, kw_only=True):
    """Why no training is asked for though one is due; without a cause, that nothing stands against it now."""

    cause: WithheldCause | None
    reason: str
    labels: Count = 0


Evidence = (
    Trained
    | TrainingFailed
    | Certified
    | Futile
    | AuditWindow
    | Alarm
    | Resume
    | Demotion
    | Command
    | Tick
    | Withheld
)
