"""What a quick surrogate could take of a task, on made calls whose answer is known."""

import random

import pytest

from jitr.models.answers.labelling import space_of
from jitr.models.tasks.sample import Answered
from jitr.models.training.potential import potential

# fmt: off
WORDS = [
    "ant", "bee", "cat", "cow", "dog", "elk", "fox", "gnu", "hen", "jay", "kid", "owl", "pig", "ram", "yak",
    "eel", "cod", "bat", "fly", "cub",
]
# fmt: on
MOODS = {"lovely": "Good", "fine": "Good", "awful": "Bad", "broken": "Bad"}


def calls(n: int, wrong: float = 0.0, seed: int = 1) -> list[Answered]:
    rng = random.Random(seed)
    found = []
    for i in range(n):
        mood = rng.choice(sorted(MOODS))
        text = " ".join([*rng.choices(WORDS, k=3), mood, *rng.choices(WORDS, k=3)])
        answer = MOODS[mood] if rng.random() >= wrong else rng.choice(["Good", "Bad"])
        found.append(Answered(str(i), float(i), text, answer))
    return found


def test_a_task_that_words_decide_is_replaceable_and_proved_on_later_calls() -> None:
    made = calls(600)
    found = potential(made, space_of(c.answer for c in made), target=0.95, delta=0.05)
    assert found.agreement is not None and found.agreement > 0.98
    assert found.coverage > 0.95
    assert found.bound >= 0.95
    assert found.agreement_low is not None and found.agreement_low < found.agreement
    assert found.learned + found.held <= 600
    assert found.held >= 100


def test_answers_that_are_drawn_by_lot_are_not_replaceable() -> None:
    made = calls(600, wrong=1.0)
    found = potential(made, space_of(c.answer for c in made), target=0.95, delta=0.05)
    assert (found.coverage, found.bound) == (0.0, 0.0)
    assert "to prove 0.95 of any share" in found.reason


def test_held_out_answers_that_do_not_parse_count_against_the_surrogate() -> None:
    made = calls(600)
    # the LLM begins to refuse when the earlier calls are over
    late = [
        Answered(c.id, c.time, c.input, "I would rather talk about something else today, if you let me.")
        if i > 420 and i % 3 == 0
        else c
        for i, c in enumerate(made)
    ]
    found = potential(late, space_of(c.answer for c in made), target=0.95, delta=0.05)
    assert found.agreement is not None and 0.55 < found.agreement < 0.75
    assert found.coverage == 0.0


def test_later_calls_that_repeat_earlier_ones_prove_nothing() -> None:
    made = calls(60)
    repeated = [
        Answered(f"{c.id}.{k}", c.time + 1000 * k, c.input, c.answer) for k in range(10) for c in made
    ]
    found = potential(repeated, space_of(c.answer for c in repeated), target=0.95, delta=0.05)
    assert found.coverage == 0.0


def test_later_calls_that_repeat_one_another_prove_once() -> None:
    early, late = calls(420), calls(10, seed=2)
    repeated = [
        Answered(f"{c.id}.{k}", 1000.0 + k, f"{c.input} {k:02d}", c.answer) for k in range(18) for c in late
    ]
    found = potential(early + repeated, space_of(c.answer for c in early), target=0.9, delta=0.05)
    assert found.held == 180 and found.agreement == 1.0 and found.coverage == 0.0
    assert found.agreement_low is not None and found.agreement_low < 0.8
    assert found.reason == "10 later calls are too few to prove 0.9: 29 at least"


@pytest.mark.parametrize("n", [0, 1, 30])
def test_few_calls_are_said_to_be_too_few(n: int) -> None:
    made = calls(n)
    found = potential(made, space_of(["Good", "Bad"] * 9), target=0.95, delta=0.05)
    assert "too few" in found.reason


def test_free_text_is_left_to_the_llm() -> None:
    made = [
        Answered(c.id, c.time, c.input, f"A story of {c.input}, and of {i} more.")
        for i, c in enumerate(calls(80))
    ]
    found = potential(made, space_of(c.answer for c in made), target=0.95, delta=0.05)
    assert found.reason.startswith("answers are open")


def test_numbers_agree_within_the_tolerance_and_refusals_still_count_against_the_surrogate() -> None:
    rng = random.Random(2)
    made = [
        Answered(c.id, c.time, c.input, f"{(80 if c.answer == 'Good' else 20) + rng.choice([-1, 0, 1])}/100")
        for c in calls(600)
    ]
    refusing = [
        Answered(c.id, c.time, c.input, "no comment") if i > 420 and i % 3 == 0 else c
        for i, c in enumerate(made)
    ]
    found = [
        potential(log, space_of(c.answer for c in log), target=0.9, delta=0.05, tolerance=tolerance).agreement
        for log, tolerance in ((made, 0.0), (made, 2.0), (refusing, 2.0))
    ]
    assert None not in found
    assert found[0] < 0.6 and found[1] > 0.95 and 0.55 < found[2] < 0.75
