"""What kind of answers a task gets: labels, numbers, spans, objects or free text."""

from __future__ import annotations

from collections import Counter

import msgspec

from jitr.schemas.tasks import OutputKind

MOST_LABELS = 300
_SHARE = 0.9


class LabelState(msgspec.Struct):
    """What a label space has counted; plain data, so that it can be saved."""

    seen: int = 0
    objects: int = 0
    numbers: int = 0
    spans: int = 0
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
    counts = counts_of(state)
    least = least_of(state.seen)
    recurring = [n for n in counts.values() if n >= least]
    covered = sum(recurring)
    few = len(recurring) <= MOST_LABELS
    if few and covered >= 0.8 * state.seen:
        return "label"
    if state.numbers >= _SHARE * state.seen:
        return "number"
    if state.spans >= 0.8 * state.seen:
        return "spans"
    # many classes recur late, but short answers that meet at all say how many there may be: n answers
    # make
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
