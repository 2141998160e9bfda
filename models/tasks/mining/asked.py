"""Compares answers: whether a question is closed, and whether two questions are one."""

from collections import Counter
from collections.abc import Sequence

from jitr.models.tasks.mining.window import Entry

_FEW, _FEWEST = 6, 12
_LABELS = 3  # two prompts with two labels may well be opposites: yes and no answer anything


def closed(members: Sequence[Entry]) -> bool:
    """Whether the answers to these prompts are few and keep coming back: then one thing is asked of them.

    Examples
    --------
    >>> closed([Entry(i, f"Is {i} even?", (), ["yes", "no"][i % 2], 0.0) for i in range(8)])
    True
    """
    answers = [e.answer for e in members if e.answer is not None]
    n = len(answers)
    if n < _FEW or n < 0.9 * len(members):
        return False
    counts = Counter(answers)
    again = sum([c for c in counts.values() if c > 1])
    return again >= 0.8 * n and len(counts) <= max(3, n // 3)


def same_labels(first: Sequence[Entry], second: Sequence[Entry]) -> bool:
    """Whether two groups of prompts get the same labels, equally often: their difference changes no answer.

    With two labels or fewer this is never said: "is it positive?" and "is it negative?" share yes and no.
    """
    a, b = _labels(first), _labels(second)
    if a is None or b is None or len(a.keys() & b.keys()) < _LABELS:
        return False
    return _distance(a, b) <= 0.35


def other_labels(first: Sequence[Entry], second: Sequence[Entry]) -> bool:
    """Whether two groups of prompts get labels of different sets: they ask different things."""
    a, b = _labels(first), _labels(second)
    return a is not None and b is not None and _distance(a, b) >= 0.8


def _labels(members: Sequence[Entry]) -> Counter[str] | None:
    if len(members) < _FEWEST or not closed(members):
        return None
    return Counter([e.answer for e in members if e.answer is not None])


def _distance(a: Counter[str], b: Counter[str]) -> float:
    """Total variation between two counts, 0 to 1."""
    n, m = a.total(), b.total()
    return sum([abs(a[k] / n - b[k] / m) for k in a.keys() | b.keys()]) / 2
