"""An ejected surrogate answers without jitr, in a fresh interpreter that has only what it asks for."""

from __future__ import annotations

import importlib.metadata
import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from jitr.models.answers.labelling import space_of
from jitr.models.datasets.examples import Dataset, Example
from jitr.models.encoders.ngrams import NgramEncoder
from jitr.models.encoders.paired import PairedEncoder
from jitr.models.encoders.weights import Weights
from jitr.models.surrogates.artifact.artifact import Lineage
from jitr.models.surrogates.artifact.eject import eject
from jitr.models.surrogates.candidates import Candidate
from jitr.models.surrogates.fit import fit_model
from jitr.models.surrogates.heads.base import Features
from jitr.models.surrogates.heads.fields import fields_of
from jitr.models.surrogates.runtime import Surrogate
from jitr.models.training.offline import fit_offline
from jitr.models.training.search.race import Race
from jitr.models.training.train import Recipe, save, train_dataset
from jitr.schemas.errors import WeightsError
from jitr.schemas.trainings import Limits

WORDS = ["please", "now", "today", "again", "help", "with", "about", "never", "since", "here"]
TOPICS = {"Law": ["court", "judge"], "Sports": ["goal", "match"], "Tech": ["chip", "code"]}


def teacher(kind: str, held: list[str], rng: random.Random) -> str:
    """The teacher's way to write its answer to a text about these topics."""
    if kind == "label":
        return f"**{held[0]}**"
    if kind == "labels":
        return "; ".join(held)
    if kind == "json":
        return json.dumps({"topic": held[0], "legal": "Law" in held}, indent=2)
    # a price: each topic has its own, give or take; 1,000 is written with a comma
    price = sum({"Law": 1000, "Sports": 200, "Tech": 50}[name] for name in held) + rng.choice([-1, 0, 0, 1])
    return f"${price:,}.00"


def taught(kind: str, n: int = 400) -> list[Example]:
    rng, rows = random.Random(0), []
    for i in range(n):
        most = 3 if kind in ("labels", "number") else 1
        held = sorted(rng.sample(list(TOPICS), rng.randint(1, most)))
        words = [*rng.sample(WORDS, 4), *(rng.choice(TOPICS[name]) for name in held), f"n{i}"]
        rng.shuffle(words)
        rows.append((" ".join(words), teacher(kind, held, rng)))
    space = space_of([answer for _, answer in rows])
    assert space.kind == kind
    return [
        Example(str(i), i, text, space.parse(answer), text=answer) for i, (text, answer) in enumerate(rows)
    ]


def alone(folder: Path) -> dict[str, str]:
    """An environment in which the packages of requirements.txt, and theirs, can be imported, no others."""
    site = folder / "site"
    site.mkdir()
    waiting, done = (folder / "requirements.txt").read_text().split(), set()
    while waiting:
        name = re.split(r"[^\w.-]", waiting.pop())[0].lower().replace("_", "-")
        try:
            found = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # of another platform
        if name in done:
            continue
        done.add(name)
        for line in found.requires or ():
            if "extra ==" not in line and not {"huggingface-hub", "sympy"} & {re.split(r"[^\w-]", line)[0]}:
                waiting.append(line)
        for top in {str(file).split("/")[0] for file in found.files or () if not str(file).startswith("..")}:
            place = Path(str(found.locate_file(top)))
            if place.exists() and not (site / top).exists() and top != "__pycache__":
                (site / top).symlink_to(place)
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}


