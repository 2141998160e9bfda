"""Writes the record of a task: an id that lasts, a version that counts, and what is known of it."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from jitr.models.answers.label_space import LabelSpace
from jitr.models.tasks.matching.pattern import Pattern
from jitr.models.tasks.matching.signature import SignatureKey, digest, record_of
from jitr.models.tasks.records.naming import name_of
from jitr.schemas.calls import Call
from jitr.schemas.labels import label_text
from jitr.schemas.tasks import Change, Task, Template

_EXAMPLES = 3
_LONGEST_EXAMPLE = 300
_LONGEST_TEMPLATE = 300
_MOST_CHANGES = 24


class TaskCandidate:
    """A template (or a name given by callers) on its way to being a task, and the task it became.

    Its founder is the first call that it explains: the task's id is a hash of that, so it stays
    whatever happens to the template.
    """

    __slots__ = (
        "count",
        "earlier",
        "first_seen",
        "founder",
        "ids",
        "inputs",
        "kept",
        "labels",
        "last_seen",
        "news",
        "order",
        "parts",
        "status",
        "task",
    )

    def __init__(self, order: int, founder: str, first_seen: float) -> None:
        self.order = order
        self.founder = founder
        self.first_seen = first_seen
        self.last_seen = first_seen
        self.count = 0
        self.earlier: list[Pattern] = []
        self.labels = LabelSpace()
        self.kept: dict[int, Call] = {}
        self.ids: dict[int, str] = {}
        self.inputs: list[str] = []
        self.task: Task | None = None
        self.status = "candidate"
        # what a person did to it, until its next record tells; and the tasks that a person merged into it
        self.news: Change | None = None
        self.parts: dict[str, TaskCandidate] = {}

    def absorb(self, other: "TaskCandidate") -> None:
        """Go on with another candidate's calls too; the older of the two gives the founder."""
        self.kept = dict(sorted({**self.kept, **other.kept}.items()))
        self.ids = {**other.ids, **self.ids}
        self.count += other.count
        self.first_seen = min(self.first_seen, other.first_seen)
        self.last_seen = max(self.last_seen, other.last_seen)
        wide: dict[tuple[str, tuple[str, ...], str], Pattern] = {}
        for pattern in (*self.earlier, *other.earlier):  # of the same literals those for longer texts
            if pattern.key not in wide or pattern.is_as_wide(wide[pattern.key]):
                wide[pattern.key] = pattern
        self.earlier = list(wide.values())
        self.labels.absorb(other.labels)
        self.parts |= other.parts
        self.inputs = (self.inputs + [i for i in other.inputs if i not in self.inputs])[:_EXAMPLES]

    def follow(self, old: "TaskCandidate", pattern: Pattern) -> None:
        """Go on as an older task whose prompt was edited: its id, name and history, `pattern` first."""
        self.task, self.founder, self.order = old.task, old.founder, old.order
        self.earlier = [pattern]
        self.news = Change(version=0, time=self.first_seen, kind="edited")
        self.absorb(old)

    def learn(self, seq: int, call: Call, input: str) -> None:
        """Count a call of this candidate."""
        self.count += 1
        self.first_seen = min(self.first_seen, call.time)
        self.last_seen = max(self.last_seen, call.time)
        self.ids[seq] = call.id
        answer = label_text(call)
        if answer is not None:
            self.labels.learn(answer, input)
        if len(self.inputs) < _EXAMPLES:
            shown = input[:_LONGEST_EXAMPLE]
            if shown not in self.inputs:
                self.inputs.append(shown)


def task_id(tenant: str, founder: str) -> str:
    """The id of a task: a hash of its tenant and its founding call.

    Examples
    --------
    >>> task_id("acme", "call-1") == task_id("acme", "call-1") != task_id("other", "call-1")
    True
    """
    return "t" + digest(tenant, founder)


def record(
    candidate: TaskCandidate,
    key: SignatureKey,
    patterns: Sequence[Pattern],
    taken: frozenset[str],
    caller_name: str | None = None,
) -> Task:
    """The record of a candidate as it stands; its version is one higher than before if anything differs.

    Parameters
    ----------
    candidate : TaskCandidate
        What is known.
    key : SignatureKey
        Its signature.
    patterns : sequence of Pattern
        Its templates, the current one first.
    taken : frozenset of str
        Names of other tasks.
    caller_name : str, optional
        The name callers gave it.
    """
    before = candidate.task
    templates = tuple([p.record() for p in patterns])
    if before is not None:
        name = before.name
    elif caller_name is not None:
        name = caller_name
    else:
        name = name_of(" ".join([run for p in patterns for run in p.runs]), taken)
    counts = candidate.labels.counts()
    version, history = _dated(candidate, before, templates, patterns[0].show() if patterns else "")
    return Task(
        id=task_id(key.tenant, candidate.founder) if before is None else before.id,
        tenant=key.tenant,
        signature=record_of(key),
        version=version,
        status="task" if candidate.status == "task" else "candidate",
        name=name,
        caller_name=caller_name,
        templates=templates,
        kind=candidate.labels.kind,
        labels=candidate.labels.labels,
        renderings=candidate.labels.renderings,
        calls=candidate.count,
        first_seen=candidate.first_seen,
        examples=tuple(candidate.inputs),
        counts=tuple([counts[label] for label in candidate.labels.labels]),
        unparsed=candidate.labels.unparsed(),
        history=history,
    )


def _dated(
    candidate: TaskCandidate, before: Task | None, templates: tuple[Template, ...], shown: str
) -> tuple[int, tuple[Change, ...]]:
    """The version of a record and its history: what was done to it, or that its constant words changed."""
    shown = shown[:_LONGEST_TEMPLATE]
    if before is None:
        first = candidate.news or Change(version=1, time=candidate.first_seen, kind="found")
        return 1, (msgspec.structs.replace(first, version=1, template=shown),)
    if candidate.news is None and before.templates == templates:
        return before.version, before.history
    news = candidate.news or Change(version=0, time=candidate.last_seen, kind="refined")
    news = msgspec.structs.replace(news, version=before.version + 1, template=shown)
    return news.version, with_change(before.history, news)


def with_change(history: tuple[Change, ...], change: Change) -> tuple[Change, ...]:
    """A history with one change more: of refinements in a row the last stays, and of many changes the
    first and the newest.
    """
    if change.kind == "refined" and history and history[-1].kind == "refined":
        history = history[:-1]
    kept = history if len(history) < _MOST_CHANGES else (history[0], *history[2:])
    return (*kept, change)


def ended(task: Task, status: Literal["merged", "retired"], change: Change) -> Task:
    """The record of a task that goes on as ``change.other``, or whose template is gone."""
    version = task.version + 1
    return msgspec.structs.replace(
        task,
        status=status,
        merged_into=change.other,
        version=version,
        history=with_change(task.history, msgspec.structs.replace(change, version=version)),
    )
