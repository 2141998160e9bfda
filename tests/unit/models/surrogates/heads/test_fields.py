"""Objects are taken apart into closed fields, and put together and written as the teacher writes them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jitr.models.answers.styles import JsonStyle
from jitr.models.surrogates.heads.fields import FieldSpec, canonical, fields_of, join_label, split_label
from jitr.schemas.errors import TrainingError

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(min_size=1, max_size=6), values, min_size=1, max_size=5))
def test_what_is_taken_apart_is_put_together_again(value: dict) -> None:
    label = canonical(value)
    parts = split_label(label)
    assert parts is not None
    specs = [FieldSpec(name=name, values=(text,)) for name, text in parts.items()]
    assert join_label(specs, list(parts.values())) == label


@given(st.text(max_size=30))
def test_any_text_is_either_taken_apart_exactly_or_left_whole(label: str) -> None:
    parts = split_label(label)
    assert parts is None or canonical({k: json.loads(v) for k, v in parts.items()}) == label


def test_a_key_that_is_sometimes_absent_is_a_value_of_its_field() -> None:
    fields, numbers = fields_of(['{"a":1}', '{"a":1,"b":2}'] * 3)
    assert [f.name for f in fields] == ["a", "b"] and fields[1].values == ("", "2")
    assert numbers[:2].tolist() == [[0, 0], [0, 1]]


def test_one_label_that_is_no_object_makes_all_of_them_plain() -> None:
    fields, _ = fields_of(['{"a":1}', "unknown"] * 3)
    assert [f.name for f in fields] == [""]


def test_open_answers_are_refused_by_the_name_of_the_field() -> None:
    with pytest.raises(TrainingError, match="field `note` has 60 different values"):
        fields_of([f'{{"a":1,"note":"{i}"}}' for i in range(60)])
    with pytest.raises(TrainingError, match="the answer has 60"):
        fields_of([f"name {i}" for i in range(60)])


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("fence", [("", ""), ("```json\n", "\n```"), ("Here: ", " Done.")])
def test_the_teachers_style_is_found(indent: int | None, fence: tuple[str, str]) -> None:
    def write(value: dict) -> str:
        return fence[0] + json.dumps(value, indent=indent) + fence[1]

    known = {canonical(v): write(v) for v in ({"z": 1, "a": "x"}, {"z": 2, "a": "y"})}
    style = JsonStyle.infer(known)
    assert style.render(canonical({"z": 3, "a": "new"})) == write({"z": 3, "a": "new"})
