"""The same tasks whatever the order of the calls, the number of detect workers, and what share mine sees."""

import random
from collections import Counter
from zlib import crc32

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jitr.models.tasks.finder import FinderPolicy, TaskFinder
from jitr.models.tasks.matching.matcher import Matcher
from jitr.schemas.calls import Call, Message, Response

few = settings(max_examples=6, suppress_health_check=list(HealthCheck))
ASKS = [
    ("Decide whether the following remark is polite. Answer yes or no.\nRemark: {}", ("yes", "no")),
    ("{}\nWhich department should handle this message?", ("sales", "repairs", "billing")),
    ("Rate the urgency of this ticket as low, medium or high:\n{}", ("low", "medium", "high")),
    ("Name the first thing that is mentioned here: {}", ("thing", "place", "person")),
    ("Name the last thing that is mentioned here: {}", ("object", "weekday", "nobody")),
    ("Translate to French.\n\nText: {}\n\nFrench:", None),
    ("Would you recommend {} to a friend of yours?", ("yes", "no")),
]
SUBJECTS = """
    sailor widow tailor captain goblin farmer singer butcher doctor pirate banker hermit
""".split()  # noqa: SIM905
VERBS = """
    lost found broke sold painted stole buried mended dropped borrowed weighed hid
""".split()  # noqa: SIM905
THINGS = """
    kettle violin anchor ladder mirror wagon candle barrel carpet trumpet basket helmet
""".split()  # noqa: SIM905
PLACES = """
    harbour mill market chapel tunnel meadow bridge cellar orchard station quarry lighthouse
""".split()  # noqa: SIM905
OPENINGS = [
    "Why",
    "How often",
    "Is it true that",
    "Tell me when",
    "Who says",
    "Imagine that",
    "Suppose",
    "Explain why",
]


def said(rng):
    return (
        f"the {rng.choice(SUBJECTS)} {rng.choice(VERBS)} {rng.choice(THINGS)} {rng.randrange(100)}"
        f" near a {rng.choice(PLACES)} with the {rng.choice(SUBJECTS)}"
    )


def anything(rng):
    words = [*SUBJECTS, *VERBS, *THINGS, *PLACES, "and", "of", "the", "under"]
    return " ".join(rng.choices(words, k=rng.randrange(4, 12)))


def traffic(seed, each=70, tenant="a"):
    rng = random.Random(seed)
    made = []
    for ask, answers in ASKS:
        for _ in range(each):
            answer = rng.choice(answers) if answers else f"{said(rng)}, or so they say, {said(rng)}"
            made.append((ask.format(said(rng)), answer, ask))
    for _ in range(2 * each):
        made.append((f"{rng.choice(OPENINGS)} {anything(rng)}?", anything(rng), None))
    rng.shuffle(made)
    calls = [
        Call(
            id=f"{crc32(prompt.encode()):08x}{i}",
            tenant=tenant,
            model="m",
            time=float(i),
            messages=(Message(role="user", content=prompt),),
            response=Response(text=answer),
        )
        for i, (prompt, answer, _) in enumerate(made)
    ]
    return calls, [truth for _, _, truth in made]


def by_workers(calls, *, workers=1, sample=1.0, batch=16):
    """What detect and mine do: workers match by the tasks of the last batch, and one miner has the rest."""
    finder = TaskFinder("a", FinderPolicy(support=20))
    tasks = {}
    for start in range(0, len(calls), batch):
        part = calls[start : start + batch]
        matcher = Matcher(tasks.values())
        left = [c for c in part if matcher.match(c) is None and crc32(c.id.encode()) % 1000 < 1000 * sample]
        # the workers' partitions arrive one after the other
        left.sort(key=lambda c: crc32(c.id.encode()) % workers)
        for call in left:
            for found in finder.learn(call):
                tasks[found.task.id] = found.task
    return Matcher(tasks.values())


def labels(matcher, calls):
    found = [matcher.match(c) for c in calls]
    return [c.id if m is None else m.task_id for c, m in zip(calls, found, strict=True)]


def rand(first, second):
    """The adjusted Rand index (Hubert and Arabie, 1985)."""

    def pairs(counts):
        return sum(n * (n - 1) / 2 for n in counts.values())

    joint = pairs(Counter(zip(first, second, strict=True)))
    a, b = pairs(Counter(first)), pairs(Counter(second))
    chance = a * b / (len(first) * (len(first) - 1) / 2)
    return (joint - chance) / ((a + b) / 2 - chance)


@few
@given(st.integers(0, 10_000), st.randoms(use_true_random=False))
def test_two_interleavings_give_the_same_tasks(seed, rng):
    calls, truth = traffic(seed)
    other = list(calls)
    rng.shuffle(other)
    first, second = labels(by_workers(calls), calls), labels(by_workers(other), calls)
    assert rand(first, second) >= 0.98
    known = [i for i, t in enumerate(truth) if t is not None]
    assert rand([truth[i] for i in known], [first[i] for i in known]) >= 0.98


@few
@given(st.integers(0, 10_000), st.sampled_from([2, 4]))
def test_two_and_four_detect_workers_give_the_tasks_of_one(seed, workers):
    calls, _ = traffic(seed)
    one, many = by_workers(calls), by_workers(calls, workers=workers, batch=64)
    assert rand(labels(one, calls), labels(many, calls)) >= 0.98


@few
@given(st.integers(0, 10_000))
def test_a_miner_that_sees_half_of_the_unmatched_calls_finds_the_same_tasks(seed):
    calls, _ = traffic(seed, each=120)
    every, some = by_workers(calls), by_workers(calls, sample=0.5)
    assert rand(labels(every, calls), labels(some, calls)) >= 0.98


@few
@given(st.integers(0, 10_000))
def test_the_router_says_what_the_detector_says(seed):
    calls, _ = traffic(seed)
    finder = TaskFinder("a", FinderPolicy(support=20))
    tasks, handed = {}, {}
    for call in calls:
        for found in finder.learn(call):
            tasks[found.task.id] = found.task
            handed.update(dict.fromkeys([c.id for c in found.calls], found.task.id))
    router, detector = Matcher(tasks.values()), Matcher(reversed(tasks.values()))
    for call in calls:
        here, there = router.match(call), detector.match(call)
        assert here == there
        if call.id in handed:
            assert here is not None
            assert here.task_id == handed[call.id]


@pytest.mark.parametrize("seed", [1, 2])
def test_opposite_questions_stay_two_tasks(seed):
    calls, truth = traffic(seed)
    held = labels(by_workers(calls), calls)
    first = {h for h, t in zip(held, truth, strict=True) if t == ASKS[3][0]}
    last = {h for h, t in zip(held, truth, strict=True) if t == ASKS[4][0]}
    assert len(first) == len(last) == 1
    assert not first & last
