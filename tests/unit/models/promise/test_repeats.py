"""Pairs of answers to one input: independent, of one teacher, in bounded memory."""

import random

import msgspec

from jitr.models.promise.repeats import MOST, Repeats
from jitr.models.promise.self_agreement import SelfAgreement


def test_an_answer_is_in_one_pair_at_most():
    repeats = Repeats()
    found = [repeats.answered("hi", label, "m") for label in "aabbba"]
    assert found == [None, True, None, True, None, False]


def test_answers_of_two_models_are_no_pair():
    repeats = Repeats()
    assert repeats.answered("hi", "a", "m") is None
    assert repeats.answered("hi", "b", "other") is None
    assert repeats.answered("hi", "a", "m") is True


def test_numbers_within_the_tolerance_agree():
    assert [Repeats().answered("hi", "7", "m"), Repeats().waiting] == [None, {}]
    near, far = Repeats(), Repeats()
    assert [near.answered("hi", label, "m", 1.0) for label in ("7", "8")] == [None, True]
    assert [far.answered("hi", label, "m", 0.5) for label in ("7", "8")] == [None, False]


def test_memory_is_bounded_and_the_newest_inputs_stay():
    repeats = Repeats()
    for n in range(20 * MOST):
        assert repeats.answered(f"input {n}", "a", "m") is None
    assert len(repeats.waiting) == MOST
    assert repeats.answered("input 0", "a", "m") is None
    assert repeats.answered(f"input {20 * MOST - 1}", "a", "m") is True
    assert len(msgspec.msgpack.encode(repeats)) < 20 * MOST


def test_inputs_that_come_again_after_more_others_than_are_remembered_are_found_now_and_then():
    repeats = Repeats()
    found = [repeats.answered(f"input {n % (3 * MOST)}", "a", "m") for n in range(20 * MOST)]
    assert 200 < found.count(True) < MOST * 4


def test_it_goes_on_from_its_state():
    repeats = Repeats()
    repeats.answered("hi", "a", "m")
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(repeats), type=Repeats)
    assert again.answered("hi", "a", "m") is True


def lives(share, target, n=400, seed=0):
    """How many of 400 teachers are refused that give their usual answer with this probability."""
    refused = 0
    for life in range(n):
        rng, repeats, noise = random.Random(seed * n + life), Repeats(), SelfAgreement(target, 0.05)
        for _ in range(600):
            usual = rng.random() < share
            label = "usual" if usual else f"other {rng.randrange(1000)}"
            agreed = repeats.answered(f"input {rng.randrange(40)}", label, "m")
            if agreed is not None:
                noise.update(agreed)
        refused += noise.refused
    return refused / n


def test_a_teacher_that_can_keep_the_target_is_refused_at_most_as_often_as_allowed():
    assert lives(0.95, 0.95, n=200) <= 0.05 + 0.03


def test_a_teacher_that_contradicts_itself_is_found_out():
    assert lives(0.80, 0.95, n=100) > 0.95
