import numpy as np
import pytest

from jitr.models.encoders.weights import Weights
from jitr.models.tasks.records.proposals import instruction, opposed, propose
from jitr.schemas.errors import WeightsError
from jitr.schemas.tasks import Signature, Task, Template

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def encode(texts):
    rows = np.array([[t.lower().count(x) for x in LETTERS] for t in texts], dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def task(id, prefix, **fields):
    kept = {"tenant": "acme", "status": "task", "signature": Signature(model="m", shape="user"), **fields}
    return Task(id=id, templates=(Template(prefix=prefix, suffix="\nAnswer:"),), **kept)


def pairs(*tasks):
    return [(p.into, p.other) for p in propose(tasks, encode, least=0.9)]


def test_instructions_alike_are_proposed_with_the_busier_task_first():
    a, b = task("a", "Sum up the text"), task("b", "Please do sum up the text", calls=9)
    assert pairs(a, b) == [("b", "a")]


def test_tasks_of_another_model_tenant_or_kind_are_not_proposed():
    a = task("a", "Sum up the text")
    others = [
        task("b", "Sum up the text.", signature=Signature(model="n", shape="user")),
        task("c", "Sum up the text.", tenant="other"),
        task("d", "Sum up the text.", kind="label"),
    ]
    assert [pairs(a, other) for other in others] == [[], [], []]


def test_tasks_with_other_labels_are_not_proposed():
    a = task("a", "Sum up the text", kind="label", labels=("yes", "no"))
    assert pairs(a, task("b", "Sum up the text.", kind="label", labels=("cold", "warm"))) == []
    assert pairs(a, task("b", "Sum up the text.", kind="label", labels=("no", "yes")))


def test_only_the_template_is_embedded():
    assert instruction(task("a", "Sum up the\ntext:")) == "Sum up the text: ... Answer:"


# the first lines were there when the rule for opposites was made, those after the break were written later
PARAPHRASES = [
    ("Classify the sentiment as positive or negative.", "Is this review positive or negative in tone?"),
    ("Translate the following sentence into French.", "What is the French translation of this sentence?"),
    ("Is this message spam? Answer yes or no.", "Decide whether the message below is spam (yes/no)."),
    ("Rate the urgency of this request from 1 to 5.", "On a scale of 1 to 5, how urgent is the request?"),
    ("Determine the intent of the user's message.", "What does the user want? Name the message's intent."),
    ("Find the grammatical errors in this sentence.", "List the grammar mistakes in the sentence below."),
    #
    ("Pull every date out of this contract.", "List all dates mentioned in the contract below."),
    ("Which language is this text written in?", "Detect the language of the following text."),
]  # fmt: skip
OPPOSITES = [
    ("Is this review positive?", "Is this review negative?"),
    ("What is the first step of the process?", "What is the last step of the process?"),
    ("Name the cause of the event.", "Name the effect of the event."),
    ("Translate from English to French.", "Translate from French to English."),
    ("Write a summary of this dialogue.", "Write a dialogue for this summary."),
    ("Name the sender of the letter.", "Name the recipient of the letter."),
    #
    ("Say who won the match.", "Say who lost the match."),
    ("List what is allowed by this clause.", "List what is forbidden by this clause."),
    ("Give the strongest argument for the motion.", "Give the strongest argument against the motion."),
    ("Convert this JSON to YAML.", "Convert this YAML to JSON."),
]


@pytest.fixture(scope="module")
def minilm():
    try:
        return Weights().encoder("minilm")
    except WeightsError as error:
        pytest.skip(str(error))


def test_paraphrases_are_proposed_and_opposite_questions_never(minilm):
    def proposed(two):
        return bool(propose([task("a", two[0]), task("b", two[1])], minilm.encode))

    assert [two for two in OPPOSITES if proposed(two)] == []
    assert sum(map(proposed, PARAPHRASES)) >= 5


def test_an_instruction_with_a_word_more_is_not_opposed():
    assert not opposed("Is it spam?", "Is it spam? Answer yes or no.")
    assert opposed("Is it spam?", "Is it ham?")
