"""Applies a person's word to task records: merges two, or splits one; each undoes the other."""

import msgspec

from jitr.models.tasks.matching.pattern import Pattern
from jitr.schemas.errors import ConfigError
from jitr.schemas.tasks import Task, Template


def merge(into: Task, other: Task) -> tuple[Task, Task]:
    """Let a task go on in another: the records of both afterwards.

    The other keeps its templates and its name in its record, so that `bring_back` can undo it.

    Parameters
    ----------
    into : Task
        The task that lives on; it matches by the templates of both, its own first.
    other : Task
        The task that is merged into it.

    Raises
    ------
    ConfigError
        If they are the same, are not of one signature, or one of them is no task now.

    Examples
    --------
    >>> from jitr.schemas.tasks import Signature
    >>> a, b = (Task(id=id, tenant="acme", status="task", signature=Signature(model="m", shape="user"),
    ...              templates=(Template(prefix=prefix),))
    ...         for id, prefix in [("a", "Sum up:"), ("b", "TL;DR:")])
    >>> into, gone = merge(a, b)
    >>> [s.prefix for s in into.templates], into.version, gone.status, gone.merged_into
    (['Sum up:', 'TL;DR:'], 2, 'merged', 'a')
    >>> into, back = bring_back(into, gone)
    >>> [s.prefix for s in into.templates], back.id, back.status
    (['Sum up:'], 'b', 'task')
    """
    if into.id == other.id:
        raise ConfigError(f"task {into.id} was given twice; name two tasks")
    for task in (into, other):
        if task.status != "task":
            raise ConfigError(
                f"{task.id} is {task.status}, and only tasks can be merged; `jitr tasks list` shows them"
            )
        if task.caller_name is not None:
            raise ConfigError(f"{task.id} is named by its callers ({task.caller_name}): let them rename it")
    if (into.tenant, into.signature) != (other.tenant, other.signature):
        raise ConfigError(
            f"{into.id} and {other.id} differ in tenant, model, message shape, tools or response format;"
            " only tasks of one signature can be one"
        )
    both = tuple(dict.fromkeys(into.templates + other.templates))
    return (
        msgspec.structs.replace(into, templates=both, version=into.version + 1),
        msgspec.structs.replace(other, status="merged", merged_into=into.id, version=other.version + 1),
    )


def bring_back(into: Task, gone: Task) -> tuple[Task, Task]:
    """Undo a merge: the records of both afterwards.

    Raises
    ------
    ConfigError
        If `gone` was not merged into it.
    """
    if gone.merged_into != into.id:
        raise ConfigError(f"{gone.id} was not merged into {into.id}, so it cannot come back out of it")
    rest = tuple([s for s in into.templates if s not in gone.templates])
    return (
        msgspec.structs.replace(into, templates=rest or into.templates, version=into.version + 1),
        msgspec.structs.replace(gone, status="task", merged_into=None, version=gone.version + 1),
    )


def split(task: Task, template: Template) -> Task:
    """Let a template of a task, or a narrower one, be a task of its own: what stays of the task.

    Parameters
    ----------
    task : Task
        The task it is taken from.
    template : Template
        One of the task's further templates, or one that says more than the task's own (`narrowed` makes it
        from the text of a slot).

    Raises
    ------
    ConfigError
        If the task lives by this template, or does not have it.
    """
    if task.status != "task":
        raise ConfigError(f"{task.id} is {task.status}, and only tasks can be split")
    if task.caller_name is not None:
        raise ConfigError(f"{task.id} is named by its callers ({task.caller_name}): let them give two names")
    first, *further = task.templates
    if pattern_of(template).key == pattern_of(first).key:
        raise ConfigError(f"{task.id} lives by its first template; give another, or the text of a slot")
    if template not in further and not pattern_of(first).covers(pattern_of(template)):
        raise ConfigError(f"the template given is none of {task.id}'s, and none inside its first")
    return msgspec.structs.replace(task, templates=(first, *[s for s in further if s != template]))


def narrowed(template: Template, slot: int, text: str) -> Template:
    """A template with one of its slots filled for good; its only slot is filled from its beginning.

    Parameters
    ----------
    template : Template
        The wider one.
    slot : int
        Which slot, from 0; there is one more than there are inner runs.
    text : str
        What stands there.

    Raises
    ------
    ConfigError
        If there is no such slot.

    Examples
    --------
    >>> narrowed(Template(prefix="Name the ", inner=(" of it:",)), 0, "cause").prefix
    'Name the cause of it:'
    >>> narrowed(Template(prefix="Sum up:"), 0, " Dear").prefix
    'Sum up: Dear'
    """
    runs = [template.prefix, *template.inner, template.suffix]
    if not 0 <= slot < len(runs) - 1:
        raise ConfigError(f"slot {slot} was given, and the template has slots 0 to {len(runs) - 2}")
    if len(runs) == 2:
        return Template(prefix=runs[0] + text, suffix=runs[1], most_words=template.most_words)
    runs[slot : slot + 2] = [runs[slot] + text + runs[slot + 1]]
    return Template(prefix=runs[0], inner=tuple(runs[1:-1]), suffix=runs[-1], most_words=template.most_words)


def pattern_of(template: Template) -> Pattern:
    """A template of a record, compiled."""
    return Pattern.of(template)
