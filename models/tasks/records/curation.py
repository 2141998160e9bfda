"""A person's word on tasks: two are one, or one is two; each undoes the other."""

import msgspec

from jitr.models.tasks.matching.pattern import Pattern
from jitr.schemas.errors import ConfigError
from jitr.schemas.tasks import Skeleton, Task


def merge(into: Task, other: Task) -> tuple[Task, Task]:
    """Let a task go on in another: the records of both afterwards.

    The other keeps its skeletons and its name in its record, so that `bring_back` can undo it.

    Parameters
    ----------
    into : Task
        The task that lives on; it matches by the skeletons of both, its own first.
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
    ...              skeletons=(Skeleton(prefix=prefix),))
    ...         for id, prefix in [("a", "Sum up:"), ("b", "TL;DR:")])
    >>> into, gone = merge(a, b)
    >>> [s.prefix for s in into.skeletons], into.version, gone.status, gone.merged_into
    (['Sum up:', 'TL;DR:'], 2, 'merged', 'a')
    >>> into, back = bring_back(into, gone)
    >>> [s.prefix for s in into.skeletons], back.id, back.status
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
    both = tuple(dict.fromkeys(into.skeletons + other.skeletons))
    return (
        msgspec.structs.replace(into, skeletons=both, version=into.version + 1),
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
    rest = tuple([s for s in into.skeletons if s not in gone.skeletons])
    return (
        msgspec.structs.replace(into, skeletons=rest or into.skeletons, version=into.version + 1),
        msgspec.structs.replace(gone, status="task", merged_into=None, version=gone.version + 1),
    )


def split(task: Task, skeleton: Skeleton) -> Task:
    """Let a skeleton of a task, or a narrower one, be a task of its own: what stays of the task.

    Parameters
    ----------
    task : Task
        The task it is taken from.
    skeleton : Skeleton
        One of the task's further skeletons, or one that says more than the task's own (`narrowed` makes it
        from the text of a slot).

    Raises
    ------
    ConfigError
        If the task lives by this skeleton, or does not have it.
    """
    if task.status != "task":
        raise ConfigError(f"{task.id} is {task.status}, and only tasks can be split")
    if task.caller_name is not None:
        raise ConfigError(f"{task.id} is named by its callers ({task.caller_name}): let them give two names")
    first, *further = task.skeletons
    if pattern_of(skeleton).key == pattern_of(first).key:
        raise ConfigError(f"{task.id} lives by its first skeleton; give another, or the text of a slot")
    if skeleton not in further and not pattern_of(first).covers(pattern_of(skeleton)):
        raise ConfigError(f"the skeleton given is none of {task.id}'s, and none inside its first")
    return msgspec.structs.replace(task, skeletons=(first, *[s for s in further if s != skeleton]))


def narrowed(skeleton: Skeleton, slot: int, text: str) -> Skeleton:
    """A skeleton with one of its slots filled for good; its only slot is filled from its beginning.

    Parameters
    ----------
    skeleton : Skeleton
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
    >>> narrowed(Skeleton(prefix="Name the ", inner=(" of it:",)), 0, "cause").prefix
    'Name the cause of it:'
    >>> narrowed(Skeleton(prefix="Sum up:"), 0, " Dear").prefix
    'Sum up: Dear'
    """
    runs = [skeleton.prefix, *skeleton.inner, skeleton.suffix]
    if not 0 <= slot < len(runs) - 1:
        raise ConfigError(f"slot {slot} was given, and the skeleton has slots 0 to {len(runs) - 2}")
    if len(runs) == 2:
        return Skeleton(prefix=runs[0] + text, suffix=runs[1], most_words=skeleton.most_words)
    runs[slot : slot + 2] = [runs[slot] + text + runs[slot + 1]]
    return Skeleton(prefix=runs[0], inner=tuple(runs[1:-1]), suffix=runs[-1], most_words=skeleton.most_words)


def pattern_of(skeleton: Skeleton) -> Pattern:
    """A skeleton of a record, compiled."""
    return Pattern.of(skeleton)
