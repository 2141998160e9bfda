import msgspec
import pytest

from jitr.models.tasks.finder import FinderPolicy, TaskFinder
from jitr.models.tasks.matching.matcher import Matcher
from jitr.models.tasks.matching.pattern import Pattern
from jitr.models.tasks.mining.miner import Miner
from jitr.models.tasks.records.curation import bring_back, merge, narrowed, split
from jitr.models.tasks.records.task_record import TaskCandidate
from jitr.schemas.errors import ConfigError, NotFoundError
from jitr.schemas.tasks import Signature, Task, TaskCommand, Template

POLITE = "Decide whether the following remark is polite. Answer yes or no.\nRemark: "
KIND = "Is what this person says kind to others? Reply with yes or with no.\nPerson: "


def task(id, prefix, model="m", tenant="acme"):
    return Task(
        id=id,
        tenant=tenant,
        status="task",
        name=id,
        signature=Signature(model=model, shape="user"),
        templates=(Template(prefix=prefix),),
    )


@pytest.fixture
def finder(make, slot_values):
    found = TaskFinder("acme", FinderPolicy(support=20))
    for i, text in enumerate(slot_values(100)):
        found.learn(make(str(i), [POLITE, KIND][i % 2] + text, ["yes", "no"][i % 3 % 2], time=float(i)))
    assert len(found.tasks) == 2
    return found


def word(verb, task, other=None, **fields):
    return TaskCommand(
        id=f"{verb}-{task}-{other}",
        tenant="acme",
        time=900.0,
        verb=verb,
        task=task,
        other=other,
        by="ann",
        **fields,
    )


def test_a_merge_that_is_undone_gives_both_tasks_back():
    first, second = task("a", "Sum up:"), task("b", "In short:")
    into, gone = merge(first, second)
    rest, back = bring_back(into, gone)
    assert (rest.templates, back.templates) == (first.templates, second.templates)
    assert (back.id, back.name, back.status, back.merged_into) == ("b", "b", "task", None)
    assert (rest.version, back.version) == (3, 3)


@pytest.mark.parametrize("other", [task("b", "x", model="n"), task("b", "x", tenant="other"), task("a", "x")])
def test_tasks_of_two_signatures_or_tenants_are_never_one(other):
    with pytest.raises(ConfigError):
        merge(task("a", "Sum up:"), other)


def test_tasks_that_their_callers_name_are_left_to_their_callers():
    named = msgspec.structs.replace(task("b", "x"), caller_name="mood")
    with pytest.raises(ConfigError, match="named by its callers"):
        merge(task("a", "Sum up:"), named)
    with pytest.raises(ConfigError, match="named by its callers"):
        split(named, Template(prefix="x y"))


def test_a_task_is_not_split_to_nothing_nor_by_what_it_is_not():
    with pytest.raises(ConfigError, match="lives by its first template"):
        split(task("a", "Sum up:"), Template(prefix="Sum up:"))
    with pytest.raises(ConfigError, match="none of a's"):
        split(task("a", "Sum up:"), Template(prefix="Translate:"))


def test_a_template_for_longer_prompts_is_not_inside_one_for_short_ones():
    short = msgspec.structs.replace(task("a", ""), templates=(Template(prefix="Define ", most_words=5),))
    inside = Template(prefix="Define a", most_words=5)
    assert split(short, inside) == short
    with pytest.raises(ConfigError, match="none inside its first"):
        split(short, msgspec.structs.replace(inside, most_words=0))
    with pytest.raises(ConfigError, match="lives by its first template"):
        split(short, Template(prefix="Define "))


def test_a_slot_can_be_filled_for_good():
    wide = Template(prefix="Name the ", inner=(" of this:",), suffix="")
    assert narrowed(wide, 0, "cause") == Template(prefix="Name the cause of this:")
    with pytest.raises(ConfigError, match="slots 0 to 1"):
        narrowed(wide, 2, "cause")


def test_after_a_persons_merge_both_prompts_are_one_task(finder, make):
    first, second = finder.tasks
    found = finder.obey(word("merge", first.id, second.id, note="the same"))
    assert {f.task.id: f.task.status for f in found} == {first.id: "task", second.id: "merged"}
    assert all(f.changed for f in found)
    (left,) = finder.tasks
    matcher = Matcher([left])
    assert {matcher.match(make("x", ask + "go on")).task_id for ask in (POLITE, KIND)} == {first.id}
    handed = finder.learn(make("y", second.templates[0].prefix + " go on", "yes", time=500.0))
    assert [(f.task.id, len(f.calls)) for f in handed] == [(first.id, 1)]


def test_the_history_says_who_merged_what_and_why(finder):
    first, second = finder.tasks
    found = {f.task.id: f.task for f in finder.obey(word("merge", first.id, second.id, note="the same"))}
    took, gone = found[first.id].history[-1], found[second.id].history[-1]
    assert (took.kind, took.other, took.by, took.note) == ("took", second.id, "ann", "the same")
    assert (gone.kind, gone.other, gone.version) == ("merged", first.id, second.version + 1)
    assert found[first.id].history[0].kind == "found"


