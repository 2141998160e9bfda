"""Examples, and the dataset made of them: one row per distinct input, and the ceiling measured."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from jitr.models.datasets.groups import near_duplicate_groups


class Example(msgspec.Struct, frozen=True):
    """One answer of the teacher: what was asked (the slots), what it said (in normal form).

    ``time`` is event time in seconds since the epoch. ``weight`` is 1/p for a call that came to the
    teacher by sampling with probability p, else 1.
    """

    call_id: str
    time: float
    input: str
    label: str
    weight: float = 1.0
    teacher: str = ""


@dataclass(frozen=True)
class Dataset:
    """Distinct inputs in order of time, with labels, weights and near-duplicate groups.

    Attributes
    ----------
    inputs, labels : tuple of str
        One per row; equal inputs are one row with the teacher's most frequent answer.
    times, weights : float64 arrays
        Event time of the first call with this input; the mean sampling weight of its calls.
    groups : int64 array
        Rows with the same number are near-duplicates and must stay on one side of every fold.
    calls : int
        Distinct calls that went in.
    conflicts : int
        Inputs that got more than one answer.
    self_agreement : float or None
        Probability that two answers to one input agree: the ceiling of any surrogate. None where no
        input was asked twice.
    repeats : int
        Calls whose input had been asked before: what ``self_agreement`` rests on.
    digest : str
        sha256 over the rows: equal data, equal digest, in whatever order it was read.
    """

    inputs: tuple[str, ...]
    labels: tuple[str, ...]
    times: NDArray[np.float64]
    weights: NDArray[np.float64]
    groups: NDArray[np.int64]
    calls: int
    conflicts: int
    self_agreement: float | None
    repeats: int
    digest: str

    def __len__(self) -> int:
        return len(self.inputs)

    @classmethod
    def from_examples(cls, examples: Iterable[Example]) -> Dataset:
        """De-duplicate by call id and by input, settle conflicts by majority, keep time order.

        Examples
        --------
        >>> rows = [Example(str(i), float(i), text, label) for i, (text, label) in enumerate(
        ...     [("hi", "yes"), ("hi ", "yes"), ("hi", "no"), ("ho", "no")])]
        >>> data = Dataset.from_examples(rows + rows[:1])
        >>> data.inputs, data.labels, data.calls, data.conflicts
        (('hi', 'ho'), ('yes', 'no'), 4, 1)
        >>> round(data.self_agreement, 3)
        0.333
        """
        by_call = {example.call_id: example for example in examples}
        by_input: dict[str, list[Example]] = defaultdict(list)
        for example in sorted(by_call.values(), key=lambda e: (e.time, e.call_id)):
            by_input[same_input(example.input)].append(example)
        rows = sorted(by_input.items(), key=lambda item: (item[1][0].time, item[1][0].call_id))
        inputs = tuple(text for text, _ in rows)
        labels = tuple(_majority(answers) for _, answers in rows)
        times = np.array([answers[0].time for _, answers in rows], dtype=np.float64)
        weights = np.array([np.mean([a.weight for a in answers]) for _, answers in rows], dtype=np.float64)
        agreement, repeats = _self_agreement([answers for _, answers in rows])
        sha = hashlib.sha256()
        for text, label, weight in sorted(zip(inputs, labels, weights.tolist(), strict=True)):
            sha.update(msgspec.json.encode((text, label, weight)))
        return cls(
            inputs=inputs,
            labels=labels,
            times=times,
            weights=weights,
            groups=near_duplicate_groups(inputs),
            calls=len(by_call),
            conflicts=sum(len({a.label for a in answers}) > 1 for _, answers in rows),
            self_agreement=agreement,
            repeats=repeats,
            digest=sha.hexdigest(),
        )

    def take(self, rows: NDArray[np.int64] | Sequence[int]) -> Dataset:
        """The same dataset, fewer rows (in the order given); counts of calls become counts of rows."""
        index = np.asarray(rows, dtype=np.int64)
        inputs = tuple(self.inputs[i] for i in index)
        labels = tuple(self.labels[i] for i in index)
        weights = self.weights[index]
        sha = hashlib.sha256()
        for row in sorted(zip(inputs, labels, weights.tolist(), strict=True)):
            sha.update(msgspec.json.encode(row))
        return Dataset(
            inputs=inputs,
            labels=labels,
            times=self.times[index],
            weights=weights,
            groups=self.groups[index],
            calls=len(index),
            conflicts=0,
            self_agreement=self.self_agreement,
            repeats=self.repeats,
            digest=sha.hexdigest(),
        )


def same_input(text: str) -> str:
    """The form in which two inputs are one: white space does not count.

    Examples
    --------
    >>> same_input("  where is\\n my card? ")
    'where is my card?'
    """
    return " ".join(text.split())


def _majority(answers: Sequence[Example]) -> str:
    """The label with the greatest weight; the later one where two are equal."""
    weight: dict[str, float] = defaultdict(float)
    last: dict[str, int] = {}
    for order, answer in enumerate(answers):
        weight[answer.label] += answer.weight
        last[answer.label] = order
    return max(weight, key=lambda label: (weight[label], last[label]))


def _self_agreement(by_input: Sequence[Sequence[Example]]) -> tuple[float | None, int]:
    """Mean over repeated calls of the share of other answers to the same input that agree with them."""
    agreed = total = 0.0
    for answers in by_input:
        n = len(answers)
        if n < 2:
            continue
        counts: dict[str, int] = defaultdict(int)
        for answer in answers:
            counts[answer.label] += 1
        # n calls, each compared with its n - 1 fellows: inputs count by their calls, not by their pairs
        agreed += sum(c * (c - 1) for c in counts.values()) / (n - 1)
        total += n
    repeats = sum(len(answers) - 1 for answers in by_input)
    return (agreed / total if total else None), repeats
