import msgspec
import pytest

from jitr.models.tasks.matching.matcher import Matcher
from jitr.models.tasks.matching.signature import digest
from jitr.schemas.tasks import Signature, Task, Template

TASK = Task(
    id="t1",
    tenant="acme",
    status="task",
    signature=Signature(model="gpt-4o", shape="user"),
    templates=(Template(prefix="Tone of:", suffix="Tone:"),),
)


def replace(**changes):
    return msgspec.structs.replace(TASK, **changes)


def test_a_match_gives_task_version_slots_and_input(make):
    match = Matcher([replace(version=3)]).match(make("1", "Tone of:  so good \n Tone:"))
    assert (match.task_id, match.version, match.input) == ("t1", 3, "so good")
    assert match.slots == (" so good\n",)


def test_a_call_matches_with_and_without_a_response(make):
    matcher = Matcher([TASK])
    assert matcher.match(make("1", "Tone of: x Tone:")) == matcher.match(
        make("1", "Tone of: x Tone:", "good")
    )


@pytest.mark.parametrize(
    "change",
    [{"tenant": "other"}, {"model": "gpt-4o-mini"}, {"tools": '[{"name":"f"}]'}, {"task": "some name"}],
)
def test_another_signature_is_another_task(make, change):
    assert Matcher([TASK]).match(make("1", "Tone of: x Tone:", **change)) is None


def test_the_same_words_in_another_message_shape_do_not_match(make):
    assert Matcher([TASK]).match(make("1", [("system", "Tone of:"), ("user", "x Tone:")])) is None


def test_tools_are_matched_by_their_digest(make):
    tools = '[{"name":"f"}]'
    task = replace(signature=Signature(model="gpt-4o", shape="user", tools=digest(tools)))
    assert Matcher([task]).match(make("1", "Tone of: x Tone:", tools=tools)) is not None
    assert Matcher([task]).match(make("1", "Tone of: x Tone:")) is None


@pytest.mark.parametrize("status", ["candidate", "merged", "retired"])
def test_only_established_tasks_match(make, status):
    assert Matcher([replace(status=status)]).match(make("1", "Tone of: x Tone:")) is None


def test_a_name_given_by_the_caller_is_kept_to(make):
    named = replace(id="t2", caller_name="tone", templates=(Template(prefix="Rate:"),))
    matcher = Matcher([TASK, named])
    assert matcher.match(make("1", "Rate: fine", task="tone")).slots == (" fine",)
    assert matcher.match(make("2", "whatever it says", task="tone")).input == "whatever it says"
    assert matcher.match(make("3", "Tone of: x Tone:", task="unheard of")) is None
    assert matcher.match(make("4", "Rate: fine")) is None


def test_the_order_of_a_snapshot_does_not_matter(make):
    tasks = [
        replace(id=f"t{i}", templates=(Template(prefix="Tone of:", suffix=s),))
        for i, s in enumerate(["a:", "b:"])
    ]
    calls = [make("1", "Tone of: x a:"), make("2", "Tone of: x b:")]
    assert [Matcher(tasks).match(c) for c in calls] == [Matcher(tasks[::-1]).match(c) for c in calls]


def test_chat_history_of_any_length_matches_a_constant_system_prompt(make):
    task = replace(
        signature=Signature(model="gpt-4o", shape="system+chat"),
        templates=(Template(prefix="\x11Name the intent.\x12"),),
    )
    matcher = Matcher([task])
    turns = [
        ("system", "Name the intent."),
        ("user", "hi"),
        ("assistant", "hello"),
        ("user", "I lost my card"),
    ]
    assert matcher.match(make("1", turns)).input == "hi\n[assistant] hello\n[user] I lost my card"
    assert matcher.match(make("2", [*turns, ("assistant", "oh"), ("user", "yes")])) is not None


@pytest.mark.parametrize(
    "change",
    [
        {"response_format": '{"type":"json_schema"}'},
        {"tools": '[{"name":"f"}]'},
        {"model": "gpt-4o-mini"},
        {"tenant": "other"},
    ],
)
def test_a_name_does_not_stand_for_another_format_tools_or_model(make, change):
    matcher = Matcher([replace(id="t2", caller_name="tone")])
    call = make("1", "Tone of: x Tone:", task="tone")
    assert matcher.match(call) is not None
    assert matcher.match(msgspec.structs.replace(call, **change)) is None


@pytest.mark.parametrize("change", [{"response_format": '{"type":"text"}'}, {"tools": "[]"}])
@pytest.mark.parametrize("name", [None, "tone"])
def test_plain_text_and_no_tools_are_the_same_as_none_said(make, change, name):
    matcher = Matcher([TASK, replace(id="t2", caller_name="tone")])
    call = msgspec.structs.replace(make("1", "Tone of: x Tone:", task=name), **change)
    assert matcher.match(call) is not None
