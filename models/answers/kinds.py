"""Tells what kind of answers a task gets: one label or several, numbers, spans, objects or free text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from jitr.models.answers.lists import members_of, parts_of, set_of
from jitr.models.answers.numbers import quantity_of
from jitr.schemas.tasks import OutputKind

MOST_LABELS = 300
FEW_NUMBERS = 12
_SHARE = 0.9
_SEVERAL = 0.1
_KNOWN = 0.95


class LabelState(msgspec.Struct):
    """What a label space has counted; plain data, so that it can be saved."""

    seen: int = 0
    objects: int = 0
    numbers: int = 0
    spans: int = 0
    lists: int = 0
    answers: dict[str, dict[str, int]] = {}
    overflow: int = 0


def counts_of(state: LabelState) -> Counter[str]:
    """How often each normal form came."""
    return Counter({label: sum(texts.values()) for label, texts in state.answers.items()})


def kind_of(state: LabelState) -> OutputKind:
    """The kind of the answers, as far as those seen tell."""
    if not state.seen:
        return "text"
    if state.objects >= _SHARE * state.seen:
        return "json"
    if state.lists >= _SEVERAL * state.seen and members(state):
        return "labels"
    counts = counts_of(state)
    if state.numbers >= _SHARE * state.seen and len(counts) > FEW_NUMBERS:
        return "number"
    least = least_of(state.seen)
    recurring = [n for n in counts.values() if n >= least]
    covered = sum(recurring)
    few = len(recurring) <= MOST_LABELS
    if few and covered >= 0.8 * state.seen:
        return "label"
    if state.spans >= 0.8 * state.seen:
        return "spans"
    # many classes recur late, but short answers that meet at all say how many there may be: n answers make
    # n (n - 1) / 2 pairs, and one pair in as many as there are classes is alike (the birthday problem)
    short = sum([n for label, n in counts.items() if len(label) <= 60 and label.count(" ") < 6])
    alike = sum([n * (n - 1) for n in counts.values()])
    if (
        short >= _SHARE * state.seen
        and state.seen * (state.seen - 1) <= MOST_LABELS * alike
        and covered >= min(0.7, state.seen / 400) * state.seen
    ):
        return "label"
    return "text"


def least_of(seen: int) -> int:
    """How often an answer must recur to be a label: twice, and once in a thousand."""
    return max(2, seen // 1000)


def members(state: LabelState) -> Counter[str]:
    """The labels that answers list, and how often each came; empty where the answers are no sets of labels.

    They are sets where nearly all that is listed recurs, and is put together in more ways than there are
    labels: names with a comma inside ("card, lost") are not.
    """
    found: Counter[str] = Counter()
    sets: set[str] = set()
    listed = 0
    for texts in state.answers.values():
        for text, n in texts.items():
            held = set_of(text)
            names = members_of(held) if held is not None else None
            if held is not None and names is not None:
                listed += n
                sets.add(held)
                found.update(dict.fromkeys(names, n))
    least = least_of(state.seen)
    known = Counter({name: n for name, n in found.items() if n >= least})
    closed = known.total() >= _KNOWN * found.total() and len(known) <= MOST_LABELS
    return known if listed >= _SHARE * state.seen and closed and len(sets) > len(known) else Counter()


def lists_several(answer: str) -> bool:
    """Whether an answer lists labels: a JSON list, or several with something between them."""
    if answer[:1] != "[" and not any(c in answer for c in ",;|\n"):
        return False
    parts = parts_of(answer)
    return parts is not None and (len(parts) > 1 or answer[:1] == "[")


def are_numbers(labels: Sequence[str]) -> bool:
    """Whether nearly all of these labels are numbers.

    Examples
    --------
    >>> are_numbers(["4/5", "3/5"]), are_numbers(["4", "four"]), are_numbers([])
    (True, False, False)
    """
    found = sum(quantity_of(label) is not None for label in labels)
    return bool(labels) and found >= _SHARE * len(labels)


def in_kind(label: str, kind: OutputKind) -> str | None:
    """A label in the normal form of a kind, or None where it is nothing of that kind.

    What kind of answers a task gets shows with time: labels that were kept before are read again by this.

    Examples
    --------
    >>> in_kind("$12.50", "number"), in_kind("b, a", "labels"), in_kind("B", "label"), in_kind("x", "number")
    ('12.5', '["a","b"]', 'B', None)
    """
    if kind == "number":
        found = quantity_of(label)
        return found.number if found is not None else None
    return set_of(label) if kind == "labels" else label
