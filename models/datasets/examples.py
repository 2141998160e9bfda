"""Examples, and the dataset made of them: one row per distinct input, and the ceiling measured."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from jitr.models.answers.agreement import same
from jitr.models.answers.kinds import are_numbers, in_kind
from jitr.models.datasets.groups import near_duplicate_groups
from jitr.models.datasets.soft import drawn, soft_labels
from jitr.schemas.labels import has_text
from jitr.schemas.tasks import OutputKind


class Example(msgspec.Struct, frozen=True):
    """One answer of the teacher: what was asked (the slots), what it said (in normal form).

    ``time`` is event time in seconds since the epoch. ``weight`` is 1/p for a call that came to the
    teacher by sampling with probability p, else 1. ``text`` is the answer as it was written; ``opening`` the
    tokens with which it might have begun, and their probabilities.
    """

    call_id: str
    time: float
    input: str
    label: str
    weight: float = 1.0
    teacher: str = ""
    text: str = ""
    opening: dict[str, float] = {}


@dataclass(frozen=True)
class Dataset:
    """Distinct inputs in order of time, with labels, weights and near-duplicate groups.

    Attributes
    ----------
    inputs, labels : tuple of str
        One per row; equal inputs are one row with the teacher's most frequent answer.
    times, weights : float64 arrays
        Event time of the first call with this input; the mean sampling weight of its calls.
    asked : int64 array
        Calls with this input.
    torn : bool array
        Whether these got answers that do not agree.
    groups : int64 array
        Rows with the same number are near-duplicates and must stay on one side of every fold.
    unparsed : int
        Calls whose answer is nothing of the kind, or nothing at all; they are no rows.
    renderings : dict
        Labels to the teacher's usual text, where it was kept.
    kind : OutputKind
        What the answers are.
    soft : tuple of dict
        How probable each label was to the teacher, one per row; empty where it did not tell or does not draw.
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
    asked: NDArray[np.int64]
    torn: NDArray[np.bool_]
    self_agreement: float | None
    repeats: int
    digest: str
    unparsed: int = 0
    renderings: dict[str, str] = field(default_factory=dict)
    kind: OutputKind = "label"
    soft: tuple[dict[str, float], ...] = ()

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def calls(self) -> int:
        """Distinct calls that went in."""
        return int(self.asked.sum()) + self.unparsed

    @property
    def conflicts(self) -> int:
        """Inputs that got answers which do not agree."""
        return int(self.torn.sum())

    @classmethod
    def from_examples(
        cls, examples: Iterable[Example], kind: OutputKind = "label", tolerance: float = 0.0
    ) -> Dataset:
        """De-duplicate by call id and by input, settle conflicts by majority, keep time order.

        Parameters
        ----------
        examples : iterable of Example
        kind : OutputKind
            What the answers are: labels that were kept when this was not known yet are read again.
        tolerance : float
            Numbers no further apart agree; where there is one, labels that are numbers are taken as such.

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
        if kind == "label" and tolerance > 0 and are_numbers([e.label for e in by_call.values()]):
            kind = "number"
        by_input: dict[str, list[Example]] = defaultdict(list)
        unparsed = 0
        for example in sorted(by_call.values(), key=lambda e: (e.time, e.call_id)):
            label = in_kind(example.label, kind)
            if label is None or not has_text(label):
                unparsed += 1
                continue
            if label != example.label:
                example = msgspec.structs.replace(example, label=label)
            by_input[same_input(example.input)].append(example)
        agreeing = _Agreeing(tolerance)
        rows = sorted(by_input.items(), key=lambda item: (item[1][0].time, item[1][0].call_id))
        inputs = tuple(text for text, _ in rows)
        labels = tuple(agreeing.majority(answers) for _, answers in rows)
        times = np.array([answers[0].time for _, answers in rows], dtype=np.float64)
        weights = np.array([np.mean([a.weight for a in answers]) for _, answers in rows], dtype=np.float64)
        agreement, repeats = agreeing.ceiling([answers for _, answers in rows])
        renderings = _usual(by_call.values(), kind)
        soft: tuple[dict[str, float], ...] = ()
        if kind == "label" and any(example.opening for example in by_call.values()):
            soft = drawn(labels, soft_labels([answers for _, answers in rows], renderings))
        return cls(
            inputs=inputs,
            labels=labels,
            times=times,
            weights=weights,
            groups=near_duplicate_groups(inputs),
            asked=np.array([len(answers) for _, answers in rows], dtype=np.int64),
            torn=np.array([agreeing.conflict(answers) for _, answers in rows], dtype=np.bool_),
            self_agreement=agreement,
            repeats=repeats,
            digest=_digest(inputs, labels, weights, soft),
            unparsed=unparsed,
            renderings=renderings,
            kind=kind,
            soft=soft,
        )

    def take(self, rows: NDArray[np.int64] | Sequence[int]) -> Dataset:
        """The same dataset, fewer rows (in the order given).

        How often the teacher agrees with itself stays what the whole dataset tells.
        """
        index = np.asarray(rows, dtype=np.int64)
        inputs = tuple(self.inputs[i] for i in index)
        labels = tuple(self.labels[i] for i in index)
        weights = self.weights[index]
        soft = tuple(self.soft[i] for i in index) if self.soft else ()
        return Dataset(
            inputs=inputs,
            labels=labels,
            times=self.times[index],
            weights=weights,
            groups=self.groups[index],
            asked=self.asked[index],
            torn=self.torn[index],
            self_agreement=self.self_agreement,
            repeats=self.repeats,
            digest=_digest(inputs, labels, weights, soft),
            renderings=self.renderings,
            kind=self.kind,
            soft=soft,
        )


def _digest(
    inputs: Sequence[str],
    labels: Sequence[str],
    weights: NDArray[np.float64],
    soft: Sequence[dict[str, float]],
) -> str:
    sha = hashlib.sha256()
    more = [tuple(sorted(row.items())) for row in soft] or [()] * len(inputs)
    for row in sorted(zip(inputs, labels, weights.tolist(), more, strict=True)):
        sha.update(msgspec.json.encode(row if row[3] else row[:3]))
    return sha.hexdigest()


def _usual(examples: Iterable[Example], kind: OutputKind) -> dict[str, str]:
    """The usual text of each label; of two as usual, the one that sorts first."""
    texts: dict[str, Counter[str]] = defaultdict(Counter)
    for example in examples:
        label = in_kind(example.label, kind)
        if label is not None and example.text:
            texts[label][example.text] += 1
    return {label: min(seen, key=lambda t: (-seen[t], t)) for label, seen in sorted(texts.items())}


def same_input(text: str) -> str:
    """The form in which two inputs are one: white space does not count.

    Examples
    --------
    >>> same_input("  where is\\n my card? ")
    'where is my card?'
    """
    return " ".join(text.split())


@dataclass(frozen=True)
class _Agreeing:
    """What answers to one input say together, where numbers within a tolerance agree."""

    tolerance: float

    def majority(self, answers: Sequence[Example]) -> str:
        """The label that most weight agrees with; of those, the one that came most; the later of equals."""
        own, last = _weights(answers)
        if len(own) == 1:
            return answers[0].label
        with_all = {a: sum(w for b, w in own.items() if same(a, b, self.tolerance)) for a in own}
        return max(own, key=lambda label: (with_all[label], own[label], last[label]))

    def conflict(self, answers: Sequence[Example]) -> bool:
        """Whether two of the answers do not agree."""
        labels = sorted({answer.label for answer in answers})
        return any(not same(a, b, self.tolerance) for i, a in enumerate(labels) for b in labels[:i])

    def ceiling(self, by_input: Sequence[Sequence[Example]]) -> tuple[float | None, int]:
        """Mean over repeated calls of the share of other answers to the same input that agree with them."""
        agreed = total = 0.0
        for answers in by_input:
            n = len(answers)
            if n < 2:
                continue
            counts = Counter(answer.label for answer in answers)
            pairs = sum(
                counts[a] * counts[b] for a in counts for b in counts if a == b or same(a, b, self.tolerance)
            )
            # n calls, each compared with its n - 1 fellows: inputs count by their calls, not by their pairs
            agreed += (pairs - n) / (n - 1)
            total += n
        repeats = sum(len(answers) - 1 for answers in by_input)
        return (agreed / total if total else None), repeats


def _weights(answers: Sequence[Example]) -> tuple[dict[str, float], dict[str, int]]:
    """The weight of each label, and where it came last."""
    weight: dict[str, float] = defaultdict(float)
    last: dict[str, int] = {}
    for order, answer in enumerate(answers):
        weight[answer.label] += answer.weight
        last[answer.label] = order
    return weight, last
