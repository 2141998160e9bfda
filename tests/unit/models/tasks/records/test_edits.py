import pytest

from jitr.models.tasks.finder import FinderPolicy, TaskFinder
from jitr.models.tasks.matching.matcher import Matcher
from jitr.models.tasks.matching.pattern import Pattern
from jitr.models.tasks.records.edits import likeness

BEFORE = "Decide whether the following remark is polite. Answer yes or no.\nRemark: "
AFTER = "Decide whether the following customer's remark is polite or not. Answer only yes or no.\nRemark: "


@pytest.fixture
def stream(make, slot_values):
    """Calls with one prompt until the edit, and with the other from then on."""

    def calls(before, after, *, answers=("yes", "no"), beside=False):
        texts = slot_values(240)
        asks = [before] * 120 + [after] * 120
        if beside:
            asks = [before, after] * 120
        return [
            make(str(i), ask + text, answers[i % len(answers)], time=float(i))
            for i, (ask, text) in enumerate(zip(asks, texts, strict=True))
        ]

    return calls


def learned(calls, **policy):
    finder = TaskFinder("acme", FinderPolicy(support=20, **policy))
    return finder, [f for call in calls for f in finder.learn(call)]


def test_an_edited_prompt_is_a_new_version_of_the_same_task(stream):
    calls = stream(BEFORE, AFTER)
    finder, found = learned(calls)
    assert len({f.task.id for f in found}) == 1
    assert [f.task.version for f in found if f.changed][-1] == 2
    task = finder.tasks[0]
    assert [s.prefix.split()[3] for s in task.templates] == ["following", "following"]
    assert "customer's" in task.templates[0].prefix
    assert "customer's" not in task.templates[1].prefix
    assert [(c.version, c.kind) for c in task.history] == [(1, "found"), (2, "edited")]
    assert ["customer's" in c.template for c in task.history] == [False, True]
    assert [c.id for f in found for c in f.calls] == [c.id for c in calls]


def test_both_versions_of_a_prompt_match_the_task(stream, make):
    finder, _ = learned(stream(BEFORE, AFTER))
    matcher = Matcher(finder.tasks)
    old, new = matcher.match(make("x", BEFORE + "hello")), matcher.match(make("y", AFTER + "hello"))
    assert old.task_id == new.task_id
    assert old.input == new.input == "hello"


def test_calls_with_the_prompt_of_before_still_belong_to_the_task(stream, make):
    finder, found = learned(stream(BEFORE, AFTER))
    late = finder.learn(make("late", BEFORE + "was it so", "yes", time=999.0))
    assert [(f.task.id, [c.id for c in f.calls]) for f in late] == [(found[0].task.id, ["late"])]


def test_two_prompts_side_by_side_are_two_tasks_however_alike(stream):
    finder, _ = learned(stream(BEFORE, AFTER, beside=True))
    assert len(finder.tasks) == 2


def test_a_word_in_anothers_place_is_no_edit(stream):
    finder, _ = learned(stream(BEFORE, BEFORE.replace("polite", "rude")))
    assert len(finder.tasks) == 2


def test_other_labels_are_no_edit(make, slot_values):
    texts = slot_values(240)
    calls = [
        make(
            str(i),
            (BEFORE if i < 120 else AFTER) + text,
            (["yes", "no"] if i < 120 else ["cold", "warm"])[i % 2],
            time=float(i),
        )
        for i, text in enumerate(texts)
    ]
    finder, _ = learned(calls)
    assert len(finder.tasks) == 2


def test_a_restored_finder_remembers_the_prompts_of_before(stream):
    calls = stream(BEFORE, AFTER)
    whole, _ = learned(calls[:200])
    again = TaskFinder.restore(whole.snapshot(), FinderPolicy(support=20))
    assert again.snapshot() == whole.snapshot()
    late = stream(BEFORE, BEFORE)[200:]
    assert [again.learn(c) for c in late] == [whole.learn(c) for c in late]


def test_a_corrected_spelling_is_an_edit_and_an_opposite_is_none():
    def ask(word):
        return Pattern(f"Say whether the text below is {word} by our rules.", (), "")

    assert likeness(ask("recieved"), ask("received")) > 0.8
    assert likeness(ask("likely"), ask("unlikely")) == 0.0
    assert likeness(ask("first"), ask("last")) == 0.0
