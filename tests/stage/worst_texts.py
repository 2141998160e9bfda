"""Hostile texts for a pattern: its own beginnings repeated, near misses, what it may read for long."""

from __future__ import annotations

import re
import string
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

_PARSER: Any = re._parser  # type: ignore[attr-defined]
LEAD = "\x1f"  # in a unit: what stands before it comes once
_WIDE = string.ascii_letters + string.digits + " \n\t.,:;-_/+=*@#$%&()[]{}<>'\"`|\\!?~^" + "\xa0é中。"


def units(pattern: str, flags: int = 0) -> list[str]:
    """Short strings whose repetition is likely to keep a pattern busy.

    Every prefix of an example of it (so that the match begins and cannot end), and the characters that it
    repeats.
    """
    tree = _PARSER.parse(pattern, flags)
    whole = _example(tree)
    found = {whole[:n] for n in range(1, len(whole) + 1)} | {whole[n:] for n in range(len(whole))}
    repeated = set(_repeated(tree))
    found |= repeated | {a + b for a in repeated for b in repeated} | {whole + r for r in repeated}
    found |= {whole[:n] + r for n in range(1, len(whole), 3) for r in repeated}
    led = {whole[:n] + LEAD + r for n in {len(whole) // 2, len(whole)} for r in repeated}
    return sorted(u for u in found | led if u.rpartition(LEAD)[2])


def _example(tree: Any) -> str:
    return "".join(map(_one, tree))


def _one(node: Any) -> str:
    kind, value = str(node[0]), node[1]
    if kind == "LITERAL":
        return chr(value)
    if kind == "NOT_LITERAL":
        return "b" if value == ord("a") else "a"
    if kind == "ANY":
        return "a"
    if kind == "IN":
        return _member(node)
    if kind in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
        least, _, inner = value
        return _example(inner) * max(1, min(int(least), 20))
    if kind == "SUBPATTERN":
        return _example(value[-1])
    if kind == "ATOMIC_GROUP":
        return _example(value)
    if kind == "BRANCH":
        return max((_example(branch) for branch in value[1]), key=len)
    return ""


def _member(node: Any) -> str:
    """A character of a set."""
    state = _PARSER.State()
    state.str = ""
    accepts = re._compiler.compile(_PARSER.SubPattern(state, [node])).match  # type: ignore[attr-defined]
    return next((c for c in _WIDE if accepts(c)), "a")


def _repeated(tree: Any) -> Iterator[str]:
    for node in tree:
        kind, value = str(node[0]), node[1]
        if kind in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            yield _example(value[2])
            yield from _repeated(value[2])
        elif kind == "SUBPATTERN":
            yield from _repeated(value[-1])
        elif kind == "BRANCH":
            for branch in value[1]:
                yield from _repeated(branch)


def superlinear(work: Callable[[str], object], units: Iterable[str], n: int = 4_000) -> Iterator[str]:
    """Units of which four times as much takes far more than four times as long, as they are found.

    A quadratic step would give 16. CPU time; what looks slow is measured again, the least time counts.
    """
    for unit in units:
        if all(_took(work, unit, 4 * n) > 9 * (_took(work, unit, n) + 0.000_25) for _ in range(4)):
            yield unit


def _took(work: Callable[[str], object], unit: str, n: int) -> float:
    # what begins like a match, goes on for long, and ends as no match does
    lead, _, unit = unit.rpartition(LEAD)
    text = lead + (unit * (n // len(unit) + 1))[:n] + "\0"
    times = []
    for _ in range(2):
        before = time.thread_time()
        work(text)
        times.append(time.thread_time() - before)
        if times[0] < 0.000_5:
            break
    return min(times)
