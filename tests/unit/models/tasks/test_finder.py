import msgspec
import pytest

from jitr.models.tasks.finder import FinderPolicy, TaskFinder
from jitr.models.tasks.matching.matcher import Matcher
from jitr.schemas.errors import RecordError

ASK = "Decide whether the following remark is polite. Answer yes or no.\nRemark: "


def test_below_support_a_task_is_a_candidate_and_nothing_is_handed_on(make, slot_values):
    finder = TaskFinder("acme", FinderPolicy(support=30))
    found = [f for i, p in enumerate(slot_values(29)) for f in finder.learn(make(str(i), ASK + p, "yes"))]
    assert found == []
    assert [t.status for t in finder.tasks] == ["candidate"]


def test_at_support_the_task_comes_with_all_its_calls(make, slot_values):
    finder = TaskFinder("acme", FinderPolicy(support=30))
    found = [f for i, p in enumerate(slot_values(30)) for f in finder.learn(make(str(i), ASK + p, "Yes"))]
    assert len(found) == 1
    assert [c.id for c in found[0].calls] == [str(i) for i in range(30)]
    assert found[0].task.status == "task"
    assert found[0].task.kind == "label"
    assert found[0].task.renderings == {"yes": "Yes"}
    assert len(found[0].task.examples) == 3


def test_later_calls_of_a_task_are_handed_on_at_once(make, slot_values):
    finder = TaskFinder("acme", FinderPolicy(support=20))
    calls = [make(str(i), ASK + p, "yes") for i, p in enumerate(slot_values(80))]
    handed = [c.id for call in calls for f in finder.learn(call) for c in f.calls]
    assert handed == [c.id for c in calls]


def test_what_is_handed_on_is_what_the_matcher_says(make, slot_values):
    finder = TaskFinder("acme", FinderPolicy(support=10))
    asks = [ASK, "Summarise the remark in a single word, lower case.\nRemark: "]
    calls = [make(str(i), asks[i % 2] + p, "yes") for i, p in enumerate(slot_values(100))]
    found = [f for call in calls for f in finder.learn(call)]
    matcher = Matcher({f.task.id: f.task for f in found}.values())
    assert all(matcher.match(c).task_id == f.task.id for f in found for c in f.calls)
    assert len({f.task.id for f in found}) == 2


def test_the_id_is_a_hash_of_tenant_and_founding_call(make, slot_values):
    def first(tenant, ids):
        finder = TaskFinder(tenant, FinderPolicy(support=10))
        calls = [make(ids + str(i), ASK + p, "yes", tenant=tenant) for i, p in enumerate(slot_values(10))]
        return next(f for call in calls for f in finder.learn(call)).task.id

    assert first("acme", "x") == first("acme", "x")
    assert len({first("acme", "x"), first("acme", "y"), first("other", "x")}) == 3


def test_another_tenants_call_is_refused(make):
    with pytest.raises(ValueError, match="tenant 'other'"):
        TaskFinder("acme").learn(make("1", "hello", tenant="other"))


def test_the_same_template_asked_of_another_model_is_another_task(make, slot_values):
    finder = TaskFinder("acme", FinderPolicy(support=10))
    for i, p in enumerate(slot_values(40)):
        finder.learn(make(str(i), ASK + p, "yes", model=["small", "large"][i % 2]))
    assert sorted(t.signature.model for t in finder.tasks) == ["large", "small"]


def test_a_helpful_assistant_is_no_task(make, slot_values):
    finder = TaskFinder("acme", FinderPolicy(support=10))
    for i, p in enumerate(slot_values(120)):
        turns = [
            ("system", "You are a helpful assistant."),
            ("user", f"{['Why', 'How', 'When', 'Say if'][i % 4]} {p}"),
        ]
        finder.learn(make(str(i), turns, f"Well, let me think about {p}. " * 5))
    assert finder.tasks == []


def test_a_task_inside_a_generic_system_prompt_is_found(make, slot_values):
    finder = TaskFinder("acme", FinderPolicy(support=10))
    system = ("system", "You are a helpful assistant.")
    calls = []
    for i, p in enumerate(slot_values(120)):
        user = ASK + p if i % 3 == 0 else f"{['Why', 'How', 'When'][i % 3]} {p}"
        calls.append(make(str(i), [system, ("user", user)], "yes" if i % 3 == 0 else f"Well, {p}. " * 9))
    found = [f for call in calls for f in finder.learn(call)]
    assert {f.task.id for f in found} == {finder.tasks[0].id}
    assert Matcher([finder.tasks[0]]).match(make("x", [system, ("user", ASK + "go away")])).input == "go away"


def test_an_instruction_in_the_system_prompt_is_a_task_whose_slot_is_the_user_message(make, slot_values):
    finder = TaskFinder("acme", FinderPolicy(support=10))
    turns = [("system", "Classify the ticket as billing, shipping or other.")]
    labels = ["billing", "shipping", "other"]
    found = [
        f
        for i, p in enumerate(slot_values(12))
        for f in finder.learn(make(str(i), [*turns, ("user", p)], labels[i % 3]))
    ]
    assert found
    assert (
        Matcher([found[-1].task]).match(make("x", [*turns, ("user", "where is it")])).input == "where is it"
    )