def test_a_persons_merge_survives_a_restart_and_can_be_undone(finder, make):
    first, second = finder.tasks
    finder.obey(word("merge", first.id, second.id))
    again = TaskFinder.restore(finder.snapshot(), FinderPolicy(support=20))
    assert again.snapshot() == finder.snapshot()
    found = {f.task.id: f.task for f in again.obey(word("undo", first.id, second.id))}
    assert {t.id: t.templates for t in again.tasks} == {t.id: t.templates for t in (first, second)}
    back = found[second.id]
    assert (back.status, back.merged_into, back.name, back.calls) == ("task", None, second.name, 50)
    assert back.version == second.version + 2, "it must be newer than the record that said merged"
    assert (back.labels, sum(back.counts)) == (second.labels, 50)
    assert (found[first.id].calls, sum(found[first.id].counts)) == (50, 50)
    assert again.snapshot() == TaskFinder.restore(again.snapshot(), FinderPolicy(support=20)).snapshot()
    with pytest.raises(NotFoundError, match="nothing to undo"):
        again.obey(word("undo", first.id, second.id))


def test_a_chain_of_merges_is_undone_from_its_end(make, slot_values):
    asks = [POLITE, KIND, "Tell me whether the weather is mentioned here, yes or no.\nText: "]
    finder = TaskFinder("acme", FinderPolicy(support=20))
    for i, text in enumerate(slot_values(120)):
        finder.learn(make(str(i), asks[i % 3] + text, ["yes", "no"][i % 5 % 2], time=float(i)))
    before = {t.id: t.templates for t in finder.tasks}
    a, b, c = before
    finder.obey(word("merge", b, c))
    finder.obey(word("merge", a, b))
    assert [t.id for t in finder.tasks] == [a]
    assert len(finder.tasks[0].templates) == 3
    finder.obey(word("undo", a, b))
    assert {t.id: len(t.templates) for t in finder.tasks} == {a: 1, b: 2}
    finder.obey(word("undo", b, c))
    assert {t.id: t.templates for t in finder.tasks} == before


def test_a_person_can_split_a_task_by_the_text_of_a_slot_and_merge_it_back(finder, make):
    first = finder.tasks[0]
    narrow = Template(prefix=first.templates[0].prefix + " the")
    found = finder.obey(word("split", first.id, template=narrow))
    assert {f.task.status for f in found} == {"task"}
    assert len(finder.tasks) == 3
    matcher = Matcher(finder.tasks)
    own = matcher.match(make("x", narrow.prefix + " end" + narrow.suffix)).task_id
    assert own != first.id
    assert {f.task.id: f.task.history[-1].other for f in found} == {first.id: own, own: first.id}
    finder.obey(word("merge", first.id, own))
    (same, _) = finder.tasks
    assert same.templates == first.templates, "a template inside the first adds nothing"


def test_what_is_no_task_cannot_be_merged(finder):
    with pytest.raises(NotFoundError, match="'t0'"):
        finder.obey(word("merge", finder.tasks[0].id, "t0"))


def test_a_task_of_short_prompts_that_takes_another_keeps_its_template_for_long_ones(make, slot_values):
    finder = TaskFinder("acme", FinderPolicy(support=20))
    for i, text in enumerate(slot_values(100)):
        finder.learn(make(f"a{i}", f"Define the word: {text}", time=float(i)))
    for i in range(100):
        finder.learn(make(f"b{i}", f"Define x{i}y", time=100.0 + i))
    long, short = finder.tasks
    assert (long.templates[0].most_words, short.templates[0].most_words) == (0, 5)
    finder.obey(word("merge", short.id, long.id))
    (left,) = finder.tasks
    assert left.templates == (*short.templates, *long.templates)
    assert Matcher([left]).match(make("x", "Define the word: " + "so long " * 20)).task_id == short.id


def test_of_two_earlier_templates_the_wider_is_kept():
    short, wide = Pattern("Define", (), "", 5), Pattern("Define", (), "")
    for first, second in ((short, wide), (wide, short)):
        candidate, other = TaskCandidate(0, "a", 0.0), TaskCandidate(1, "b", 0.0)
        candidate.earlier, other.earlier = [first], [second]
        candidate.absorb(other)
        assert [p.most_words for p in candidate.earlier] == [0]


def test_a_template_that_a_person_gives_has_the_bound_it_is_given():
    miner = Miner()
    for i in range(40):
        miner.add(f"Define x{i}y", i)
    live = miner.match("Define me")
    assert live.pattern.most_words
    assert miner.adopt(live.pattern.within(0), live) is live
    assert miner.match("Define a word that is not short at all, and say why") is live
