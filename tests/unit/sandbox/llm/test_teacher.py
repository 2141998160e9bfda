"""A teacher whose behaviour can be changed."""

import random
from itertools import islice

import pytest

from jitr.sandbox.llm import Teacher, TeacherChange
from jitr.sandbox.traffic.workload import Workload


def bodies(task: str, count: int = 200) -> list[dict]:
    return [request.body for request in islice(Workload(3, noise=0.0, tasks=[task]), count)]


def test_a_swap_turns_all_answers_at_once_and_keeps_their_spelling() -> None:
    teacher = Teacher(Workload())
    asked = bodies("sentiment")
    before = [teacher.true_answer(body) for body in asked]
    teacher.change(TeacherChange("sentiment", {"positive": "negative", "negative": "positive"}))
    turned = {"Positive": "Negative", "Negative": "Positive", "Neutral": "Neutral"}
    assert [teacher.true_answer(body) for body in asked] == [turned[label] for label in before]
    assert {"Positive", "Negative"} <= set(before)


def test_a_share_touches_that_share_and_always_the_same_slot_values() -> None:
    teacher = Teacher(Workload())
    asked = bodies("spam", 600)
    before = [teacher.true_answer(body) for body in asked]
    teacher.change(TeacherChange("spam", {"spam": "ok", "ok": "spam"}, share=0.3))
    after = [teacher.true_answer(body) for body in asked]
    assert 0.24 < sum(a != b for a, b in zip(before, after, strict=True)) / 600 < 0.36
    assert after == [teacher.true_answer(body) for body in asked]


def test_earlier_behaviours_can_still_be_asked_for() -> None:
    teacher = Teacher(Workload())
    asked = bodies("moderation", 60)
    before = [teacher.true_answer(body) for body in asked]
    assert teacher.change(TeacherChange("moderation", {"insult": "fine"})) == 1
    assert teacher.change(TeacherChange("moderation", {})) == 2
    assert [teacher.true_answer(body, version=0) for body in asked] == before
    assert [teacher.true_answer(body) for body in asked] == before
    assert "Verdict: insult" not in [teacher.true_answer(body, version=1) for body in asked]
    with pytest.raises(ValueError, match="version=3"):
        teacher.true_answer(asked[0], version=3)


def test_one_field_of_a_json_answer_can_be_changed() -> None:
    teacher = Teacher(Workload())
    asked = bodies("complaint-fields")
    teacher.change(TeacherChange("complaint-fields", {"refund": "repair"}))
    answers = [teacher.true_answer(body) for body in asked]
    assert not any('"refund"' in answer for answer in answers)
    assert any('"replacement"' in answer for answer in answers)


def test_a_change_leaves_other_tasks_alone() -> None:
    teacher = Teacher(Workload())
    asked = bodies("urgency", 50)
    before = [teacher.true_answer(body) for body in asked]
    teacher.change(TeacherChange("spam", {"spam": "ok"}))
    assert [teacher.true_answer(body) for body in asked] == before


def test_asked_again_a_noisy_teacher_may_say_something_else() -> None:
    asked = bodies("lead-score")
    teacher = Teacher(Workload())
    first, second = ([teacher.answer(body)[0] for body in asked] for _ in range(2))
    assert first != second
    again = Teacher(Workload())
    assert [again.answer(body)[0] for body in asked] == first


def test_ad_hoc_questions_have_no_true_answer() -> None:
    teacher = Teacher(Workload())
    body = {"model": "m", "messages": [{"role": "user", "content": str(random.Random(1).random())}]}
    assert teacher.true_answer(body) is None
    assert teacher.answer(body)[1] is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (TeacherChange("jokes", {}), "jokes.*spam"),
        (TeacherChange("spam", {"ham": "spam"}), "'ham'; they are SPAM, OK"),
        (TeacherChange("spam", {"spam": "ok"}, 2.0), "share=2.0"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(change: TeacherChange, message: str) -> None:
    teacher = Teacher(Workload())
    with pytest.raises(ValueError, match=message):
        teacher.change(change)
    assert teacher.version == 0
