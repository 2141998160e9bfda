"""The generated stream."""

import json
import random
from collections import Counter
from itertools import islice

import pytest

from jitr.sandbox.traffic.workload import Workload, all_tasks

TASKS = {task.name: task for task in all_tasks()}


def test_the_same_seed_gives_the_same_stream_and_another_seed_another() -> None:
    first, again, other = (list(islice(Workload(seed), 60)) for seed in (4, 4, 5))
    assert first == again
    assert first != other


def test_a_second_pass_starts_again() -> None:
    workload = Workload(2)
    assert list(islice(workload, 30)) == list(islice(workload, 30))


def test_the_share_of_ad_hoc_questions_is_kept() -> None:
    counts = Counter(request.task is None for request in islice(Workload(1, noise=0.3), 3000))
    assert 0.27 < counts[True] / 3000 < 0.33
    assert all(request.task is None for request in islice(Workload(1, noise=1.0), 50))


def test_there_are_eight_tasks_and_more_in_several_styles() -> None:
    shapes = {tuple(role for role, _ in task.prompt.turns) for task in TASKS.values()}
    assert len(TASKS) >= 8
    assert {("system", "user"), ("user",)} < shapes
    assert any(len(shape) > 4 for shape in shapes), "no task has chat turns as examples"
    assert len(TASKS["intent"].labels) >= 25


@pytest.mark.parametrize("name", TASKS)
def test_every_label_occurs_and_the_truth_is_read_from_the_text_alone(name: str) -> None:
    task, rng = TASKS[name], random.Random(3)
    requests = [task.request(rng) for _ in range(900)]
    fresh = Workload(99)
    assert {request.label for request in requests} == set(task.labels)
    for request in requests[:200]:
        assert fresh.recognise(request.body) == (name, request.slot_value)
        assert fresh.true_answer(request.body) == request.label


@pytest.mark.parametrize("name", TASKS)
def test_slot_values_hardly_ever_repeat(name: str) -> None:
    task, rng = TASKS[name], random.Random(8)
    assert len({task.slot_value(rng) for _ in range(500)}) > 480


def test_the_truth_is_never_sent() -> None:
    for request in islice(Workload(1, noise=0.0), 50):
        assert set(request.body) <= {"model", "messages", "temperature", "response_format"}
        assert request.body == TASKS[request.task].body(request.slot_value)


def test_fields_are_answered_by_an_object_that_fits_the_requested_schema() -> None:
    task = TASKS["complaint-fields"]
    request = task.request(random.Random(1))
    schema = request.body["response_format"]["json_schema"]["schema"]
    answer = json.loads(task.answer(request.slot_value))
    assert list(answer) == schema["required"]
    assert all(answer[field] in schema["properties"][field]["enum"] for field in answer)


def test_a_noisy_teacher_contradicts_itself_as_often_as_it_should() -> None:
    task, rng = TASKS["lead-score"], random.Random(5)
    slot_values = [task.slot_value(rng) for _ in range(1500)]
    right = (
        sum(task.answer(slot_value, asking=1) == task.truth(slot_value) for slot_value in slot_values) / 1500
    )
    same = sum(task.answer(slot_value, 0) == task.answer(slot_value, 1) for slot_value in slot_values) / 1500
    assert abs(right - (1 - task.noise)) < 0.04
    assert same < 0.75
    assert all(task.answer(slot_value, 7) == task.answer(slot_value, 7) for slot_value in slot_values[:50])


def test_ad_hoc_questions_vary_and_so_do_their_answers() -> None:
    workload = Workload(6, noise=1.0)
    requests = list(islice(workload, 400))
    assert len({request.slot_value for request in requests}) == 400
    assert len({workload.answer(request.body) for request in requests}) == 400
    openings = Counter(" ".join(request.slot_value.lower().split()[:4]) for request in requests)
    assert openings.most_common(1)[0][1] <= 8, openings.most_common(3)


def test_an_unknown_task_is_refused_with_the_known_ones_named() -> None:
    with pytest.raises(ValueError, match=r"'jokes'.*spam"):
        Workload(tasks=["jokes"])


def test_a_share_of_noise_beyond_one_is_refused() -> None:
    with pytest.raises(ValueError, match=r"noise=1\.5"):
        Workload(noise=1.5)
