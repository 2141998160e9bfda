"""How many answers are no labels, and why, in words."""

from __future__ import annotations

from collections.abc import Mapping

from jitr.schemas.labels import NoLabel


def told(counts: Mapping[str, int]) -> str:
    """The reasons with their counts, the most frequent first.

    Examples
    --------
    >>> told({"empty": 3, "cut_short": 1200})
    '1,200 cut short by a limit or a stop sequence, 3 without text'
    """
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{n:,} {NoLabel(why).said}" for why, n in ranked)
