"""Numbers and sets of labels are told from labels, and read as what they are."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jitr.models.answers.agreement import same
from jitr.models.answers.kinds import in_kind
from jitr.models.answers.labelling import label_of, space_of
from jitr.models.answers.lists import canonical_list, members_of, set_of
from jitr.models.answers.numbers import quantity_of
from jitr.models.answers.styles import ListStyle, NumberStyle
from jitr.schemas.tasks import Signature, Task

NAMES = ["Sports", "Politics", "Tech", "Art", "Law"]


def listed(write, n: int = 80) -> list[str]:
    rng = random.Random(0)
    return [write(rng.sample(NAMES, rng.randint(1, 3))) for _ in range(n)]


@pytest.mark.parametrize(
    "write",
    [", ".join, "; ".join, "\n".join, " | ".join, lambda p: "\n".join(f"- {x}" for x in p),
     lambda p: '["' + '", "'.join(p) + '"]', lambda p: "Topics: " + ", ".join(p) + "."],
)  # fmt: skip
def test_labels_in_whatever_order_and_with_whatever_between_them_are_a_set(write) -> None:
    space = space_of(listed(write))
    assert space.kind == "labels"
    assert set(space.labels) == {name.casefold() for name in NAMES}
    assert space.parse(write(["Law", "Art"])) == space.parse(write(["Art", "Law"])) == '["art","law"]'
    assert space.parse(write(["Law", "Gardening"])) is None
    assert space.unparsed() == 0


def test_a_label_with_a_comma_inside_is_one_label() -> None:
    assert space_of(["card, lost", "card, stolen", "top up"] * 20).kind == "label"
    assert space_of(["Yes, it is.", "No, it is not."] * 30).kind == "label"


def test_prose_with_commas_is_no_set() -> None:
    answers = [f"Well, item {i} came late, was broken, and nobody answered, which is sad." for i in range(60)]
    assert space_of(answers).kind == "text"


@pytest.mark.parametrize("write", ["{}", "Score: {}", "{}/100", "${}.00", "{}%", "**{}**"])
def test_scores_of_a_wide_scale_are_numbers_though_they_recur(write) -> None:
    rng = random.Random(0)
    space = space_of([write.format(rng.randint(0, 100)) for _ in range(600)])
    assert space.kind == "number"
    assert space.parse(write.format(77)) == "77"
    assert space.parse("no idea") is None
    assert space.render("77") == write.format(77)


def test_a_scale_of_few_numbers_stays_labels() -> None:
    assert space_of([str(i % 5 + 1) for i in range(60)]).kind == "label"


@pytest.mark.parametrize("text", ["4 or 5", "not 4", "between 3 and 4", "about", "1.2.3", "2024-01-02", ""])
def test_what_says_more_than_one_number_is_none(text) -> None:
    assert quantity_of(text) is None


@given(st.decimals(-(10**9), 10**9, places=3))
def test_the_plain_form_of_a_number_is_its_own(value) -> None:
    found = quantity_of(str(value))
    assert found is not None and quantity_of(found.number).number == found.number
    assert float(found.number) == float(value)


@given(st.lists(st.sampled_from(["a", "B b", "c-d", "É"]), max_size=4))
def test_the_normal_form_of_a_set_is_its_own(names) -> None:
    label = canonical_list(names)
    assert set_of(label) == label and members_of(label) is not None
    assert same(label, ", ".join(names)) or not names


def test_numbers_agree_within_the_tolerance_and_not_beyond() -> None:
    assert same("70", "75", 5) and not same("70", "75.1", 5)
    assert same("0.1", "0.3", 0.2)  # in floats this would be 0.19999999999999998
    assert not same("70", "71") and same('{"a":"x","n":1}', '{"n":2,"a":"x"}', 1)
    assert not same('{"a":"x","n":1}', '{"n":2,"a":"y"}', 1)


def test_the_stream_reads_sets_and_numbers_by_the_record() -> None:
    task = Task(
        id="t", tenant="a", signature=Signature(model="m", shape="user"), kind="labels", labels=("a",)
    )
    assert label_of(task, "B, a") == '["a","b"]'
    task = Task(id="t", tenant="a", signature=Signature(model="m", shape="user"), kind="number")
    assert label_of(task, "Score: 80.0") == "80" and label_of(task, "I cannot say.") is None
    assert in_kind("As before, no idea", "number") is None


def test_the_teachers_order_and_spelling_of_labels_are_kept() -> None:
    order = {name: i for i, name in enumerate(["Tech", "Art", "Law", "Sports", "Politics"])}
    texts = listed(lambda p: "; ".join(sorted(p, key=lambda name: order[name])))
    known = {set_of(text): text for text in texts}
    style = ListStyle.infer(known)
    assert style.render('["art","law","politics","tech"]') == "Tech; Art; Law; Politics"


def test_the_teachers_way_with_money_is_kept() -> None:
    style = NumberStyle.infer({"1250.5": "$1,250.50", "3": "$3.00", "12.25": "$12.25"})
    assert style.render("2000") == "$2,000.00" and style.render("0.5") == "$0.50"
