import pytest

from jitr.models.answers.agreement import same
from jitr.models.answers.label_space import LabelSpace
from jitr.models.answers.labelling import label_of, space_of
from jitr.models.answers.normalize import normal
from jitr.schemas.tasks import Signature, Task


@pytest.mark.parametrize(
    "answer",
    ["billing", "Billing", " billing.\n", '"Billing"', "**billing**", "The category is **billing**.",
     "Label: billing", "```\nbilling\n```", "`billing`", "Answer: Billing!"],
)  # fmt: skip
def test_one_label_in_many_dresses_is_one_label(answer):
    assert normal(answer) == "billing"


def test_agreement_is_equality_of_normal_forms():
    assert same("Yes.", "yes")
    assert same('{"a": 1, "b": "x"}', '```json\n{"b":"x","a":1.0}\n```')
    assert not same('{"a": 1}', '{"a": 2}')
    assert not same("positive", "very positive")


def test_long_prose_keeps_its_words():
    text = "The answer is that it depends. " * 20
    assert normal(text).startswith("the answer is that it depends.")


def test_labels_are_learned_with_the_teachers_usual_text():
    space = space_of(
        ["Positive."] * 5 + ["positive"] * 2 + ["Negative."] * 4 + ["I cannot tell from this text, sorry."]
    )
    assert space.kind == "label"
    assert space.labels == ("positive", "negative")
    assert space.render("positive") == "Positive."
    assert space.unparsed() == 1


def test_an_unparseable_answer_is_never_a_class():
    space = space_of(
        ["yes"] * 10 + ["no"] * 10 + [f"It depends on {i} things that I do not know" for i in range(3)]
    )
    assert space.labels == ("no", "yes")
    assert space.parse("It depends on many things") is None
    assert space.parse("Not yes") is None


def test_a_sentence_that_names_one_label_is_that_label():
    space = space_of(["very positive"] * 9 + ["positive"] * 9 + ["negative"] * 9)
    assert space.parse("I would say: Very positive") == "very positive"
    assert space.parse("It is negative in tone.") == "negative"
    assert space.parse("positive or negative") is None


def test_a_class_that_was_not_seen_yet_is_not_taken_for_a_known_one():
    space = space_of(["positive"] * 9 + ["negative"] * 9)
    assert space.parse("very positive") is None
    assert space.parse("somewhat very negative") is None


def test_a_new_label_counts_when_it_recurs():
    space = space_of(["a b"] * 10 + ["c d"] * 10 + ["rare one"])
    assert "rare one" not in space.labels
    space.learn("Rare one")
    assert "rare one" in space.labels


def test_many_classes_are_labels_too():
    space = space_of([f"intent_{i % 77}" for i in range(231)])
    assert space.kind == "label"
    assert len(space.labels) == 77


def test_numbers_spans_and_prose_are_told_apart():
    assert space_of([str(i * 37) for i in range(60)]).kind == "number"
    assert space_of([str(i % 5 + 1) for i in range(60)]).kind == "label"
    assert (
        space_of([f"A long and free answer about thing {i}, in many words" for i in range(60)]).kind == "text"
    )
    space = LabelSpace()
    for i in range(40):
        space.learn(f"Name {i}x", f"the person called name {i}x was there")
    assert space.kind == "spans"


def test_json_of_closed_fields_is_closed_and_keeps_its_layout():
    answers = [
        '{"tone": "good", "urgent": true}',
        '{"tone": "bad", "urgent": false}',
        '{"tone": "bad", "urgent": true}',
    ]
    space = space_of(answers * 10)
    assert space.kind == "json"
    assert space.closed
    assert space.parse('{"urgent":true,"tone":"good"}') == '{"tone":"good","urgent":true}'
    assert space.render('{"tone":"good","urgent":true}') == '{"tone": "good", "urgent": true}'
    # a combination that the teacher has not given yet
    assert space.render('{"tone":"good","urgent":false}') == '{"tone": "good", "urgent": false}'


def test_json_of_open_fields_is_not_closed():
    space = space_of([f'{{"name": "person {i}", "age": {i}}}' for i in range(60)])
    assert space.kind == "json"
    assert not space.closed
    assert space.labels == ()


@pytest.mark.parametrize(
    "layout", ['{"b":1,"a":[2]}', '{\n  "b": 1,\n  "a": [\n    2\n  ]\n}', '```json\n{"b": 1, "a": [2]}\n```']
)
def test_the_layout_of_objects_is_reproduced_byte_for_byte(layout):
    space = space_of([layout] * 3 + [layout.replace("1", "3")] * 3)
    label = space.parse(layout.replace("1", "7"))
    assert space.render(label) == layout.replace("1", "7")


def test_a_record_parses_without_having_counted():
    task = Task(
        id="t",
        tenant="a",
        signature=Signature(model="m", shape="user"),
        kind="label",
        labels=("spam", "ham"),
        renderings={"spam": "Spam", "ham": "Ham"},
    )
    assert label_of(task, "SPAM.") == "spam"
    assert LabelSpace.of(task).render("ham") == "Ham"
    # a class that the record does not know yet is kept apart by whoever counts, prose is nothing
    assert label_of(task, "Phish") == "phish"
    assert label_of(task, "I am not sure what to say about this message at all.") is None


def test_hostile_answers_do_no_harm():
    space = space_of(
        [
            "",
            "   ",
            "{",
            "{}",
            "[" * 5000,
            '{"a":' * 5000,
            "```",
            "*" * 400,
            "\ud800",
            "1e999",
            '{"a": 1e999}',
        ]
    )
    assert space.kind in ("text", "label", "json")
