"""A person's word on tasks: two are one, or one is two; each undoes the other."""

import msgspec

from jitr.models.tasks.signature import digest
from jitr.models.tasks.skeleton import Pattern
from jitr.schemas.errors import ConfigError
from jitr.schemas.tasks import Skeleton, Task


def merge(into: Task, other: Task) -> tuple[Task, Task]:
    """Let a task go on in another: the records of both afterwards.

    The other keeps its skeletons and its name in its record, so that `split` can bring it back as it was.

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
    >>> into, back = split(into, gone.skeletons[0], gone)
    >>> [s.prefix for s in into.skeletons], back.id, back.status
    (['Sum up:'], 'b', 'task')
    """
    if into.id == other.id:
        raise ConfigError(f"task {into.id} was given twice; name two tasks")
    for task in (into, other):
        if task.status != "task":
            raise ConfigError(f"{task.id} is {task.status}, and only tasks can be merged; see `jitr tasks`")
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


def split(task: Task, skeleton: Skeleton, back: Task | None = None) -> tuple[Task, Task]:
    """Let a skeleton of a task, or a narrower one, be a task of its own: the records of both afterwards.

    Parameters
    ----------
    task : Task
        The task it is taken from.
    skeleton : Skeleton
        One of the task's skeletons where it has several, or one that says more than the task's own
        (`narrowed` makes it from the text of a slot).
    back : Task, optional
        The record of a task that was merged into this one, to bring it back with its id.

    Raises
    ------
    ConfigError
        If the task would have no skeleton left, or `back` was not merged into it.
    """
    if back is not None and back.merged_into != task.id:
        raise ConfigError(f"{back.id} was not merged into {task.id}, so it cannot come back out of it")
    rest = tuple([s for s in task.skeletons if s != skeleton])
    if not rest:
        raise ConfigError(f"{task.id} has no other skeleton; give one that says more than its own")
    if back is not None:
        own = msgspec.structs.replace(
            back, status="task", merged_into=None, skeletons=(skeleton,), version=back.version + 1
        )
    else:
        words = " ".join([skeleton.prefix, *skeleton.inner, skeleton.suffix])
        own = msgspec.structs.replace(
            task,
            id="t" + digest(task.tenant, task.id, words),
            name=f"{task.name}-part",
            skeletons=(skeleton,),
            version=1,
            calls=0,
            examples=(),
        )
    return msgspec.structs.replace(task, skeletons=rest, version=task.version + 1), own


def narrowed(skeleton: Skeleton, slot: int, text: str) -> Skeleton:
    """A skeleton with one of its slots filled for good.

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
    """
    runs = [skeleton.prefix, *skeleton.inner, skeleton.suffix]
    if not 0 <= slot < len(runs) - 1:
        raise ConfigError(f"slot {slot} was given, and the skeleton has slots 0 to {len(runs) - 2}")
    runs[slot : slot + 2] = [runs[slot] + text + runs[slot + 1]]
    if len(runs) == 1:
        raise ConfigError("with its only slot filled the skeleton would be one prompt; give a part of it")
    return Skeleton(prefix=runs[0], inner=tuple(runs[1:-1]), suffix=runs[-1])


def pattern_of(skeleton: Skeleton) -> Pattern:
    """A skeleton of a record, compiled."""
    return Pattern(skeleton.prefix, skeleton.inner, skeleton.suffix)
