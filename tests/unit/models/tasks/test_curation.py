import pytest

from jitr.models.tasks.curation import merge, narrowed, split
from jitr.models.tasks.finder import Finder, FinderPolicy
from jitr.models.tasks.matcher import Matcher
from jitr.schemas.errors import ConfigError, NotFoundError
from jitr.schemas.tasks import Signature, Skeleton, Task

POLITE = "Decide whether the following remark is polite. Answer yes or no.\nRemark: "
KIND = "Is what this person says kind to others? Reply with yes or with no.\nPerson: "


def task(id, prefix, model="m", tenant="acme"):
    return Task(
        id=id,
        tenant=tenant,
        status="task",
        name=id,
        signature=Signature(model=model, shape="user"),
        skeletons=(Skeleton(prefix=prefix),),
    )


@pytest.fixture
def finder(make, payloads):
    found = Finder("acme", FinderPolicy(support=20))
    for i, text in enumerate(payloads(100)):
        found.learn(make(str(i), [POLITE, KIND][i % 2] + text, ["yes", "no"][i % 3 % 2], time=float(i)))
    assert len(found.tasks) == 2
    return found


def test_a_merge_undone_by_a_split_gives_both_tasks_back():
    first, second = task("a", "Sum up:"), task("b", "In short:")
    into, gone = merge(first, second)
    rest, back = split(into, second.skeletons[0], gone)
    assert (rest.skeletons, back.skeletons) == (first.skeletons, second.skeletons)
    assert (back.id, back.name, back.status, back.merged_into) == ("b", "b", "task", None)
    assert (rest.version, back.version) == (3, 3)


@pytest.mark.parametrize("other", [task("b", "x", model="n"), task("b", "x", tenant="other"), task("a", "x")])
def test_tasks_of_two_signatures_or_tenants_are_never_one(other):
    with pytest.raises(ConfigError):
        merge(task("a", "Sum up:"), other)


def test_a_task_is_not_split_to_nothing():
    with pytest.raises(ConfigError, match="no other skeleton"):
        split(task("a", "Sum up:"), Skeleton(prefix="Sum up:"))


def test_a_slot_can_be_filled_for_good():
    wide = Skeleton(prefix="Name the ", inner=(" of this:",), suffix="")
    assert narrowed(wide, 0, "cause") == Skeleton(prefix="Name the cause of this:")
    with pytest.raises(ConfigError, match="slots 0 to 1"):
        narrowed(wide, 2, "cause")


def test_after_a_persons_merge_both_prompts_are_one_task(finder, make):
    first, second = finder.tasks
    found = finder.merge(first.id, second.id)
    assert {f.task.id: f.task.status for f in found} == {first.id: "task", second.id: "merged"}
    (left,) = finder.tasks
    matcher = Matcher([left])
    assert {matcher.match(make("x", ask + "go on")).task_id for ask in (POLITE, KIND)} == {first.id}
    handed = finder.learn(make("y", second.skeletons[0].prefix + " go on", "yes", time=500.0))
    assert [(f.task.id, len(f.calls)) for f in handed] == [(first.id, 1)]


def test_a_persons_merge_survives_a_restart_and_can_be_undone(finder, make):
    first, second = finder.tasks
    gone = next(f.task for f in finder.merge(first.id, second.id) if f.task.id == second.id)
    again = Finder.restore(finder.snapshot(), FinderPolicy(support=20))
    assert again.snapshot() == finder.snapshot()
    again.split(first.id, second.skeletons[0], gone)
    assert {t.id: t.skeletons for t in again.tasks} == {t.id: t.skeletons for t in (first, second)}
    assert {t.status for t in again.tasks} == {"task"}


def test_a_person_can_split_a_task_by_the_text_of_a_slot(finder, make):
    first = finder.tasks[0]
    narrow = narrowed(first.skeletons[0], 0, " my old apple") if first.skeletons[0].inner else None
    narrow = narrow or Skeleton(prefix=first.skeletons[0].prefix + " the")
    found = finder.split(first.id, narrow)
    assert {f.task.status for f in found} == {"task"}
    assert len(finder.tasks) == 3
    matcher = Matcher(finder.tasks)
    assert matcher.match(make("x", narrow.prefix + " end" + narrow.suffix)).task_id != first.id


def test_what_is_no_task_cannot_be_merged(finder):
    with pytest.raises(NotFoundError, match="'t0'"):
        finder.merge(finder.tasks[0].id, "t0")
