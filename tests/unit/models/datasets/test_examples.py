"""A dataset has one row per distinct input, and measures how the teacher disagrees with itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jitr.models.datasets.examples import Dataset, Example


def rows(*pairs: tuple[str, str]) -> list[Example]:
    return [Example(str(i), float(i), text, label) for i, (text, label) in enumerate(pairs)]


def test_a_call_seen_twice_counts_once() -> None:
    once = rows(("a", "x"), ("b", "y"))
    assert Dataset.from_examples(once + once).calls == 2


def test_conflicting_answers_are_settled_by_majority_and_counted() -> None:
    data = Dataset.from_examples(rows(("a", "x"), ("a", "y"), ("a", "x"), ("b", "z")))
    assert data.labels == ("x", "z") and data.conflicts == 1


def test_a_tie_goes_to_the_later_answer() -> None:
    assert Dataset.from_examples(rows(("a", "x"), ("a", "y"))).labels == ("y",)


def test_a_sampled_answer_weighs_more_than_two_that_were_not() -> None:
    given_rows = [*rows(("a", "x"), ("a", "x")), Example("s", 9.0, "a", "y", weight=10.0)]
    assert Dataset.from_examples(given_rows).labels == ("y",)


def test_the_ceiling_is_the_chance_that_two_answers_agree() -> None:
    data = Dataset.from_examples(rows(("a", "x"), ("a", "x"), ("a", "x"), ("a", "y")))
    assert data.self_agreement == pytest.approx(0.5) and data.repeats == 3
    assert Dataset.from_examples(rows(("a", "x"), ("b", "x"))).self_agreement is None


def test_rows_stand_in_order_of_time() -> None:
    data = Dataset.from_examples(reversed(rows(("a", "x"), ("b", "y"), ("c", "z"))))
    assert data.inputs == ("a", "b", "c") and data.times.tolist() == [0.0, 1.0, 2.0]


@given(st.permutations(list(range(8))))
def test_the_digest_does_not_depend_on_the_order_of_reading(order: list[int]) -> None:
    made = rows(*[(f"input {i % 5}", f"label {i % 3}") for i in range(8)])
    shuffled = Dataset.from_examples([made[i] for i in order])
    assert shuffled.digest == Dataset.from_examples(made).digest


def test_the_digest_changes_with_a_label() -> None:
    assert Dataset.from_examples(rows(("a", "x"))).digest != Dataset.from_examples(rows(("a", "y"))).digest


def test_no_examples_make_an_empty_dataset() -> None:
    assert len(Dataset.from_examples([])) == 0


def test_a_part_of_the_rows_keeps_its_calls_and_its_conflicts() -> None:
    """Manifests of `jitr fit` said `0 with conflicting answers`, and as many calls as inputs."""
    said = [("a", "x"), ("a", "y"), ("a", "x"), ("b", "x"), ("c", "x"), ("c", "x")]
    data = Dataset.from_examples(Example(str(i), float(i), *pair) for i, pair in enumerate(said))
    assert (data.calls, data.conflicts) == (6, 1)
    early, late = data.take([0, 1]), data.take([2])
    assert (early.calls, early.conflicts) == (4, 1)
    assert (late.calls, late.conflicts) == (2, 0)
    assert early.self_agreement == data.self_agreement
