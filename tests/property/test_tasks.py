"""Properties of finding tasks: determinism, restart, tenants, hostile inputs."""

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jitr.models.answers.normalize import normal, terse
from jitr.models.redaction.redaction import Redaction
from jitr.models.tasks.finder import FinderPolicy, TaskFinder
from jitr.models.tasks.matching.matcher import Matcher
from jitr.models.tasks.matching.pattern import Pattern
from jitr.models.tasks.matching.text import normalise
from jitr.models.tasks.mining.clustering import MinerPolicy
from jitr.models.tasks.mining.items import items_of, shorten
from jitr.models.tasks.mining.miner import Miner
from jitr.schemas.calls import Call, Message, Response
from jitr.schemas.settings import Settings

REDACT = Redaction(Settings()).text
quick = settings(max_examples=60)
texts = st.text(max_size=300)
# fmt: off
words = st.sampled_from(
    ["the", "a", "pear", "sings.", "blue?", "Now:", "\n", ",", "12", "É", "漢字。", "“so”", ")", "rain@x.org",
     "+49", "30", "901820"]
)
# fmt: on
phrases = st.lists(words, max_size=12).map(" ".join)
asks = [
    "Decide whether this is fine.\nText: {}",
    "{}\nNow name its colour, please.",
    "Tone of {} in a word?",
    "{}",
]
prompts = st.builds(lambda ask, p: ask.format(p), st.sampled_from(asks), phrases)


def call(i, prompt, tenant="a", answer="yes", shape="user"):
    turns = [Message(role="user", content=prompt)]
    if shape != "user":
        turns.insert(0, Message(role="system", content="Answer the question of the user in one word."))
    return Call(
        id=f"{tenant}{i}",
        tenant=tenant,
        model="m",
        time=float(i),
        messages=tuple(turns),
        response=Response(text=answer),
    )


def stream(items, tenant="a"):
    return [
        call(i, *item, tenant=tenant) if isinstance(item, tuple) else call(i, item, tenant)
        for i, item in enumerate(items)
    ]


@quick
@given(texts)
def test_normalising_twice_is_normalising_once(text):
    assert normalise(normalise(text)) == normalise(text)


@quick
@given(st.one_of(texts, phrases))
def test_redacting_twice_is_redacting_once(text):
    assert REDACT(REDACT(text)) == REDACT(text)


@quick
@given(st.text(max_size=250))
def test_the_normal_form_of_a_normal_form_is_itself(text):
    assert normal(normal(text)) == normal(text)
    terse(text)


@quick
@given(texts, st.lists(st.text(min_size=1, max_size=20), max_size=4))
def test_slots_and_runs_give_the_text_back(prefix, slots):
    runs = tuple([f"<{i}>" for i in range(len(slots))])
    text = prefix + "".join([s + r for s, r in zip(slots, runs, strict=True)])
    pattern = Pattern(prefix, runs, "")
    if pattern.matches(text):
        found = pattern.slots(text)
        rebuilt = prefix + "".join([s + r for s, r in zip(found, (*runs, ""), strict=True)])
        assert rebuilt == text


@quick
@given(st.lists(prompts, min_size=20, max_size=80), st.data())
def test_a_restart_at_any_point_changes_nothing(items, data):
    cut = data.draw(st.integers(0, len(items)))
    calls = stream(items)
    policy = FinderPolicy(support=8, keep=16, miner=MinerPolicy(window=30))
    whole = TaskFinder("a", policy)
    for c in calls[:cut]:
        whole.learn(c)
    again = TaskFinder.restore(whole.snapshot(), policy)
    assert [again.learn(c) for c in calls[cut:]] == [whole.learn(c) for c in calls[cut:]]
    assert again.snapshot() == whole.snapshot()


