"""Where the teacher tells how sure it was and draws its answers, its probabilities are learned."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from jitr.models.datasets.examples import Dataset, Example
from jitr.models.datasets.parts import read_parts, write_part
from jitr.models.datasets.soft import soft_label
from jitr.models.encoders.weights import Weights
from jitr.models.surrogates.candidates import Candidate
from jitr.models.surrogates.heads.fields import fields_of
from jitr.models.training.search.race_data import RaceData
from jitr.schemas.dialects import OpenAIPair
from jitr.schemas.dialects.base import Origin

TEXTS = {"yes": "Yes", "no": "No", "not sure": "Not sure"}


def told(n: int, greedy: bool = False) -> list[Example]:
    """A teacher that is in doubt where a text says perhaps: it draws its answer, or says the likelier one."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(n):
        sure = float(rng.choice([0.95, 0.6, 0.4, 0.05]))
        words = {0.95: "surely", 0.6: "perhaps", 0.4: "hardly", 0.05: "never"}[sure]
        yes = sure > 0.5 if greedy else rng.random() < sure
        text = f"{words} {' '.join(rng.choice(['it', 'was', 'so', 'then', 'here', 'now'], 4))} {i}"
        label = "yes" if yes else "no"
        rows.append(
            Example(str(i), float(i), text, label, text=TEXTS[label], opening={"Yes": sure, "No": 1 - sure})
        )
    return rows


def test_tokens_speak_for_the_label_that_they_begin_and_for_no_other() -> None:
    assert soft_label("yes", {"Yes": 0.9, "Not": 0.1}, TEXTS) == {"yes": 0.9, "not sure": 0.1}
    # "No" begins two labels: what it says stays with the one that was said
    assert soft_label("yes", {" yes": 0.5, "No": 0.5}, TEXTS) == {"yes": 1.0}
    assert soft_label("yes", {}, TEXTS) == {"yes": 1.0}
    assert sum(soft_label("no", {"Yes": 0.7, "yes": 0.7}, TEXTS).values()) == pytest.approx(1)


def test_a_teacher_that_draws_is_told_from_one_that_says_what_is_likeliest() -> None:
    assert len(Dataset.from_examples(told(300)).soft) == 300
    assert Dataset.from_examples(told(300, greedy=True)).soft == ()
    assert Dataset.from_examples([Example("1", 0.0, "a", "yes")]).soft == ()


@pytest.mark.parametrize("head", ["linear", "ridge"])
def test_soft_labels_help_where_answers_are_drawn(head: str) -> None:
    def likeliest(dataset: Dataset) -> float:
        fields, numbers = fields_of(dataset.labels)
        raced = RaceData(dataset, fields, numbers, Weights(), 0)
        fitted = raced.fit(Candidate(head, True, None), len(dataset))
        said, _ = fitted.model.answer(dataset.inputs)
        meant = ["yes" if text.startswith(("surely", "perhaps")) else "no" for text in dataset.inputs]
        return float(np.mean([a == b for a, b in zip(said, meant, strict=True)]))

    rows = told(120)
    hard = [Example(e.call_id, e.time, e.input, e.label) for e in rows]
    soft, plain = likeliest(Dataset.from_examples(rows)), likeliest(Dataset.from_examples(hard))
    assert soft > 0.95 and soft > plain


def test_parts_keep_what_was_told_and_how_it_was_written(tmp_path: Path) -> None:
    rows = told(20)
    ref = write_part(str(tmp_path), "t", 0, 0, rows, list(range(20)))
    dataset = read_parts([ref])
    assert dataset.soft == Dataset.from_examples(rows).soft != ()
    assert dataset.renderings == {"no": "No", "yes": "Yes"}
    assert dataset.digest == Dataset.from_examples(rows).digest


def test_log_probabilities_of_an_openai_response_are_read() -> None:
    token = {"token": "Yes", "logprob": -0.1, "bytes": None}
    other = {"token": "No", "logprob": -2.4, "bytes": None}
    content = [
        {"token": "\n", "logprob": 0.0, "top_logprobs": []},
        {**token, "top_logprobs": [token, other]},
        {"token": ".", "logprob": 0.0, "top_logprobs": []},
    ]
    pair = {
        "request": {"model": "m", "messages": [{"role": "user", "content": "x"}], "logprobs": True},
        "response": {
            "model": "m",
            "choices": [
                {"message": {"content": "\nYes."}, "logprobs": {"content": content, "refusal": None}}
            ],
        },
    }
    call = OpenAIPair().read(pair, Origin(id="1", time=0.0, tenant="t"))
    assert call.response.opening == {"Yes": 0.904837, "No": 0.090718}
