"""Families of short prompts are tasks; ad-hoc questions with one opening are none."""

import random

import pytest

from jitr.models.tasks.finder import TaskFinder
from jitr.models.tasks.matching.matcher import Matcher
from jitr.models.tasks.mining.miner import Miner
from jitr.models.tasks.records.state import load_miner, save_miner
from jitr.schemas.calls import Call, Message
from jitr.schemas.tasks import Template

WORDS = (
    "gather",
    "shallow",
    "brittle",
    "wander",
    "orchard",
    "sparse",
    "humble",
    "linger",
    "pebble",
    "ferment",
)


def phrases(n, seed=0):
    """Different texts of one to three words."""
    rng = random.Random(seed)
    found = {}
    while len(found) < n:
        found[" ".join(rng.sample(WORDS, rng.randrange(1, 4)))] = None
    return list(found)


def cluster(texts):
    miner = Miner()
    for i, text in enumerate(texts):
        miner.add(text, i)
    return miner


@pytest.mark.parametrize("family", ["Define {}", "tl;dr {}", "Capital of {}?", "{} or not?", "Is {} cheap"])
def test_a_family_of_short_prompts_is_a_task(family, slot_values):
    texts = [family.format(phrase) for phrase in phrases(60)]
    mixed = [t for pair in zip(texts, slot_values(60), strict=True) for t in pair]
    found = cluster(mixed)
    assert len({m.id for m in map(found.match, texts) if m is not None}) == 1
    assert all(map(found.match, texts))
    assert not any(map(found.match, slot_values(60)))


def test_an_opening_that_also_goes_on_for_long_is_none(slot_values):
    short = [f"Define {phrase}" for phrase in phrases(60)]
    long = [f"Define what {slot_value}" for slot_value in slot_values(12)]
    texts = short + long
    random.Random(0).shuffle(texts)
    assert not any(map(cluster(texts).match, texts))


def test_a_second_clause_shows_that_prompts_are_no_family():
    texts = [f"Define {phrase}, {other}" for phrase, other in zip(phrases(60), phrases(60, 1), strict=True)]
    assert not any(map(cluster(texts).match, texts))


def test_a_longer_prompt_that_begins_so_is_not_swallowed():
    found = cluster([f"Define {phrase}" for phrase in phrases(60)])
    assert found.match("Define overfit") is not None
    assert found.match("Define a function that overfits on purpose and say why") is None
    assert found.match("Defined") is None


def test_the_bound_survives_a_restart():
    found = cluster([f"Define {phrase}" for phrase in phrases(60)])
    again = load_miner(save_miner(found), found.policy)
    assert again.match("Define overfit").pattern.most_words == 5
    assert again.match("Define a function that overfits on purpose and say why") is None


def test_the_router_matches_as_the_miner_does():
    def call(i, text):
        return Call(id=str(i), model="m", time=float(i), messages=(Message(role="user", content=text),))

    finder = TaskFinder("default")
    tasks = {}
    for i, phrase in enumerate(phrases(60)):
        tasks.update({found.task.id: found.task for found in finder.learn(call(i, f"Define {phrase}"))})
    (task,) = tasks.values()
    assert task.templates == (Template(prefix="Define ", most_words=5),)
    matcher = Matcher([task])
    assert matcher.match(call(90, "Define overfit")).input == "overfit"
    assert matcher.match(call(91, "Define a function that overfits on purpose and say why")) is None


def test_the_bound_falls_when_long_prompts_turn_out_to_be_of_the_family(slot_values):
    miner = cluster([f"{phrase} or not?" for phrase in phrases(60)])
    before = miner.match("humble or not?")
    assert before.pattern.most_words
    for i, slot_value in enumerate(slot_values(60)):
        miner.add(f"{slot_value} or not?", 100 + i, ("yes", "no")[i % 2])
    assert miner.match("humble or not?") is before
    assert miner.match("a long question that goes on and on or not?") is before


def test_a_short_family_takes_over_no_template_whose_prompts_may_be_longer():
    miner = cluster([f"Sort the list: {phrase}" for phrase in phrases(60)])
    before = miner.match("Sort the list: pebble")
    assert not before.pattern.most_words
    for i, phrase in enumerate(phrases(120, 1)):
        miner.add(f"Sort {phrase}", 100 + i)
    assert miner.match("Sort pebble").pattern.most_words
    assert miner.match("Sort the list: " + "pebble, " * 30) is before


def test_a_short_family_takes_over_no_wider_one():
    miner = cluster([f"Synonym for {phrase}" for phrase in phrases(60)])
    longest = "Synonym for one two three four"
    before = miner.match(longest)
    for i, phrase in enumerate(phrases(120, 1)):
        miner.add(f"Synonym {phrase}", 100 + i)
    assert miner.match(longest) is before
