"""Tests a draft for signs that its runs are pieces of a slot value, or that it mixes two templates."""

from collections import Counter
from collections.abc import Sequence

from jitr.models.tasks.matching.pattern import Pattern
from jitr.models.tasks.matching.text import CUT, HEAD, TAIL, weight
from jitr.models.tasks.mining.draft import Draft
from jitr.models.tasks.mining.items import is_word
from jitr.models.tasks.mining.support import terse
from jitr.models.tasks.mining.window import FEWEST

_NOTHING = " \n" + CUT


def same_slot_values(draft: Draft) -> bool:
    """Whether what is left between the runs hardly differs: then the runs are not what recurs."""
    n = len(draft.texts)
    return len({draft.pattern.slots(t) for t in draft.texts}) < max(4, 0.5 * n)


def stands_at_an_end(draft: Draft) -> bool:
    """Whether an inner run stands at the very start or end of more than 10% of the texts: two templates in
    one.
    """
    if not draft.places:
        return False
    n = len(draft.texts)
    first, last = draft.places[0][0], draft.places[-1][1]
    if not draft.pattern.prefix and sum([a == 0 for a in first]) > 0.1 * n:
        return True
    return not draft.pattern.suffix and (
        sum([b == len(t) for b, t in zip(last, draft.texts, strict=True)]) > 0.1 * n
    )


def few_neighbours(draft: Draft, *, splitting: bool = False) -> bool:
    """Whether an open side of a run has nearly always the same neighbours: it is a piece of a slot value.

    Texts that were cut on that side are not asked, and none is where the run goes on to a cut; in a split of
    a known template that is no excuse.
    """
    pattern = draft.pattern
    last = len(draft.places) - 1
    for j, (begin, end) in enumerate(draft.places):
        big = weight(pattern.inner[j]) > 20
        if big or (not pattern.prefix and j == 0):
            before = draft.places[j - 1][1] if j else [len(pattern.prefix)] * len(begin)
            sides = [t[:a] for t, a in zip(draft.texts, begin, strict=True)]
            asked = _asked([side[::-1] for side in sides], splitting)
            left = [sides[i][-12:] for i in asked if sides[i][before[i] :].strip(_NOTHING)]
            if _few(left, len(asked)):
                return True
        if big or (not pattern.suffix and j == last):
            sides = [t[b:] for t, b in zip(draft.texts, end, strict=True)]
            asked = _asked(sides, splitting)
            if _few([sides[i][:12] for i in asked], len(asked)):
                return True
    return False


def _asked(sides: Sequence[str], splitting: bool) -> list[int]:
    """Which texts say why a run ends, given what stands beside it, from the run outwards."""
    whole = [i for i, side in enumerate(sides) if splitting or CUT not in side]
    if len(whole) == len(sides):
        return whole
    if len(whole) < FEWEST:
        return []
    # all others go on as a text does up to its cut: but for that the run would go on too
    for side in sides:
        kept, cut, _ = side.partition(CUT)
        if cut and all(sides[i].startswith(kept) for i in whole):
            return []
    return whole


def _few(neighbours: Sequence[str], asked: int) -> bool:
    """Whether there are neighbours in the texts asked, and few different ones; a cut is none."""
    known = {text for text in neighbours if CUT not in text}
    return bool(known) and len(known) < max(3.0, min(0.5 * asked, 10.0))


def repeated_items(draft: Draft) -> dict[str, int]:
    """Items that two members or more hold and not all: what a second template in the group would show."""
    common = set(draft.common)
    counts: Counter[str] = Counter()
    for member in draft.members:
        counts.update(member.items)
    # a second template makes up a good part of the group; what a few of many share is a slot value
    least = max(2, int((0.15 if terse(draft.members) else 0.08) * len(draft.members)))
    return {item: n for item, n in counts.items() if n >= least and item not in common}


def telling(item: str, pattern: Pattern) -> bool:
    """Whether an item could be a constant of a second template: an anchor where there is none, or three
    words.
    """
    if item[0] in (HEAD, TAIL):
        known = pattern.prefix if item[0] == HEAD else pattern.suffix
        return not known and weight(item) >= 1 and not is_word(item)
    return weight(item) >= 3 and not any(item in run for run in pattern.runs)
