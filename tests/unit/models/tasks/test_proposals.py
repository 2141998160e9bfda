import numpy as np

from jitr.models.tasks.proposals import instruction, propose
from jitr.schemas.tasks import Signature, Skeleton, Task

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def encode(texts):
    rows = np.array([[t.lower().count(x) for x in LETTERS] for t in texts], dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def task(id, prefix, **fields):
    kept = {"tenant": "acme", "status": "task", "signature": Signature(model="m", shape="user"), **fields}
    return Task(id=id, skeletons=(Skeleton(prefix=prefix, suffix="\nAnswer:"),), **kept)


def pairs(*tasks):
    return [(p.into, p.other) for p in propose(tasks, encode, least=0.9)]


def test_the_same_words_in_another_order_are_proposed_with_the_busier_task_first():
    a, b = task("a", "Sum up the text"), task("b", "The text, sum up", calls=9)
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


def test_only_the_skeleton_is_embedded():
    assert instruction(task("a", "Sum up the\ntext:")) == "Sum up the text: ... Answer:"
