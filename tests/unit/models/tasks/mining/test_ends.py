"""Where a slot value begins behind worked examples, and where no examples are shown at all."""

import pytest

from jitr.models.tasks.mining.ends import slot_start
from jitr.models.tasks.mining.miner import Miner

CHAT = "User: hi\nBot: hello\nUser: bye\nBot: ciao\nUser:"
RULES = "Rule: be brief.\nRule: no lists.\nRule:"
PAIRS = "Input: a b\nOutput: c\nInput: d e\nOutput: f\nInput:"
CAUSES = (
    "Input: Which sentence is the effect of rain?\nOutput: A\n"
    "Input: Which sentence is the effect of snow?\nOutput: B\nInput:"
)


@pytest.mark.parametrize(
    ("shown", "behind", "kept"),
    [
        (PAIRS, " the", ""),
        (PAIRS, " What is the", ""),
        (CAUSES, " Which sentence is the cause of", ""),
        (CHAT, " translate to French the following sentence:", None),
        (CHAT, " now in French:", None),
        (RULES, " answer", None),
        ("Input: a\nOutput: b\nInput:", " the", None),
    ],
)
def test_only_what_begins_an_input_is_left_to_the_slot_value(shown, behind, kept):
    prefix = shown + behind
    assert prefix[: slot_start(prefix)] == shown + (behind if kept is None else kept)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (
            f"{CHAT} translate to French the following sentence: {{}}",
            f"{CHAT} summarise in three words: {{}}",
        ),
        (f"{RULES} answer in French, and translate: {{}}", f"{RULES} in English, make this short: {{}}"),
        (f"{PAIRS} {{}}\nTranslate it to French.", f"{PAIRS} {{}}\nSummarise it in one line."),
    ],
)
def test_tasks_that_differ_behind_the_same_examples_stay_two(first, second, slot_values):
    miner = Miner()
    texts = [(first, second)[i % 2].format(slot_value) for i, slot_value in enumerate(slot_values(200))]
    for i, text in enumerate(texts):
        miner.add(text, i)
    ids = [miner.match(text).id for text in texts]
    assert len(set(ids[::2])) == len(set(ids[1::2])) == 1
    assert ids[0] != ids[1]
