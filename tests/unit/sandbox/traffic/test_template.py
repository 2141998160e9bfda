"""The notation of sentences."""

import random

import pytest

from jitr.sandbox.traffic.template import cues, expand


def written(template: str, seeds: int = 200) -> set[str]:
    return {expand(template, random.Random(seed), str.upper) for seed in range(seeds)}


def test_every_alternative_of_a_choice_is_written_sooner_or_later() -> None:
    assert written("[a|b|[c|d] e]") == {"a", "b", "c e", "d e"}


def test_holes_are_filled_by_the_caller() -> None:
    assert written("one <thing>") == {"one THING"}


def test_only_starred_choices_carry_meaning() -> None:
    assert list(cues("[I|we] [*lost|mislaid] [the <thing>|it] [*[at|in] sea]")) == [
        "lost",
        "mislaid",
        "at sea",
        "in sea",
    ]


def test_a_comparison_sign_or_a_bar_outside_a_choice_is_plain_text() -> None:
    assert written("a < b | c") == {"a < b | c"}


@pytest.mark.parametrize("template", ["[a|b", "a]"])
def test_a_lost_bracket_is_refused_with_the_template_named(template: str) -> None:
    with pytest.raises(ValueError, match="bracket"):
        expand(template, random.Random(0), str)
