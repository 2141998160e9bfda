"""What speaks against a draft: runs that are pieces of a payload, or two templates in one."""

from collections import Counter
from collections.abc import Sequence

from jitr.models.tasks.build import Draft
from jitr.models.tasks.evidence import terse
from jitr.models.tasks.items import is_word
from jitr.models.tasks.skeleton import Pattern
from jitr.models.tasks.text import CUT, HEAD, TAIL, weight

_NOTHING = " \n" + CUT


def same_payload(draft: Draft) -> bool:
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
    """Whether an open side of a run has nearly always the same neighbours: then the run is a piece of a
    payload. Where a text was cut on that side, the run may end for that; in a split of a known skeleton that
    is no excuse.
    """
    pattern = draft.pattern
    limit = max(3.0, min(0.5 * len(draft.texts), 10.0))
    last = len(draft.places) - 1
    for j, (begin, end) in enumerate(draft.places):
        big = weight(pattern.inner[j]) > 20
        if big or (not pattern.prefix and j == 0):
            before = draft.places[j - 1][1] if j else [len(pattern.prefix)] * len(begin)
            left = [
                t[max(0, a - 12) : a]
                for t, a, b in zip(draft.texts, begin, before, strict=True)
                if t[b:a].strip(_NOTHING)
            ]
            cut = not splitting and any(CUT in t[:a] for t, a in zip(draft.texts, begin, strict=True))
            if not cut and _few(left, limit):
                return True
        if big or (not pattern.suffix and j == last):
            right = [t[b : b + 12] for t, b in zip(draft.texts, end, strict=True)]
            cut = not splitting and any(CUT in t[b:] for t, b in zip(draft.texts, end, strict=True))
            if not cut and _few(right, limit):
                return True
    return False


def _few(neighbours: Sequence[str], limit: float) -> bool:
    """Whether there are neighbours, and few different ones; where a text was cut there is none."""
    known = {n for n in neighbours if CUT not in n}
    return bool(known) and len(known) < limit


def repeated_items(draft: Draft) -> dict[str, int]:
    """Items that two members or more hold and not all: what a second template in the group would show."""
    common = set(draft.common)
    counts: Counter[str] = Counter()
    for member in draft.members:
        counts.update(member.items)
    # a template in the pot is a good part of it; what a few of many share is payload
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
