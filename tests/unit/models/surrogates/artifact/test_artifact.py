"""Artifacts from a hostile hand are refused with a reason."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from jitr.models.datasets.examples import Dataset, Example
from jitr.models.encoders.weights import Weights
from jitr.models.surrogates.artifact.artifact import _sha256
from jitr.models.surrogates.runtime import Surrogate
from jitr.models.training.train import Recipe, train_dataset
from jitr.schemas.errors import ArtifactError, WeightsError
from jitr.schemas.trainings import Limits


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [
        Example(f"{i}", float(i), f"{['red', 'blue'][i % 2]} thing number {i} on the shelf", "rb"[i % 2])
        for i in range(90)
    ]
    path = tmp_path_factory.mktemp("good") / "v"
    train_dataset(Dataset.from_examples(rows), Recipe(task="t", encoders=()), Limits(), path)
    return path


@pytest.fixture
def folder(good: Path, tmp_path: Path) -> Path:
    shutil.copytree(good, tmp_path / "v")
    return tmp_path / "v"


def edit(folder: Path, change: Callable[[dict], None]) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def replace_arrays(folder: Path, change: Callable[[dict], None]) -> None:
    """Change arrays and make the manifest's digests fit: only the shapes can betray it."""
    path = folder / "model.safetensors"
    arrays = safetensors.numpy.load(path.read_bytes())
    change(arrays)
    put(folder, safetensors.numpy.save(arrays))


def put(folder: Path, data: bytes) -> None:
    (folder / "model.safetensors").write_bytes(data)
    edit(
        folder,
        lambda m: m["files"].update({"model.safetensors": {"sha256": _sha256(data), "size": len(data)}}),
    )


def test_the_wrong_digest_is_refused(folder: Path) -> None:
    with pytest.raises(ArtifactError, match="the route asks for"):
        Surrogate.load(folder, digest="0" * 64)


def test_the_digest_changes_with_every_file_that_answers_depend_on(folder: Path) -> None:
    before = Surrogate.load(folder).digest
    (folder / "card.md").write_text("other")
    (folder / "certificate.json").write_text("{}")
    assert Surrogate.load(folder, before).digest == before
    edit(folder, lambda m: m["renderings"].update({"r": "red!"}))
    with pytest.raises(ArtifactError, match="the route asks for"):
        Surrogate.load(folder, before)


@pytest.mark.parametrize("name", ["model.safetensors", "ngrams.json"])
def test_a_changed_file_is_refused(folder: Path, name: str) -> None:
    data = bytearray((folder / name).read_bytes())
    data[-3] ^= 1
    (folder / name).write_bytes(bytes(data))
    with pytest.raises(ArtifactError, match="not the file that its manifest names"):
        Surrogate.load(folder)


@pytest.mark.parametrize("name", ["manifest.json", "model.safetensors", "ngrams.json"])
def test_a_missing_file_is_refused(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ArtifactError, match="cannot be read"):
        Surrogate.load(folder)


@pytest.mark.parametrize("name", ["manifest.json", "model.safetensors"])
def test_a_link_out_of_the_folder_is_refused(folder: Path, tmp_path: Path, name: str) -> None:
    shutil.move(folder / name, tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", folder / name)
    with pytest.raises(ArtifactError, match="link"):
        Surrogate.load(folder)


def test_a_path_in_the_manifest_is_refused(folder: Path) -> None:
    edit(folder, lambda m: m["files"].update({"../../etc/passwd": {"sha256": "0", "size": 1}}))
    with pytest.raises(ArtifactError, match="names files that no artifact has"):
        Surrogate.load(folder)


def test_a_huge_header_is_refused_before_it_is_parsed(folder: Path) -> None:
    put(folder, (1 << 60).to_bytes(8, "little") + b"{}")
    with pytest.raises(ArtifactError, match="header"):
        Surrogate.load(folder)


def test_a_foreign_format_is_refused(folder: Path) -> None:
    edit(folder, lambda m: m.update(format=99))
    with pytest.raises(ArtifactError, match="format 99"):
        Surrogate.load(folder)


def test_garbage_and_deep_nesting_are_no_manifest(folder: Path) -> None:
    for text in ("", "[]", "[" * 100_000, '{"format": 1}', "\x00"):
        (folder / "manifest.json").write_text(text)
        with pytest.raises(ArtifactError, match="no manifest"):
            Surrogate.load(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a.update({"0.bias": np.zeros(7, np.float32)}),
        lambda a: a.update({"0.ngrams": np.zeros((3, 2), np.float16)}),
        lambda a: a.update({"0.gate.weights": np.zeros(3)}),
        lambda a: a.update({"0.gate.scale": a["0.gate.scale"] * 0}),
        lambda a: a.update({"ngrams.idf": np.zeros(2, np.float32)}),
        lambda a: a.update({"0.bias": np.array([np.nan, 0], np.float32)}),
        lambda a: a.pop("0.gate.of_class"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(folder: Path, change: Callable[[dict], None]) -> None:
    replace_arrays(folder, change)
    with pytest.raises(ArtifactError):
        Surrogate.load(folder)


def test_an_unknown_head_is_refused(folder: Path) -> None:
    edit(folder, lambda m: m["fields"][0].update(head="exec"))
    with pytest.raises(ArtifactError, match="no head `exec`"):
        Surrogate.load(folder)


def test_another_encoder_than_the_pinned_one_is_refused(folder: Path) -> None:
    edit(folder, lambda m: m.update(encoder={"name": "minilm", "sha256": "0" * 64}))
    with pytest.raises(WeightsError, match="other weights"):
        Surrogate.load(folder)


@pytest.mark.parametrize(
    "named",
    [
        {"partner": {"name": "minilm", "sha256": "0" * 64}},
        {
            "encoder": {"name": "minilm", "sha256": "0" * 64},
            "partner": {"name": "e5", "sha256": "", "upper": 1},
        },
        {
            "encoder": {"name": "minilm", "sha256": "0" * 64},
            "partner": {"name": "e5", "sha256": "", "beside": True},
        },
    ],
)
def test_a_partner_that_does_not_fit_its_encoder_is_refused(folder: Path, named: dict) -> None:
    edit(folder, lambda m: m.update(named))
    with pytest.raises(ArtifactError, match="the partner beside it do not fit"):
        Surrogate.load(folder)


def test_an_encoder_that_is_run_in_another_way_is_refused(folder: Path) -> None:
    weights = Weights()
    try:
        encoder = weights.encoder("minilm")
    except WeightsError as missing:
        pytest.skip(str(missing))
    known = {"name": "minilm", "sha256": encoder.sha256}
    for form in ({}, {"form": "0" * 64}):  # one of before there was a form; one that multiplies otherwise
        edit(folder, lambda m, form=form: m.update(encoder={**known, **form}))
        with pytest.raises(ArtifactError, match="train the surrogate again"):
            Surrogate.load(folder, weights=weights)
    edit(folder, lambda m: m.update(encoder={**known, "form": encoder.form}))
    assert Surrogate.load(folder, weights=weights).answer("red thing").label == "r"
