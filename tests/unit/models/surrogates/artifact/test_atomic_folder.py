"""Where a fit writes: what is not a surrogate is never removed, and no crash loses one that is certified."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from jitr.models.datasets.examples import Dataset, Example
from jitr.models.surrogates.artifact.atomic_folder import atomic_folder_of
from jitr.models.surrogates.artifact.certificate import read_certificate
from jitr.models.surrogates.runtime import Surrogate
from jitr.models.training import offline
from jitr.models.training.offline import fit_offline
from jitr.models.training.train import Recipe
from jitr.schemas.errors import ConfigError
from jitr.schemas.trainings import Limits

WORDS = ["ant", "bee", "cat", "cow", "dog", "elk", "fox", "gnu", "hen", "jay", "kid", "owl", "pig", "yak"]


def fit(folder: Path, target: float = 0.9) -> bool:
    """Whether an easy task of 364 rows was proved."""
    texts = [f"{size} {a} {b}" for a in WORDS for b in WORDS for size in ("tall", "small") if a != b]
    rows = [Example(str(i), float(i), text, text.split()[0]) for i, text in enumerate(texts)]
    recipe = Recipe(task="t", target=target, encoders=())
    made = fit_offline(Dataset.from_examples(rows), recipe, Limits(max_latency_ms=1e4), folder)
    return made.certificate.proof is not None


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("place") / "s"
    assert fit(folder)
    return folder


@pytest.fixture
def standing(made: Path, tmp_path: Path) -> Path:
    """A certified surrogate of one's own."""
    return Path(shutil.copytree(made, tmp_path / "s"))


@pytest.mark.parametrize("taken", ["s", "s.new", "s.old"])
def test_a_folder_with_other_things_is_refused_before_the_training_and_stays(
    taken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offline, "race", lambda *_, **__: pytest.fail("trained"))
    (tmp_path / taken).mkdir()
    (tmp_path / taken / "thesis.txt").write_text("five years")
    (tmp_path / taken / "manifest.json").write_text('{"name": "a web page"}')
    with pytest.raises(ConfigError, match=rf"{taken} is .*(give a new folder|rename or remove it)"):
        fit(tmp_path / "s")
    assert (tmp_path / taken / "thesis.txt").read_text() == "five years"


def test_what_lies_beside_a_surrogate_is_not_removed_with_it(standing: Path) -> None:
    (standing / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"holds `notes.txt` beside a surrogate"):
        fit(standing)
    assert (standing / "notes.txt").read_text() == "mine"


def test_a_certified_surrogate_that_a_person_put_beside_stays(standing: Path) -> None:
    for name in ("s.new", "s.old"):
        beside = standing.rename(standing.with_name(name))
        with pytest.raises(ConfigError, match=rf"{name} .*rename or remove it"):
            fit(standing)
        assert read_certificate(beside) is not None
        beside.rename(standing)


def test_a_fit_leaves_its_folder_and_nothing_beside_it(standing: Path) -> None:
    (standing / "coverage.svg").write_text("an old plot")
    assert fit(standing)
    assert [path.name for path in standing.parent.iterdir()] == ["s"]
    assert not (standing / "replaced").exists()
    assert (standing / "coverage.svg").read_text() != "an old plot"


def test_an_empty_folder_and_a_link_are_filled(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert fit(tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and Surrogate.load(tmp_path / "real").manifest.task == "t"


@pytest.mark.parametrize("crash", ["first rename", "second rename", "removal", "half of the removal"])
def test_a_crash_leaves_a_certified_surrogate_and_the_next_fit_finds_it(
    crash: str, standing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename, unlink = Path.rename, Path.unlink

    def breaks(path: Path, to: Path) -> Path:
        if path.name == {"first rename": "s", "second rename": "s.new"}.get(crash):
            raise KeyboardInterrupt
        return rename(path, to)

    def removes(path: Path, missing_ok: bool = False) -> None:
        if path.parent.name == "s.old" and (crash == "removal" or path.name == "manifest.json"):
            raise KeyboardInterrupt
        unlink(path, missing_ok)

    shutil.copytree(standing, standing.with_name("s.new"))
    monkeypatch.setattr(Path, "rename", breaks)
    monkeypatch.setattr(Path, "unlink", removes)
    with pytest.raises(KeyboardInterrupt):
        atomic_folder_of(standing).put()
    monkeypatch.undo()
    if crash == "first rename":  # nothing has happened yet
        shutil.rmtree(standing.with_name("s.new"))
    atomic_folder_of(standing).prepare()
    certificate = read_certificate(standing)
    assert certificate is not None and certificate.proof is not None
    Surrogate.load(standing, certificate.digest)
    assert [path.name for path in standing.parent.iterdir()] == ["s"]
    assert not (standing / "replaced").exists()


def test_what_was_moved_away_comes_back_where_nothing_is_there_to_replace_it(standing: Path) -> None:
    (standing / "replaced").touch()
    standing.rename(standing.with_name("s.old"))
    atomic_folder_of(standing).prepare()
    assert Surrogate.load(standing).manifest.task == "t" and not (standing / "replaced").exists()
