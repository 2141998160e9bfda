"""The card tells what a surrogate takes, and why it is worth it where that is much."""

from __future__ import annotations

from pathlib import Path

import pytest

from jitr.models.datasets.examples import Dataset, Example
from jitr.models.surrogates.artifact import Measured, RaceEntry
from jitr.models.surrogates.card import size_line
from jitr.models.surrogates.train import Recipe, train_dataset
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
