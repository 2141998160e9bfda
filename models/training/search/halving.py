"""Choosing among many encoders before any of them is trained in full: little data first, all for the best.

The schedule is successive halving with a memory: a candidate's place is by the mean of its last proxies, and
whoever is not clearly worse than the last that stays (within one standard error of a difference) stays too.
What was known before orders the candidates and decides ties: a warm start, never a verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Score = Callable[[str, int], tuple[float, float]]


@dataclass(frozen=True)
class Chosen:
    """Who won, what it took, and every proxy score: candidate, labels, score."""

    winner: str
    seconds: float
    scores: tuple[tuple[str, int, float], ...]


def choose(
    names: Sequence[str],
    score: Score,
    *,
    rounds: Sequence[int] = (250, 500),
    keep: float = 0.3,
    prior: Mapping[str, float] | None = None,
    most_s: float = float("inf"),
) -> Chosen:
    """Pick the encoder that is worth a full training.

    Parameters
    ----------
    names : sequence of str
    score : callable
        Name and labels in; proxy score in [0, 1] and seconds out. It may run while labels still come.
    rounds : sequence of int
        Labels of each round, ascending.
    keep : float
        Share that goes on after each round, at least one.
    prior : mapping of str to float, optional
        What was known before, for ties: scores on earlier tasks, or `logme` on the first rows.
    most_s : float
        A round that would take more in all, by the seconds of the one before, is not begun; the first always.

    Examples
    --------
    >>> found = choose(["a", "b", "c"], lambda name, n: ({"a": 0.6, "b": 0.9, "c": 0.5}[name], n / 100))
    >>> found.winner, found.seconds
    ('b', 7.5)
    """
    if not names:
        raise ValueError("there is nothing to choose from; give at least one encoder")
    prior = prior or {}
    standing = sorted(names, key=lambda name: (-prior.get(name, 0.0), names.index(name)))
    seen: list[tuple[str, int, float]] = []
    seconds = 0.0
    need = 0.0  # seconds, of one candidate and label
    for labels in rounds:
        if len(standing) == 1 or seconds + need * labels * len(standing) > most_s:
            break
        found: dict[str, float] = {}
        before = seconds
        for name in standing:
            found[name], took = score(name, labels)
            seconds += took
            seen.append((name, labels, found[name]))
        need = (seconds - before) / len(standing) / labels
        ranked = sorted(standing, key=lambda name: (-found[name], -prior.get(name, 0.0)))
        last = found[ranked[max(1, round(keep * len(ranked))) - 1]]
        error = (2 * last * (1 - last) / labels) ** 0.5
        standing = [name for name in ranked if found[name] >= last - error] or ranked[:1]
        if labels == rounds[-1]:
            standing = ranked[:1]
    return Chosen(standing[0], seconds, tuple(seen))
