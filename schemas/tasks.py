"""A task and what is known about it, as it travels on `jitr.tasks` and `jitr.task-calls`."""

from __future__ import annotations

from typing import ClassVar, Literal

from jitr.schemas.bounds import Count, Dollars, Duration, Finite, Id, Int64, Name, Slug, Total, Weight
from jitr.schemas.calls import DecisionStamp, Response, Usage
from jitr.schemas.labels import NoLabel
from jitr.schemas.record import Record
from jitr.schemas.times import Time

OutputKind = Literal["label", "labels", "json", "number", "spans", "text"]
TaskStatus = Literal["candidate", "task", "merged", "retired"]
ChangeKind = Literal["found", "refined", "edited", "took", "merged", "split", "restored", "retired"]


class Template(Record, frozen=True, kw_only=True):
    """The constant tokens of a task's prompts: what varies between them are its slots.

    ``most_words``: a prompt of more words is another's, however it begins and ends; 0 where none is too long.
    """

    prefix: str = ""
    inner: tuple[str, ...] = ()
    suffix: str = ""
    most_words: Count = 0


class Signature(Record, frozen=True, kw_only=True):
    """What must match for two calls to be one task, besides the template.

    ``shape`` names the message shape (for example ``system+user``); ``tools`` and ``response_format``
    are digests, empty where the request had none; ``system`` is the digest of a constant system prompt.
    """

    model: str
    shape: str
    system: str = ""
    tools: str = ""
    response_format: str = ""


class Change(Record, frozen=True, kw_only=True):
    """One step of a task's history: the version it led to, and why.

    ``found``: first seen. ``refined``: more calls told its constant words better. ``edited``: its prompt was
    edited, and it went on in the new one. ``took``: another task (``other``) goes on in it. ``merged``: it
    goes on in ``other``. ``split``: one of its templates became ``other``, or it came out of ``other``.
    ``restored``: a merge with ``other`` was undone. ``template`` is the current one as people read it, cut
    off where it is long; ``by`` and ``note`` are the person's whose word it was.
    """

    version: Count
    time: Time
    kind: ChangeKind
    template: str = ""
    other: str | None = None
    by: str = ""
    note: str = ""


class MergeProposal(Record, frozen=True, kw_only=True):
    """Another task that may be the same in other words.

    ``likeness`` is the cosine of the two instructions' vectors; ``shared_labels`` the share of the smaller
    label set that both have, 1 where answers are not closed.
    """

    other: str
    likeness: Finite
    shared_labels: Finite


class Task(Record, frozen=True, kw_only=True):
    """A recurring task. The id lasts; the version counts edits of its template.

    ``counts`` are how often each of ``labels`` was among the answers seen so far. ``proposals`` are tasks
    that may be the same in other words; only a person merges them. ``history`` has the newest changes last.
    """

    event_type: ClassVar[str] = "dev.jitr.task.detected.v1"

    id: Slug
    tenant: Name
    signature: Signature
    version: Count = 1
    status: TaskStatus = "candidate"
    name: str = ""
    caller_name: Name | None = None
    templates: tuple[Template, ...] = ()
    kind: OutputKind = "text"
    labels: tuple[str, ...] = ()
    renderings: dict[str, str] = {}
    calls: Total = 0
    first_seen: Time = 0.0
    examples: tuple[str, ...] = ()
    merged_into: Slug | None = None
    counts: tuple[Total, ...] = ()
    unparsed: Total = 0
    proposals: tuple[MergeProposal, ...] = ()
    history: tuple[Change, ...] = ()


class TaskCommand(Record, frozen=True, kw_only=True):
    """A person's word on tasks, on its way to the tenant's one writer.

    ``merge``: ``other`` goes on in ``task``. ``split``: ``template`` of ``task`` becomes a task of its own.
    ``undo``: ``other``, which was merged into ``task``, is itself again.
    """

    event_type: ClassVar[str] = "dev.jitr.task.command.v1"

    id: Id
    tenant: Name
    time: Time
    verb: Literal["merge", "split", "undo"]
    task: str
    other: str | None = None
    template: Template | None = None
    by: str = ""
    note: str = ""


class TaskCall(Record, frozen=True, kw_only=True):
    """A call with its task: slots, label, decision and audit fields.

    ``input`` is the redacted text that a surrogate reads. ``label`` is the teacher's answer in normal
    form, None where there is no teacher answer or it does not parse; ``no_label`` says why the answer is
    none at all (`jitr.schemas.labels`): then it speaks neither for a surrogate nor against it.
    ``weight`` is 1/p for a call that came to the teacher by sampling. ``only_teacher`` says why no surrogate
    may answer such a request, where that is so; ``max_tokens`` and ``stop`` end an answer, as in `Call`.
    """

    event_type: ClassVar[str] = "dev.jitr.task.call.v1"

    id: Id
    tenant: Name
    task: Slug
    task_version: Count
    time: Time
    model: str
    input: str
    slots: tuple[str, ...] = ()
    label: str | None = None
    no_label: NoLabel | None = None
    response: Response | None = None
    usage: Usage = Usage()
    cost_usd: Dollars = 0.0
    latency_s: Duration | None = None
    decision: DecisionStamp | None = None
    weight: Weight = 1.0
    only_teacher: str = ""
    max_tokens: Int64 | None = None
    stop: tuple[str, ...] = ()
