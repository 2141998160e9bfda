"""Drafts the template that a group of prompts shares."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from jitr.models.tasks.matching.pattern import Pattern
from jitr.models.tasks.matching.text import ALNUM, CUT, GAP, HEAD, TAIL, WORD, weight
from jitr.models.tasks.mining.edges import cut_left, cut_right, trim
from jitr.models.tasks.mining.ends import common_end, common_ends, common_start, slot_start
from jitr.models.tasks.mining.window import Entry

_ENDS = HEAD + TAIL
_GAP_TEXT = 4000
_SHORT = 400
_STEP = 128


@dataclass(slots=True)
class Draft:
    """A template on trial, with the prompts it was read from.

    Parameters
    ----------
    pattern : Pattern
        The proposed template.
    members : list of Entry
        The prompts that share it.
    texts : list of str
        Their texts.
    common : list of str
        Items that the members share.
    places : list of (list of int, list of int)
        Per inner run, where it starts and ends in each text.
    """

    pattern: Pattern
    members: list[Entry]
    texts: list[str]
    common: list[str]
    places: list[tuple[list[int], list[int]]]


def tolerance(n: int) -> int:
    """How many of n members must hold an item for it to be common to them."""
    return n if n < 8 else n - 1 if n < 16 else int(n * 0.92)


def common_items(members: Sequence[Entry]) -> tuple[list[str], list[Entry]]:
    """Items that (nearly) all members hold, in order of appearance, and the members that hold them all."""
    # an item that at most n - threshold members lack is held by one of the first few
    need = tolerance(len(members))
    few = len(members) - need + 1
    seen: dict[str, None] = {}
    for member in members[:few]:
        seen.update(dict.fromkeys(member.items))
    counts = Counter(chain.from_iterable([member.items for member in members]))
    common = [item for item in seen if counts[item] >= need]
    return common, holders_of([item for item in common if counts[item] < len(members)], members)


def holders_of(items: Sequence[str], members: Sequence[Entry]) -> list[Entry]:
    """The members that hold all of some items."""
    return [e for e in members if all(item in e.items for item in items)] if items else list(members)


def draft(common: list[str], members: Sequence[Entry], fewest: int) -> Draft | None:
    """Read a template off prompts that hold the same items.

    Parameters
    ----------
    common : list of str
        Items.
    members : sequence of Entry
        Prompts that hold them all.
    fewest : int
        Give up with fewer members than this.

    Returns
    -------
    Draft or None
        None if there are too few members.
    """
    n = len(members)
    if n < fewest:
        return None
    texts = [e.text for e in members]
    prefix, suffix = common_ends(texts)
    starts = [len(prefix)] * n
    stops = [len(t) - len(suffix) for t in texts]
    inner: list[tuple[int, str]] = []
    for item in common:
        if item[0] not in _ENDS:
            at = texts[0].find(item, starts[0], stops[0])
            if at >= 0:
                inner.append((at, item))
    if weight(prefix) >= 1:
        inner += common_gaps(texts, starts, stops, inner)
    inner.sort()
    runs: list[str] = []
    places: list[tuple[list[int], list[int]]] = []
    position = starts
    for _, item in inner:
        found = [t.find(item, a, b) for t, a, b in zip(texts, position, stops, strict=True)]
        if min(found) < 0:
            continue
        run, begin, end = _widen(texts, found, len(item), position, stops)
        if run:
            runs.append(run)
            places.append((begin, end))
            position = end
    prefix = prefix[: slot_start(prefix)]
    if 0 < weight(prefix) < 1 and weight(suffix) + sum(map(weight, runs)) >= 3:
        prefix = ""  # a lone letter or number is no anchor
    # a slot may be empty: blanks before a slot are not kept, the run after it keeps its own
    if len(prefix) < max(map(len, texts)):
        prefix = prefix.rstrip()
    open_end = bool(runs) and any(b < len(t) for b, t in zip(places[-1][1], texts, strict=True))
    runs = [r.rstrip() if suffix or j < len(runs) - 1 or open_end else r for j, r in enumerate(runs)]
    return Draft(Pattern(prefix, tuple(runs), suffix), list(members), texts, common, places)


def _widen(
    texts: list[str], found: list[int], size: int, position: list[int], stops: list[int]
) -> tuple[str, list[int], list[int]]:
    """Extend a run both ways while all texts agree, then cut it at word edges."""
    ends = [at + size for at in found]
    low = high = 0
    while True:
        step = len(
            common_end(
                [
                    t[max(a, at - low - _STEP) : at - low]
                    for t, at, a in zip(texts, found, position, strict=True)
                ]
            )
        )
        low += step
        if step < _STEP:
            break
    while True:
        ahead = [t[e + high : min(b, e + high + _STEP)] for t, e, b in zip(texts, ends, stops, strict=True)]
        step = len(common_start(ahead))
        high += step
        if step < _STEP:
            break
    begin = [at - low for at in found]
    end = [e + high for e in ends]
    whole = texts[0][begin[0] : end[0]]
    if CUT in whole:
        return "", begin, end
    left = cut_left(whole, texts, begin)
    begin = [b + len(whole) - len(left) for b in begin]
    run = cut_right(left, texts, end)
    end = [e - (len(left) - len(run)) for e in end]
    if not ALNUM.search(run):
        return "", begin, end
    trimmed = trim(run)
    return trimmed, [b + len(run) - len(trimmed) for b in begin], end


def common_gaps(
    texts: list[str], starts: list[int], stops: list[int], inner: Sequence[tuple[int, str]] = ()
) -> list[tuple[int, str]]:
    """Words in a row that all hold between the ends though they are no clause: what follows a slot in mid
    sentence.
    """
    shortest = min(range(len(texts)), key=lambda i: (stops[i] - starts[i], i))
    body = texts[shortest][starts[shortest] : stops[shortest]]
    if len(body) > _GAP_TEXT:
        return []
    rest = [t[a:b] for t, a, b in zip(texts, starts, stops, strict=True)]
    known = GAP.join([item for _, item in inner])
    sizes = (3, 2, 1) if len(body) < _SHORT else (3,)
    rest.sort(key=len)  # the short ones say soonest that they lack a run
    others = rest[1:]
    words = [m.span() for m in WORD.finditer(body)]
    out: list[tuple[int, str]] = []
    done = 0
    other = others[0]
    for i, (begin, stop) in enumerate(words):
        if begin < done or body[begin:stop] not in other:
            continue
        for n in sizes:
            if i + n > len(words):
                continue
            end = words[i + n - 1][1]
            if n == 1:
                if body[end : end + 1] != ":":
                    continue
                end += 1
            run = body[begin:end]
            if run not in other or run in known or not all(run in r for r in others):
                continue
            if n == 2 and max(b - a for a, b in words[i : i + 2]) < 4:
                continue
            out.append((texts[0].find(run, starts[0], stops[0]), run))
            done = begin + len(run)
            break
    return out
