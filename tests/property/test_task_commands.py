"""People merge, split and undo in any order, calls come between, the finder is restarted: nothing is lost."""

import random

import hypothesis.strategies as st
from hypothesis import given, settings

from jitr.models.tasks.finder import FinderPolicy, TaskFinder
from jitr.models.tasks.matching.matcher import Matcher
from jitr.schemas.calls import Call, Message, Response
from jitr.schemas.errors import JitrError
from jitr.schemas.tasks import Task, TaskCommand, Template

POLICY = FinderPolicy(support=12)
ASKS = (
    "Decide whether the following remark is polite. Answer yes or no.\nRemark: ",
    "Is what this person says kind to others? Reply with yes or with no.\nPerson: ",
    "Tell me whether the weather is mentioned in this text, yes or no.\nText: ",
    "Say if the customer below asks for a refund. One word only.\nCustomer: ",
)
# fmt: off
WORDS = [
    "apple", "river", "engine", "window", "garden", "pillow", "copper", "violin", "basket", "lantern",
    "meadow", "anchor", "pepper", "saddle", "marble", "ribbon", "canyon", "pencil", "walnut", "thunder",
]
# fmt: on
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["merge", "undo", "split", "calls", "restart"]), st.integers(0, 7), st.integers(0, 7)
    ),
    max_size=12,
)


def calls(n: int, seed: int) -> list[Call]:
    rng = random.Random(seed)
    return [
        Call(
            id=f"{seed}-{i}",
            tenant="acme",
            model="m",
            time=float(1000 * seed + i),
            messages=(Message(role="user", content=ASKS[i % 4] + " ".join(rng.choices(WORDS, k=7))),),
            response=Response(text=rng.choice(["yes", "no"])),
        )
        for i in range(n)
    ]


def keys(tasks: list[Task]) -> list[tuple[str, tuple[str, ...], str]]:
    return [(s.prefix, s.inner, s.suffix) for t in tasks for s in t.templates]


@settings(max_examples=200)
@given(STEPS)
def test_whatever_people_say_every_prompt_keeps_one_task_and_a_restart_changes_nothing(
    steps: list[tuple[str, int, int]],
) -> None:
    finder = TaskFinder("acme", POLICY)
    told: dict[str, Task] = {}

    def tell(found: list) -> None:  # type: ignore[type-arg]
        for one in found:
            if one.changed:
                known = told.get(one.task.id)
                assert known is None or one.task.version >= known.version, "rows never go back"
                assert known is None or known.version < one.task.version or known.status == one.task.status
                told[one.task.id] = one.task

    for call in calls(80, 0):
        tell(finder.learn(call))
    assert len(finder.tasks) == 4
    for number, (step, i, j) in enumerate(steps, 1):
        tasks = [t for t in finder.tasks if t.status == "task"]
        a, b = tasks[i % len(tasks)], tasks[j % len(tasks)]
        word = TaskCommand(id=str(number), tenant="acme", time=1e6, verb="merge", task=a.id, other=b.id)
        before = finder.snapshot()
        try:
            if step == "merge":
                tell(finder.obey(word))
            elif step == "undo":
                gone = sorted(t.id for t in told.values() if t.merged_into == a.id)
                other = gone[j % len(gone)] if gone else b.id
                undo = TaskCommand(
                    id=str(number), tenant="acme", time=1e6, verb="undo", task=a.id, other=other
                )
                tell(finder.obey(undo))
            elif step == "split":
                first = a.templates[0]
                narrow = Template(prefix=f"{first.prefix} {WORDS[j]}", inner=first.inner, suffix=first.suffix)
                template = a.templates[1] if len(a.templates) > 1 and j % 2 else narrow
                split = TaskCommand(
                    id=str(number), tenant="acme", time=1e6, verb="split", task=a.id, template=template
                )
                tell(finder.obey(split))
            elif step == "calls":
                for call in calls(12, number):
                    tell(finder.learn(call))
            else:
                finder = TaskFinder.restore(finder.snapshot(), POLICY)
                assert finder.snapshot() == before
        except JitrError:
            assert step in ("merge", "undo", "split")
        tasks = [t for t in finder.tasks if t.status == "task"]
        assert len(keys(tasks)) == len(set(keys(tasks))), "no template is two tasks'"
        assert {t.id: (t.status, t.templates) for t in tasks} == {
            t.id: (t.status, t.templates) for t in told.values() if t.status == "task"
        }, "what was told is what is"
        assert all(t.history[-1].version == t.version and len(t.history) <= 24 for t in tasks)
        matcher = Matcher(told.values())
        assert all(matcher.match(call) is not None for call in calls(8, 99)), "no prompt is lost"
