"""The card tells what a surrogate takes, and why it is worth it where that is much."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from click.testing import CliRunner

from jitr.cli.verbs.card import card
from jitr.models.datasets.examples import Dataset, Example
from jitr.models.surrogates.artifact.artifact import Measured, RaceEntry, read_manifest, read_measured
from jitr.models.surrogates.artifact.card import size_line
from jitr.models.surrogates.artifact.plots import plots
from jitr.models.surrogates.confusion import Confusion, confusion
from jitr.models.surrogates.heads.fields import PRESENT, FieldSpec
from jitr.models.training.train import Recipe, train_dataset
from jitr.schemas.trainings import Limits

WON = RaceEntry(candidate="big ridge", rows=9_000, accuracy=0.94, coverage=0.96)
LOST = RaceEntry(candidate="small linear", rows=2_500, accuracy=0.9, coverage=0.81, lost="agreed less")
NEVER = RaceEntry(candidate="elsewhere", lost="is not on this machine")


def test_a_small_surrogate_needs_no_reason() -> None:
    assert size_line(Measured(size_mb=14.94, race=(WON, LOST))) == "- 14.9 MB on disk"


@pytest.mark.parametrize(
    ("race", "told"),
    [
        ((WON, LOST, NEVER), "the next best, small linear, reached 0.81 at 0.900 on 2500 labels"),
        ((WON, NEVER), "no other candidate was within the limits"),
    ],
)
def test_a_large_one_says_what_the_next_best_would_be_worth(race: tuple[RaceEntry, ...], told: str) -> None:
    line = size_line(Measured(size_mb=15.8, race=race))
    assert line.startswith("- 15.8 MB on disk: more than 15") and told in line


def test_the_card_of_a_folder_tells_the_size_of_its_files(tmp_path: Path) -> None:
    rows = [Example(str(i), float(i), f"{['red', 'blue'][i % 2]} thing {i}", "rb"[i % 2]) for i in range(90)]
    made = train_dataset(Dataset.from_examples(rows), Recipe(task="t", encoders=()), Limits(), tmp_path / "v")
    names = [*made.manifest.files, "manifest.json"]
    size_mb = sum((tmp_path / "v" / name).stat().st_size for name in names) / 1e6
    assert made.measured.size_mb == pytest.approx(size_mb, abs=0.001)
    assert f"- {made.measured.size_mb:.1f} MB on disk\n" in (tmp_path / "v" / "card.md").read_text()


def taught(tmp_path: Path, answers: list[str], kind: str = "label") -> Path:
    """A surrogate of texts that tell the answer, except that every seventh answer is another one's."""
    rows = [
        Example(str(i), float(i), f"thing of sort {i % len(answers)} numbered {i}", answers[j % len(answers)])
        for i in range(120)
        for j in [i + (i % 7 == 0)]
    ]
    recipe = Recipe(task="t", encoders=(), kind=kind)  # type: ignore[arg-type]  # a test's str
    train_dataset(Dataset.from_examples(rows), recipe, Limits(), tmp_path / "v")
    return tmp_path / "v"


def linked(folder: Path) -> list[str]:
    return re.findall(r"!\[\w+\]\((.+?)\)", (folder / "card.md").read_text())


def test_the_three_plots_stand_beside_the_card_that_links_them(tmp_path: Path) -> None:
    folder = taught(tmp_path, ["red", "blue", "<i>green</i> & co"])
    assert sorted(linked(folder)) == ["confusion.svg", "coverage.svg", "learning.svg"]
    for name in linked(folder):
        svg = ElementTree.fromstring((folder / name).read_text())
        title = svg.find("{http://www.w3.org/2000/svg}title")
        assert svg.get("role") == "img" and title is not None and title.text
        page = svg.find("{http://www.w3.org/2000/svg}rect")
        assert page is not None and page.get("fill") == "#fff"  # dark surroundings leave it readable
    found = read_measured(folder).confusion
    assert found is not None and len(found.labels) == 3
    assert sum(map(sum, found.counts)) == read_manifest(folder)[0].rows
    missed = sum(n for i, row in enumerate(found.counts) for j, n in enumerate(row) if i != j)
    assert missed == round((1 - read_manifest(folder)[0].accuracy) * 120) > 0


def test_the_command_writes_the_page_with_each_plot_linked_once_and_shows_no_link_on_a_screen(
    tmp_path: Path,
) -> None:
    folder, run = taught(tmp_path, ["red", "blue"]), CliRunner()
    run.invoke(card, [str(folder), "--out", str(tmp_path / "page")], catch_exceptions=False)
    assert sorted(linked(tmp_path / "page")) == sorted(p.name for p in (tmp_path / "page").glob("*.svg"))
    assert len(linked(tmp_path / "page")) == 3
    assert ".svg" not in run.invoke(card, [str(folder)], catch_exceptions=False).output
    old = (folder / "card.md").read_text()
    (folder / "card.md").write_text(re.sub(r"!\[.*\n", "", old))  # one of before plots stood beside it
    run.invoke(card, [str(folder), "--out", str(tmp_path / "page")], catch_exceptions=False)
    assert len(linked(tmp_path / "page")) == 3


@pytest.mark.parametrize("answers", [["always"], ["1", "2.5", "3", "40", *map(str, range(60, 75))]])
def test_where_nothing_can_be_confused_no_plot_of_it_is_drawn_or_linked(
    tmp_path: Path, answers: list[str]
) -> None:
    folder = taught(tmp_path, answers, "label" if len(answers) == 1 else "number")
    assert "confusion.svg" not in linked(folder)
    assert all((folder / name).is_file() for name in linked(folder))
    assert "coverage.svg" in linked(folder)


def test_of_several_fields_the_one_missed_most_is_drawn() -> None:
    fields = [FieldSpec(name="", values=("", PRESENT), member=m) for m in ("calm", "urgent")]
    meant = np.array([[0, 0], [0, 1], [1, 1], [1, 1]])
    found = confusion(fields, [meant[:, 0], np.array([1, 1, 0, 0])], meant)
    assert found == Confusion(
        field="urgent", labels=("in the set", "not in it"), counts=((1, 2, 0), (1, 0, 0))
    )


def test_of_many_labels_the_most_confused_are_shown_and_the_others_summed() -> None:
    spec = FieldSpec(name="", values=tuple("abcdefghijkl"))
    meant = np.repeat(np.arange(12), 12)
    said = np.where(np.arange(144) % 12 < meant, (meant + 1) % 12, meant)
    found = confusion([spec], [said], meant[:, None])
    assert found is not None and found.labels[:2] == ("l", "a") and len(found.labels) <= 8
    assert all(sum(row) == 12 for row in found.counts)


def test_a_confusion_that_does_not_fit_its_labels_is_not_drawn(tmp_path: Path) -> None:
    manifest = read_manifest(taught(tmp_path, ["red", "blue"]))[0]
    wrong = Measured(confusion=Confusion(labels=("a", "b"), counts=((1, 2),)))
    assert set(plots(manifest, wrong)) == {"coverage"}
