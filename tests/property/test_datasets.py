"""Whatever is collected, near-duplicates never stand on both sides of a split, and no call counts twice."""

from __future__ import annotations

import random
import string

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from jitr.models.answers.agreement import same
from jitr.models.datasets.examples import Dataset, Example
from jitr.models.datasets.splits import group_folds, later_split

NOUNS = [
    "card",
    "loan",
    "bill",
    "fee",
    "bank",
    "cash",
    "gift",
    "code",
    "plan",
    "rate",
    "limit",
    "refund",
    "top",
    "transfer",
    "atm",
]


@st.composite
def streams(draw: st.DrawFn) -> list[Example]:
    """Calls of which some say what others said, but for case, digits and punctuation."""
    rng = random.Random(draw(st.integers(0, 2**32)))
    said = [
        " ".join(rng.sample(NOUNS, rng.randint(4, 8))) + f" {rng.randint(100, 999)}"
        for _ in range(draw(st.integers(5, 25)))
    ]
    rows = []
    for i in range(draw(st.integers(20, 80))):
        text = rng.choice(said)
        twist = rng.randrange(4)
        if twist == 1:
            text = text.upper()
        elif twist == 2:
            text = "".join(rng.choice(string.digits) if c.isdigit() else c for c in text)
        elif twist == 3:
            text = text.replace(" ", ", ", 2) + "!"
        weight = rng.choice([1.0, 1.0, 4.0])
        rows.append(Example(str(i), float(rng.randint(0, 50)), text, rng.choice(["a", "b"]), weight))
    return rows


def key(text: str) -> str:
    """What all twists of a text have in common."""
    return "".join("0" if c.isdigit() else c for c in text.casefold() if c.isalnum() or c == " ")


@settings(max_examples=60)
@given(streams(), st.floats(0.1, 0.5), st.integers(0, 3))
def test_no_near_duplicate_stands_on_two_of_train_calibrate_and_test(
    rows: list[Example], share: float, seed: int
) -> None:
    data = Dataset.from_examples(rows)
    early, late = later_split(data.times, data.groups, share)
    train, test = data.take(early), data.take(late)
    fold = group_folds(train.groups, 4, seed)
    sides = [[train.inputs[i] for i in np.flatnonzero(fold == k)] for k in range(4)] + [list(test.inputs)]
    held = [{key(text) for text in side} for side in sides]
    for i, one in enumerate(held):
        for other in held[:i]:
            assert not one & other


@settings(max_examples=60)
@given(streams())
def test_every_call_counts_once_and_conflicts_are_inputs_with_two_answers(rows: list[Example]) -> None:
    data = Dataset.from_examples(rows)
    by_input: dict[str, list[Example]] = {}
    for row in rows:
        by_input.setdefault(" ".join(row.input.split()), []).append(row)
    assert data.calls == len(rows) and len(data) == len(by_input)
    assert data.conflicts == sum(len({r.label for r in held}) > 1 for held in by_input.values())
    weight = {text: np.mean([r.weight for r in held]) for text, held in by_input.items()}
    assert data.weights.tolist() == [weight[text] for text in data.inputs]
    for text, label in zip(data.inputs, data.labels, strict=True):
        pull = {name: sum(r.weight for r in by_input[text] if r.label == name) for name in "ab"}
        assert pull[label] == max(pull.values())


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 30)), min_size=2, max_size=40),
    st.sampled_from([0.0, 1.0, 5.0]),
)
def test_the_ceiling_is_the_chance_that_two_answers_to_one_input_agree(
    said: list[tuple[int, int]], tolerance: float
) -> None:
    rows = [Example(str(i), float(i), f"input {k}", str(v)) for i, (k, v) in enumerate(said)]
    data = Dataset.from_examples(rows, "number", tolerance)
    agreed: list[float] = []
    for i, (k, v) in enumerate(said):
        others = [w for j, (m, w) in enumerate(said) if m == k and j != i]
        if others:
            agreed.append(float(np.mean([same(str(v), str(w), tolerance) for w in others])))
    if agreed:
        assert data.self_agreement is not None and abs(data.self_agreement - np.mean(agreed)) < 1e-9
    else:
        assert data.self_agreement is None


@settings(max_examples=40)
@given(st.lists(st.integers(0, 100), min_size=1, max_size=9), st.integers(0, 10))
def test_of_numbers_the_one_is_kept_that_most_others_agree_with(values: list[int], tolerance: int) -> None:
    rows = [Example(str(i), float(i), "x", str(v)) for i, v in enumerate(values)]
    [label] = Dataset.from_examples(rows, "number", float(tolerance)).labels
    near = {v: sum(abs(v - w) <= tolerance for w in values) for v in values}
    assert near[int(label)] == max(near.values())
