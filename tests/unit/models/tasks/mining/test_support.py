from itertools import pairwise

from jitr.models.tasks.matching.text import CUT
from jitr.models.tasks.mining.draft import common_items, draft
from jitr.models.tasks.mining.items import items_of
from jitr.models.tasks.mining.miner import Miner
from jitr.models.tasks.mining.objections import few_neighbours
from jitr.models.tasks.mining.support import opens_or_ends
from jitr.models.tasks.mining.window import Entry

# fmt: off
GIFTS = [
    "kettle", "lantern", "violin", "mirror", "pillow", "basket", "saddle", "ribbon", "marble", "anchor",
    "feather", "pepper",
]
# fmt: on


def entries(texts, answers=None):
    return [
        Entry(i, t, items_of(t), answers[i % len(answers)] if answers else None, 0.0)
        for i, t in enumerate(texts)
    ]


def test_closed_answers_never_ask_for_more_prompts_than_free_ones():
    # a question with a slot in mid sentence waited for twenty prompts because it was answered yes or no
    prompts = [f"Tell me whether a {gift} would be a good present for a colleague." for gift in GIFTS]
    found_at = {}
    for name, answers in {"closed": ["Yes", "No"], "free": [None]}.items():
        miner = Miner()
        ids = [miner.add(p, i, answers[i % len(answers)]) for i, p in enumerate(prompts)]
        found_at[name] = next(i for i, id in enumerate(ids) if id is not None)
    assert found_at["closed"] <= found_at["free"] < len(prompts) - 1


def test_questions_that_open_alike_are_turned_down_unless_their_answers_are_closed():
    asked = [f"What is the {gift} of {GIFTS[i - 5]}?" for i, gift in enumerate(GIFTS)]
    assert opens_or_ends(entries(asked))
    assert not opens_or_ends(entries(asked, ["yes", "no"]))


def test_an_opening_that_ends_its_sentence_is_looked_at():
    assert not opens_or_ends(
        entries([f"Translate this:\n{gift} and {GIFTS[i - 3]}" for i, gift in enumerate(GIFTS)])
    )


def test_constant_text_after_a_cut_is_no_piece_of_a_slot_value():
    # of prompts with long examples both ends are kept, of some all: before the cut stands one of two things
    before = "Answer the question on the passage, as it was done for these two passages:\n"
    after = "".join([f"The {a} stood beside the {b} until the morning came. " for a, b in pairwise(GIFTS)])
    texts = [f"{before}{CUT if i % 2 else ''}{after}\nPassage: {gift} {i}" for i, gift in enumerate(GIFTS)]
    found = draft(*common_items(entries(texts)), 6)
    assert found is not None
    assert [len(run) > 200 for run in found.pattern.inner] == [True]
    assert not few_neighbours(found)