def test_constant_example_turns_are_part_of_the_template(make, slot_values):
    finder = TaskFinder("acme", FinderPolicy(support=10))
    shots = [
        ("user", "the soup was cold"),
        ("assistant", "bad"),
        ("user", "what a lovely evening"),
        ("assistant", "good"),
    ]
    found = [
        f
        for i, p in enumerate(slot_values(20))
        for f in finder.learn(make(str(i), [*shots, ("user", p)], "good"))
    ]
    assert found
    assert Matcher([found[-1].task]).match(make("x", [*shots, ("user", "no way")])).input == "no way"


def test_a_task_named_by_its_caller_is_not_guessed(make, slot_values):
    finder = TaskFinder("acme", FinderPolicy(support=10))
    found = [
        f
        for i, p in enumerate(slot_values(12))
        for f in finder.learn(make(str(i), "Tone? " + p, "ok", task="tone"))
    ]
    assert [len(f.calls) for f in found] == [10, 1, 1]
    assert found[0].task.name == found[0].task.caller_name == "tone"
    assert Matcher([found[0].task]).match(make("x", "Tone? nice", task="tone")).input == "nice"


def test_calls_of_one_name_in_two_formats_are_two_tasks(make, slot_values):
    finder = TaskFinder("acme", FinderPolicy(support=10))
    found = {}
    for i, slot_value in enumerate(slot_values(24)):
        call = make(str(i), "Tone? " + slot_value, "ok", task="tone")
        if i % 2:
            call = msgspec.structs.replace(call, response_format='{"type":"json_object"}')
        found |= {f.task.id: f.task for f in finder.learn(call)}
    formats = sorted(task.signature.response_format for task in found.values())
    assert len(formats) == 2 and formats[0] == "" != formats[1]
    matcher = Matcher(TaskFinder.restore(finder.snapshot()).tasks)
    plain = make("x", "Tone? nice", task="tone")
    bound = msgspec.structs.replace(plain, response_format='{"type":"json_object"}')
    assert matcher.match(plain).task_id != matcher.match(bound).task_id


def test_names_that_never_become_tasks_are_forgotten(make):
    finder = TaskFinder("acme", FinderPolicy(support=5, pools=8))
    for i in range(5):
        finder.learn(make(f"kept {i}", f"Tone? {i}", "ok", task="kept"))
    for i in range(50):
        finder.learn(make(str(i), "Tone? nice", "ok", task=f"name {i}"))
    assert len(finder.tasks) == 8
    assert "kept" in [task.caller_name for task in finder.tasks]


def test_repeated_prompts_are_kept_and_handed_on_too(make, slot_values):
    finder = TaskFinder("acme", FinderPolicy(support=10))
    calls = [make(f"{i}-{k}", ASK + p, "yes") for i, p in enumerate(slot_values(10)) for k in range(2)]
    handed = [c.id for call in calls for f in finder.learn(call) for c in f.calls]
    assert handed == [c.id for c in calls]


def test_a_restored_finder_goes_on_as_if_it_had_never_stopped(make, slot_values):
    asks = [ASK, "Summarise the remark in a single word, lower case.\nRemark: ", "Why is it that "]
    calls = [make(str(i), asks[i % 3] + p, "yes", time=float(i)) for i, p in enumerate(slot_values(150))]
    for cut in (1, 17, 75, 140):
        whole = TaskFinder("acme", FinderPolicy(support=20))
        for call in calls[:cut]:
            whole.learn(call)
        again = TaskFinder.restore(whole.snapshot(), FinderPolicy(support=20))
        assert again.snapshot() == whole.snapshot()
        assert [again.learn(c) for c in calls[cut:]] == [whole.learn(c) for c in calls[cut:]]
        assert again.snapshot() == whole.snapshot()


def test_foreign_bytes_are_no_snapshot():
    with pytest.raises(RecordError, match="no snapshot"):
        TaskFinder.restore(b"\x00\x01nonsense")


def test_a_sampled_member_refines_without_being_handed_on(make, slot_values):
    finder = TaskFinder("acme", FinderPolicy(support=10))
    some = slot_values(60)
    for i, p in enumerate(some[:10]):
        finder.learn(make(str(i), ASK + p, "yes"))
    before = finder.tasks[0].calls
    assert all(
        f.calls == () for i, p in enumerate(some[10:]) for f in finder.observe(make(f"o{i}", ASK + p, "no"))
    )
    assert finder.tasks[0].calls > before
    assert finder.observe(make("z", "unknown words altogether")) == []


def test_memory_is_bounded_over_signatures(make, slot_values):
    from jitr.models.tasks.mining.clustering import MinerPolicy

    finder = TaskFinder("acme", FinderPolicy(pools=5, miner=MinerPolicy(window=100)))
    for i, p in enumerate(slot_values(600)):
        finder.learn(make(str(i), p, model=f"m{i % 20}"))
    assert finder.waiting <= 100
