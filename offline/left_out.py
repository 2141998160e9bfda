"""Calls that teach nothing, or that only the LLM answers: how many, and why, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from jitr.schemas.checks import SAID
from jitr.schemas.labels import NoLabel

_REASONS: Final = 5


def no_labels(counts: Mapping[str, int]) -> str:
    """Why answers are no labels, the most frequent reason first.

    Examples
    --------
    >>> no_labels({"empty": 3, "cut_short": 1200})
    '1,200 cut short by a limit or a stop sequence, 3 without text'
    """
    return ", ".join(f"{n:,} {NoLabel(why).said}" for why, n in _ranked(counts))


def only_llm(counts: Mapping[str, int]) -> str:
    """Why only the LLM answers calls, the most frequent reason first.

    Examples
    --------
    >>> only_llm({"choices": 400})
    'more than one answer asked for (`choices`, 400)'
    """
    ranked = _ranked(counts)
    words = [f"{SAID.get(why.split()[0], why)} (`{why}`, {calls:,})" for why, calls in ranked[:_REASONS]]
    return "; ".join([*words, "..."] if len(ranked) > _REASONS else words)


def _ranked(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
