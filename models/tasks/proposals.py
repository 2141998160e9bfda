"""Which tasks may be one in other words: by the meaning of their skeletons, shown to people."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jitr.models.tasks.skeleton import Pattern
from jitr.schemas.tasks import Task

Encode = Callable[[Sequence[str]], NDArray[np.float32]]

LEAST = 0.75
_BLANK = " ... "


@dataclass(frozen=True, slots=True)
class Proposal:
    """Two tasks that may be one.

    Parameters
    ----------
    into, other : str
        Ids; the one with more calls first.
    likeness : float
        Cosine of the two skeletons' vectors, -1 to 1.
    shared_labels : float
        Share of the smaller label set that both have, 0 to 1; 1 where answers are not closed.
    """

    into: str
    other: str
    likeness: float
    shared_labels: float


def propose(tasks: Iterable[Task], encode: Encode, least: float = LEAST) -> list[Proposal]:
    """Pairs of tasks whose instructions say the same in other words; most alike first.

    Only the constant words are embedded, never a payload: embeddings of whole prompts are near where the
    payload is about the same, whatever is asked. A pair has one signature, one kind of answer and, where
    answers are closed, at least half of its labels in common. It is a proposal: what merges is a person's
    word (`jitr.models.tasks.curation.merge`).

    Parameters
    ----------
    tasks : iterable of Task
        Records; only tasks are looked at.
    encode : callable
        From texts to rows of norm 1, such as ``OnnxEncoder.encode``.
    least : float
        Smallest cosine that is worth a look.

    Examples
    --------
    >>> from jitr.schemas.tasks import Signature, Skeleton
    >>> a, b, c = (Task(id=id, tenant="acme", status="task", skeletons=(Skeleton(prefix=prefix),),
    ...                 signature=Signature(model="m", shape="user"))
    ...            for id, prefix in [("a", "Sum this up:"), ("b", "Sum up this:"), ("c", "Translate:")])
    >>> def letters(texts):
    ...     rows = np.array([[t.count(x) for x in "Sumthisanle"] for t in texts], dtype=np.float32)
    ...     return rows / np.linalg.norm(rows, axis=1, keepdims=True)
    >>> [(p.into, p.other) for p in propose([a, b, c], letters, least=0.95)]
    [('a', 'b')]
    """
    held = [t for t in tasks if t.status == "task" and t.skeletons and t.caller_name is None]
    held.sort(key=lambda t: (-t.calls, t.id))
    if len(held) < 2:
        return []
    rows = encode([instruction(t) for t in held])
    alike = rows @ rows.T
    out = []
    for i, j in np.argwhere(np.triu(alike >= least, 1)):
        one, two = held[int(i)], held[int(j)]
        if (one.tenant, one.signature, one.kind) != (two.tenant, two.signature, two.kind):
            continue
        shared = shared_labels(one, two)
        if shared >= 0.5:
            out.append(Proposal(one.id, two.id, float(alike[i, j]), shared))
    return sorted(out, key=lambda p: (-p.likeness, p.into, p.other))


def instruction(task: Task) -> str:
    """The constant words of a task's current skeleton, its slots as dots."""
    first = task.skeletons[0]
    shown = Pattern(first.prefix, first.inner, first.suffix).show()
    return " ".join(shown.replace("{...}", _BLANK).split())


def shared_labels(one: Task, two: Task) -> float:
    """How much of the smaller label set two tasks share; 1 where one of them has none."""
    a, b = set(one.labels), set(two.labels)
    return len(a & b) / min(len(a), len(b)) if a and b else 1.0