@quick
@given(st.lists(prompts, min_size=20, max_size=80))
def test_tenants_never_fuse(items):
    policy = FinderPolicy(support=8)
    found = {}
    for tenant in ("a", "b"):
        finder = TaskFinder(tenant, policy)
        found[tenant] = {f.task.id: f.task for c in stream(items, tenant) for f in finder.learn(c)}
    assert not set(found["a"]) & set(found["b"])
    matcher = Matcher([*found["a"].values(), *found["b"].values()])
    for tenant in ("a", "b"):
        for c in stream(items, tenant):
            match = matcher.match(c)
            assert match is None or match.task_id in found[tenant]


@quick
@given(st.lists(st.tuples(prompts, st.sampled_from(["user", "system"])), min_size=20, max_size=80))
def test_every_call_is_handed_on_at_most_once_and_to_the_task_it_matches(items):
    finder = TaskFinder("a", FinderPolicy(support=8))
    calls = [call(i, p, shape=s) for i, (p, s) in enumerate(items)]
    handed = {}
    tasks = {}
    for c in calls:
        for found in finder.learn(c):
            tasks[found.task.id] = found.task
            for member in found.calls:
                assert member.id not in handed
                handed[member.id] = found.task.id
    assert set(handed) <= {c.id for c in calls}
    assert {t.id for t in finder.tasks if t.status == "task"} <= set(tasks)


hostile = st.one_of(
    st.text(alphabet=st.characters(), max_size=200),
    st.text(alphabet=".,:;!?\"'()[]{}\n \t", max_size=400),
    st.text(alphabet="\x00\x01\x02\x03\x11\x12\x13\x14\x15\x1c\u2028\ufeff a.", max_size=200),
    st.sampled_from(
        ["", " ", "\ud800", "a\ud800b" * 9, "é" * 300, "ab " * 4000, "x" * 9000, "word. " * 3000, "\n" * 999]
    ),
)


@settings(max_examples=40)
@given(st.lists(hostile, max_size=60))
def test_hostile_prompts_never_crash(items):
    finder = TaskFinder("a", FinderPolicy(support=6))
    matcher = Matcher([])
    for c in stream(items):
        REDACT(c.messages[0].content)
        finder.learn(c)
        matcher.match(c)
        items_of(shorten(normalise(c.messages[0].content)))


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "unit",
    ["word ", "x", "a.", "\n ", "«漢字」", "1 ", "a@", "sk-", "([{", '"a" ', "\x12a", "A1", "0-", ": ", "--"],
)
def test_a_prompt_of_a_megabyte_is_worked_off(unit):
    # a step that is quadratic in the length would take hours
    text = (unit * 1_000_000)[:1_000_000]
    finder = TaskFinder("a", FinderPolicy(support=6))
    for i in range(8):
        assert finder.learn(call(i, REDACT(f"{text}{i}"), answer=text)) is not None
    assert normal(text) is not None


SCRIPT = """
import hashlib
from jitr.models.tasks.finder import TaskFinder
from jitr.schemas.calls import Call, Message, Response
from jitr.schemas.settings import Settings

finder = TaskFinder("a")
asks = ["Name the colour of this thing: ", "Is it fine? Say yes or no.\\n", "Why "]
for i in range(400):
    prompt = asks[i % 3] + " ".join(str(i * k % 97) for k in (3, 5, 7))
    messages = (Message(role="user", content=prompt),)
    answer = Response(text="yes")
    finder.learn(Call(id=str(i), tenant="a", model="m", time=0.0, messages=messages, response=answer))
print(len(finder.tasks), hashlib.blake2b(finder.snapshot()).hexdigest())
"""


def test_the_hash_seed_of_the_process_does_not_matter():
    out = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "77")
    }
    assert len(out) == 1
    assert int(next(iter(out)).split()[0]) >= 2


def test_replays_lose_no_task_and_memory_stays_flat():
    miner = Miner(MinerPolicy(window=500))
    texts = [ask.format(f"thing {i} of {i * 7 % 31}") for i in range(120) for ask in asks[:3]]
    sizes = []
    for n in range(12):
        for i, text in enumerate(texts):
            miner.add(normalise(text), n * len(texts) + i)
        miner.events.clear()
        sizes.append((len(miner.clusters), len(miner.window)))
    assert len(set(sizes[2:])) == 1
    assert sizes[-1][0] == 3
