"""Recognises a new task as an old one whose prompt was edited."""

from collections import Counter
from collections.abc import Iterable
from difflib import SequenceMatcher

from jitr.models.tasks.matching.pattern import Pattern
from jitr.models.tasks.matching.text import WORD
from jitr.models.tasks.records.task_record import TaskCandidate

_ALIKE = 0.7
_MISSED = 3.0
_MOST_WORDS = 600
_FEWEST_WORDS = 4
_SPELLING = 0.8


def likeness(first: Pattern, second: Pattern) -> float:
    """How much of two templates is the same words in the same order, 0 to 1 (Ratcliff and Obershelp, 1988).

    It is 0 where all that differs are words put in others' places, as "positive" and "negative": opposite
    questions are never one.

    Examples
    --------
    >>> old = Pattern("Is the review below positive or negative?", (), "")
    >>> round(likeness(old, Pattern("Is the movie review below positive or negative?", (), "")), 2)
    0.93
    >>> likeness(old, Pattern("Is the review below serious or funny?", (), ""))
    0.0
    """
    a = WORD.findall(" ".join(first.runs).lower())[:_MOST_WORDS]
    b = WORD.findall(" ".join(second.runs).lower())[:_MOST_WORDS]
    if min(len(a), len(b)) < _FEWEST_WORDS:
        return 0.0
    if 2 * (Counter(a) & Counter(b)).total() < _ALIKE * (len(a) + len(b)):
        return 0.0  # as for nearly all pairs
    matcher = SequenceMatcher(None, a, b, autojunk=False)
    changes = [change for change in matcher.get_opcodes() if change[0] != "equal"]
    if changes and all(_swaps(kind, a[i:j], b[k:n]) for kind, i, j, k, n in changes):
        return 0.0
    return matcher.ratio()


def _swaps(kind: str, before: list[str], after: list[str]) -> bool:
    """Whether a word was put in another's place, which may ask the opposite; a corrected spelling is none."""
    if kind != "replace" or len(before) != len(after) or len(before) > 2:
        return False
    return any(
        old.endswith(new) or new.endswith(old) or SequenceMatcher(None, old, new).ratio() < _SPELLING
        for old, new in zip(before, after, strict=True)
    )


def predecessor(
    candidate: TaskCandidate,
    pattern: Pattern,
    others: Iterable[tuple[int, TaskCandidate, Pattern]],
    now: float,
) -> int | None:
    """The number of the task that a new one is an edit of, or None.

    Its words are mostly the same; it has gone quiet, for longer than its rate explains, since the new one
    came; and the answers are of the same kind, with the same labels where they are closed. Two tasks that run
    side by side are never one, however alike they are.

    Parameters
    ----------
    candidate : TaskCandidate
        The new candidate.
    pattern : Pattern
        Its template.
    others : iterable of (int, TaskCandidate, Pattern)
        The tasks of the same signature.
    now : float
        Event time of the newest call, seconds since the epoch.
    """
    best: tuple[float, int] | None = None
    for id, other, known in others:
        if other is candidate or other.task is None or other.last_seen >= candidate.first_seen:
            continue
        span = other.last_seen - other.first_seen
        # at its own rate it would have been seen this often since
        if span <= 0 or other.count * (now - other.last_seen) < _MISSED * span:
            continue
        if not _same_answers(candidate, other):
            continue
        found = likeness(pattern, known)
        if found >= _ALIKE and (best is None or (found, -id) > (best[0], -best[1])):
            best = (found, id)
    return best[1] if best else None


def _same_answers(candidate: TaskCandidate, other: TaskCandidate) -> bool:
    if not candidate.labels.state.seen or not other.labels.state.seen:
        return False
    if candidate.labels.kind != other.labels.kind:
        return False
    mine, theirs = set(candidate.labels.labels), set(other.labels.labels)
    return len(mine & theirs) >= 0.5 * min(len(mine), len(theirs))