@pytest.mark.parametrize("encoders", [(), ("minilm",)], ids=["ngrams", "encoder"])
@pytest.mark.parametrize("kind", ["label", "json", "number", "labels"])
def test_every_kind_answers_alone_as_it_did_at_home(
    kind: str, encoders: tuple[str, ...], tmp_path: Path
) -> None:
    rows = taught(kind, 400 if not encoders else 250)
    dataset = Dataset.from_examples(rows, kind, 1.0)
    recipe = Recipe(
        task="t", kind=kind, renderings=dataset.renderings, target=0.8, tolerance=1.0, encoders=encoders
    )
    weights = Weights()
    try:
        for name in encoders:
            weights.encoder(name)
    except WeightsError as missing:
        pytest.skip(str(missing))
    made = fit_offline(dataset, recipe, Limits(max_latency_ms=1e6), tmp_path / "s", weights=weights)
    assert made.certificate.proof is not None, made.certificate.reason
    eject(tmp_path / "s", tmp_path / "away", weights)
    texts = ["the judge was here", "a goal in the match today", "never court and code", "xyzzy"]
    home = Surrogate.load(tmp_path / "s", weights=weights)
    bar = made.certificate.proof.threshold
    expected = [
        json.dumps([a.text if a.score >= bar else None, round(a.score, 3)]) for a in home.answer_many(texts)
    ]
    script = (
        "import json, sys; sys.path.insert(0, sys.argv[1]); from answer import surrogate, THRESHOLD\n"
        "assert 'jitr' not in sys.modules and 'torch' not in sys.modules and 'scipy' not in sys.modules\n"
        "for a in surrogate.answer_many(sys.argv[2:]):\n"
        "    print(json.dumps([a.text if a.score >= THRESHOLD else None, round(a.score, 3)]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", script, str(tmp_path / "away"), *texts],
        env=alone(tmp_path / "away"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == expected
    # and as the teacher writes it
    said = [json.loads(line)[0] for line in expected]
    assert any(said), expected
    for text in filter(None, said):
        pattern = {
            "label": r"\*\*\w+\*\*",
            "labels": r"\w+(; \w+)*",
            "json": r"\{\n  \"topic\": \"\w+\",\n  \"legal\": (true|false)\n\}",
            "number": r"\$\d{1,3}(,\d{3})?\.00",
        }[kind]
        assert re.fullmatch(pattern, text), text


def test_both_encoders_of_a_pair_leave_home(tiny_encoder: Path, tmp_path: Path) -> None:
    weights = Weights([tiny_encoder])
    dataset = Dataset.from_examples(taught("label", 150))
    try:
        pair = PairedEncoder(weights.encoder("minilm"), weights.encoder("tiny"))
    except WeightsError as missing:
        pytest.skip(str(missing))
    candidate = Candidate("ridge", True, "minilm", "tiny")
    features, (fields, numbers) = Features(NgramEncoder.fit(dataset.inputs), pair), fields_of(dataset.labels)
    told = (dataset.weights, dataset.groups, 0)
    model = fit_model(features, features.encode(dataset.inputs), candidate, fields, numbers, *told)
    lineage = Lineage(parts=(), dataset=dataset.digest, code="test", seed=0)
    made = save(
        Race(candidate, model, 1.0, ()), dataset, Recipe(task="t"), tmp_path / "s", "v1", lineage, 0.0
    )
    assert (made.manifest.encoders, made.manifest.partner.name) == ("minilm+tiny+ngrams", "tiny")
    eject(tmp_path / "s", tmp_path / "away", weights)
    said = subprocess.run(
        [sys.executable, "-S", str(tmp_path / "away" / "answer.py"), "the judge was here"],
        env=alone(tmp_path / "away"),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    home = Surrogate.load(tmp_path / "s", weights=weights).answer("the judge was here")
    assert said == f"ask the teacher\t{round(home.score, 4)}\n"


def test_where_an_encoder_is_missing_nothing_is_written(tmp_path: Path) -> None:
    dataset = Dataset.from_examples(taught("label", 60))
    train_dataset(dataset, Recipe(task="t", encoders=()), Limits(max_latency_ms=1e6), tmp_path / "s")
    manifest = json.loads((tmp_path / "s" / "manifest.json").read_text())
    manifest["encoder"] = {"name": "gone", "sha256": "0" * 64}
    (tmp_path / "s" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(WeightsError, match="`gone`"):
        eject(tmp_path / "s", tmp_path / "away")
    assert not (tmp_path / "away").exists()


def test_answer_py_reads_lines_and_leaves_to_the_teacher_what_is_not_proved(tmp_path: Path) -> None:
    dataset = Dataset.from_examples(taught("label", 120))
    recipe = Recipe(task="t", renderings=dataset.renderings, encoders=())
    fit_offline(dataset, recipe, Limits(max_latency_ms=1e6), tmp_path / "s", proof="loo")
    (tmp_path / "s" / "certificate.json").unlink()
    eject(tmp_path / "s", tmp_path / "away")
    assert not (tmp_path / "away" / "encoders").exists()  # git keeps no empty folders
    done = subprocess.run(
        [sys.executable, "-S", str(tmp_path / "away" / "answer.py")],
        input="the judge\nthe goal\n",
        env=alone(tmp_path / "away"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == ["ask the teacher"] * 2
