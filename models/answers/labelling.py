"""Labels of single answers, and a label space out of many."""

from __future__ import annotations

from collections.abc import Iterable

from jitr.models.answers.kinds import in_kind
from jitr.models.answers.label_space import LabelSpace
from jitr.models.answers.normalize import normal
from jitr.schemas.tasks import Task


def label_of(task: Task, answer: str) -> str | None:
    """The label of an answer under a task's record, for the stream.

    A short answer that the record does not know yet is given in its normal form: a class shows itself by
    recurring, and whoever trains counts that with `LabelSpace`. Prose where a label was due is None.
    """
    space = LabelSpace.of(task)
    label = space.parse(answer)
    if label is None and task.kind == "labels":
        return in_kind(answer, "labels")
    if label is None and task.kind == "label":
        found = normal(answer)
        longest = max([len(k) for k in task.labels], default=40)
        if found and len(found) <= 2 * longest + 8 and len(found.split()) <= 8:
            return found
    return label


def space_of(answers: Iterable[str]) -> LabelSpace:
    """A label space that has learned these answers."""
    space = LabelSpace()
    for answer in answers:
        space.learn(answer)
    return space
