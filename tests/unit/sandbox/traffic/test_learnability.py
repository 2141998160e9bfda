"""A surrogate has to learn: keywords do not reach the demo's target, a plain linear model does."""

import json
import random
from functools import cache

import numpy as np
import pytest
from scipy.sparse import hstack
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from jitr.sandbox.traffic.workload import all_tasks

TARGET = 0.90
TASKS = {task.name: task for task in all_tasks()}


@cache
def data(name: str) -> tuple[list[str], list[str], list[str], list[str]]:
    task, rng = TASKS[name], random.Random(11)
    texts = [task.slot_value(rng) for _ in range(1200)]
    answers = [task.answer(text) for text in texts]
    return texts[:600], answers[:600], texts[600:], answers[600:]


def agreement_of_keywords(name: str, words: int) -> float:
    """The best words of each label, by how often they occur with it and hardly elsewhere; most hits win."""
    texts, answers, later, truth = data(name)
    counter = CountVectorizer(binary=True, min_df=2)
    X, Z = counter.fit_transform(texts).toarray(), counter.transform(later).toarray()
    labels, y = sorted(set(answers)), np.array(answers)
    hits = np.zeros((len(later), len(labels)))
    for at, label in enumerate(labels):
        inside, everywhere = X[y == label].sum(0), X.sum(0)
        precision, recall = inside / everywhere, inside / (y == label).sum()
        hits[:, at] = Z[:, np.argsort(-recall * (precision > 0.6) - 1e-3 * precision)[:words]].sum(1)
    common = max(labels, key=answers.count)
    said = [labels[row.argmax()] if row.max() > 0 else common for row in hits]
    return float(np.mean(np.array(said) == np.array(truth)))


def scores_of_linear_model(name: str) -> tuple[np.ndarray, np.ndarray]:
    texts, answers, later, truth = data(name)
    sights = (
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True, max_features=40_000),
    )
    X = hstack([sight.fit_transform(texts) for sight in sights]).tocsr()
    Z = hstack([sight.transform(later) for sight in sights]).tocsr()
    # a JSON answer is learned field by field
    many = answers[0].startswith("{")
    columns = [list(json.loads(a).values()) if many else [a] for a in answers]
    wanted = [list(json.loads(a).values()) if many else [a] for a in truth]
    right, score = np.ones(len(later), bool), np.ones(len(later))
    for at in range(len(columns[0])):
        model = LogisticRegression(C=20, max_iter=200).fit(X, [row[at] for row in columns])
        chances = model.predict_proba(Z)
        right &= model.classes_[chances.argmax(1)] == np.array([row[at] for row in wanted])
        score *= chances.max(1)
    return right, score


def coverage(right: np.ndarray, score: np.ndarray) -> float:
    """The largest share of answers, surest first, that agrees at least as often as the target."""
    order = np.argsort(-score)
    running = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    good = np.nonzero(running >= TARGET)[0]
    return (good[-1] + 1) / len(order) if len(good) else 0.0


@pytest.mark.parametrize("words", [1, 3, 5, 10, 20])
def test_a_few_keywords_for_each_label_stay_below_the_target(words: int) -> None:
    reached = {name: agreement_of_keywords(name, words) for name in TASKS}
    assert sum(agreement < 0.87 for agreement in reached.values()) >= len(TASKS) - 1, reached
    assert max(reached.values()) < TARGET, reached


def test_a_linear_model_reaches_the_target_on_most_tasks_and_not_where_the_teacher_is_noisy() -> None:
    found = {name: scores_of_linear_model(name) for name in TASKS}
    covered = {name: coverage(*pair) for name, pair in found.items()}
    agreement = {name: float(right.mean()) for name, (right, _) in found.items()}
    assert sum(rate >= 0.93 for rate in agreement.values()) >= 6, agreement
    assert sum(share >= 0.9 for share in covered.values()) >= 6, covered
    assert agreement["language-id"] > 0.97
    assert covered["lead-score"] < 0.1
