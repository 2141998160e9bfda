"""The runtime stays light, and answers from many threads."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jitr.models.datasets.examples import Dataset, Example
from jitr.models.encoders.weights import Weights
from jitr.models.surrogates.runtime import Surrogate
from jitr.models.training.train import Recipe, train_dataset
from jitr.schemas.trainings import Limits

HEAVY = (
    "torch transformers sentence_transformers faust river scipy sklearn pyarrow pandas fsspec huggingface_hub"
)


def test_importing_the_runtime_and_the_gate_imports_nothing_heavy() -> None:
    code = (
        "import sys, jitr.models.surrogates.runtime, jitr.models.promise.gate\n"
        f"print([name for name in {HEAVY.split()!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    words = {"a": "apple pear plum", "b": "bolt screw nail"}
    rows = [
        Example(f"{label}{i}", float(i), f"{words[label].split()[i % 3]} number {i} in the shop", label)
        for i in range(60)
        for label in words
    ]
    path = tmp_path_factory.mktemp("surrogate") / "v"
    recipe = Recipe(task="t", encoders=(), renderings={"a": "Fruit"})
    train_dataset(Dataset.from_examples(rows), recipe, Limits(), path)
    return path


def test_many_threads_get_the_answers_that_one_gets(folder: Path) -> None:
    surrogate = Surrogate.load(folder)
    texts = [f"{word} number {i} today" for i in range(100) for word in ("apple", "nail")]
    alone = [surrogate.answer(text) for text in texts]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(surrogate.answer, texts)) == alone


def test_a_label_without_a_known_rendering_is_written_as_it_is(folder: Path) -> None:
    surrogate = Surrogate.load(folder, weights=Weights())
    assert surrogate.answer("apple pear").text == "Fruit"
    assert surrogate.answer("bolt screw").text == "b"


@pytest.mark.parametrize("blank", ["", " \n", "\u200b"])
def test_an_answer_without_text_is_below_every_threshold(folder: Path, blank: str) -> None:
    surrogate = Surrogate.load(folder)
    before = surrogate.answer("apple number 1 in the shop")
    surrogate.manifest.renderings["a"] = blank
    after = surrogate.answer("apple number 1 in the shop")
    assert (before.text, after.text) == ("Fruit", blank)
    assert 0.0 <= before.score < 1.0 and after.score < 0.0
    assert surrogate.answer("bolt number 1 in the shop").score >= 0.0


def test_a_label_that_is_no_text_teaches_no_surrogate() -> None:
    rows = [Example(str(i), float(i), f"text {i}", label) for i, label in enumerate(["a", "", "b", " "])]
    data = Dataset.from_examples(rows)
    assert set(data.labels) == {"a", "b"} and data.unparsed == 2
