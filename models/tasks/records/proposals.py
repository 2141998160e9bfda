"""Proposes tasks that may be one in other words, by the meaning of their templates; people decide."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jitr.models.tasks.matching.pattern import Pattern
from jitr.models.tasks.matching.text import WORD
from jitr.schemas.tasks import Task

Encode = Callable[[Sequence[str]], NDArray[np.float32]]

# of the 43 pairs of T0 templates that get the same completions on one data set 13 are as alike as this, and
# none of the 12 that do not; at 0.65 they are 20 and 2, at 0.5 they are 31 and 8 (all-MiniLM-L6-v2, int8)
LEAST = 0.70
_BLANK = " ... "
_FEW = 3


@dataclass(frozen=True, slots=True)
class Proposal:
    """Two tasks that may be one.

    Parameters
    ----------
    into, other : str
        Ids; the one with more calls first.
    likeness : float
        Cosine of the two templates' vectors, -1 to 1.
    shared_labels : float
        Share of the smaller label set that both have, 0 to 1; 1 where answers are not closed.
    """

    into: str
    other: str
    likeness: float
    shared_labels: float


def propose(tasks: Iterable[Task], encode: Encode, least: float = LEAST) -> list[Proposal]:
    """Pairs of tasks whose instructions say the same in other words; most alike first.

    Only the constant words are embedded, never a slot value: embeddings of whole prompts are near where the
    slot value is about the same, whatever is asked. A pair has one signature, one kind of answer and, where
    answers are closed, at least half of its labels in common. Opposite questions are nearer in meaning than
    paraphrases are, so a pair that differs in a word or two put in others' places is none (`opposed`). It is
    a proposal: what merges is a person's word (`jitr.models.tasks.records.curation.merge`).

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
    >>> from jitr.schemas.tasks import Signature, Template
    >>> asks = [("a", "Sum up:"), ("b", "Give the gist of it:"), ("c", "Translate:")]
    >>> a, b, c = (Task(id=id, tenant="acme", status="task", templates=(Template(prefix=prefix),),
    ...                 signature=Signature(model="m", shape="user")) for id, prefix in asks)
    >>> def meaning(texts):
    ...     return np.array([[1, 0] if t[0] in "SG" else [0, 1] for t in texts], dtype=np.float32)
    >>> [(p.into, p.other) for p in propose([a, b, c], meaning)]
    [('a', 'b')]
    """
    held = [t for t in tasks if t.status == "task" and t.templates and t.caller_name is None]
    held.sort(key=lambda t: (-t.calls, t.id))
    if len(held) < 2:
        return []
    said = [instruction(t) for t in held]
    rows = encode(said)
    alike = rows @ rows.T
    out = []
    for i, j in np.argwhere(np.triu(alike >= least, 1)).tolist():
        one, two = held[i], held[j]
        if (one.tenant, one.signature, one.kind) != (two.tenant, two.signature, two.kind):
            continue
        shared = shared_labels(one, two)
        if shared >= 0.5 and not opposed(said[i], said[j]):
            out.append(Proposal(one.id, two.id, float(alike[i, j]), shared))
    return sorted(out, key=lambda p: (-p.likeness, p.into, p.other))


def opposed(first: str, second: str) -> bool:
    """Whether two instructions are the same but for words put in others' places, or for their order.

    "Positive" for "negative", "cause" for "effect", "from A to B" for "from B to A": such pairs ask different
    things, however near their vectors are.

    Examples
    --------
    >>> opposed("Name the cause of it:", "Name the effect of it:"), opposed("Sum up:", "Give the gist of it:")
    (True, False)
    """
    a, b = WORD.findall(first.lower()), WORD.findall(second.lower())
    only_a, only_b = Counter(a) - Counter(b), Counter(b) - Counter(a)
    if not only_a and not only_b:
        return a != b
    return bool(only_a) and bool(only_b) and len(only_a) + len(only_b) <= _FEW


def instruction(task: Task) -> str:
    """The constant words of a task's current template, its slots as dots."""
    first = task.templates[0]
    shown = Pattern.of(first).show()
    return " ".join(shown.replace("{...}", _BLANK).split())


def shared_labels(one: Task, two: Task) -> float:
    """How much of the smaller label set two tasks share; 1 where one of them has none."""
    a, b = set(one.labels), set(two.labels)
    return len(a & b) / min(len(a), len(b)) if a and b else 1.0
