"""Fitting without a stream: the proof, what stays, what is remembered, and leaving home."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

from jitr.models.datasets.examples import Dataset, Example
from jitr.models.surrogates.artifact.artifact import read_manifest
from jitr.models.surrogates.artifact.certificate import read_certificate, write_certificate
from jitr.models.surrogates.artifact.eject import eject
from jitr.models.surrogates.artifact.plots import plots
from jitr.models.surrogates.artifact.proof_history import ProofHistory
from jitr.models.surrogates.runtime import Surrogate
from jitr.models.training.offline import Fit, fit_offline
from jitr.models.training.train import Recipe
from jitr.schemas.errors import ArtifactError, ConfigError, TrainingError
from jitr.schemas.trainings import Limits

CUES = {"refund": ["refund", "money back"], "card": ["card", "plastic"], "loan": ["loan", "mortgage"]}
FREE = Limits(max_latency_ms=1e4)


def dataset(n: int = 300, wrong: float = 0.0, seed: int = 0) -> Dataset:
    rng = np.random.default_rng(seed)
    fillers = ["please", "now", "today", "urgent", "again", "help", "with", "about", "never", "since"]
    rows = []
    for i in range(n):
        label = str(rng.choice(list(CUES)))
        text = " ".join(rng.permutation([*rng.choice(fillers, 4), str(rng.choice(CUES[label])), f"id{i}"]))
        if rng.random() < wrong:
            label = str(rng.choice(list(CUES)))
        rows.append(Example(str(i), float(i), text, label))
    return Dataset.from_examples(rows)


def made(data: Dataset, folder: Path, proof: str = "split", target: float = 0.9, seed: int = 0) -> Fit:
    recipe = Recipe(task="t", target=target, encoders=())
    return fit_offline(data, recipe, FREE, folder, proof=proof, seed=seed)  # type: ignore[arg-type]  # a test's str


def spent(fitted: Fit) -> tuple[bool, int, float]:
    """Whether it is proved, how many looks there were before, and what was left of delta."""
    looked_at = fitted.certificate.looked_at
    return fitted.certificate.proof is not None, looked_at.refits, looked_at.delta


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fit") / "surrogate"
    assert made(dataset(), folder).certificate.proof is not None
    return folder


def test_the_latest_third_of_few_rows_proves_and_does_not_train(good: Path) -> None:
    certificate = read_certificate(good)
    assert certificate is not None and certificate.kind == "split" and certificate.n <= 105
    assert certificate.bound > 0.9 and certificate.looked_at.refits == 0
    surrogate = Surrogate.load(good, certificate.digest)
    assert surrogate.manifest.rows == 195
    assert surrogate.answer("mortgage please").label == "loan"
    assert "proved on rows held back" in certificate.proves


def test_leave_one_out_says_that_it_proves_nothing(tmp_path: Path) -> None:
    fitted = made(dataset(150), tmp_path / "a", proof="loo")
    assert fitted.result.manifest.rows == fitted.certificate.n == 150
    assert "NOT proved" in fitted.certificate.proves


def test_the_same_rows_asked_again_have_half_of_delta(tmp_path: Path) -> None:
    made(dataset(), tmp_path / "a")
    again = made(dataset(), tmp_path / "a").certificate
    assert again.looked_at.refits == 1 and again.looked_at.delta == 0.025
    other = made(dataset(seed=1), tmp_path / "a").certificate
    assert other.looked_at.refits == 0 and other.looked_at.delta == 0.05
    back = made(dataset(), tmp_path / "a").certificate
    assert back.looked_at.refits == 2 and back.looked_at.delta == 0.0125


def test_failing_again_and_again_is_paid_for_though_another_surrogate_stands(tmp_path: Path) -> None:
    """The rows that failed were forgotten: other seeds were free, until one of them passed."""
    assert spent(made(dataset(), tmp_path / "a")) == (True, 0, 0.05)
    new = dataset(seed=1)
    assert spent(made(new, tmp_path / "a", target=0.99)) == (False, 0, 0.05)
    failed = made(new, tmp_path / "a", target=0.99, seed=1)
    assert failed.kept and spent(failed) == (False, 1, 0.025)
    assert "with the 0.025 of delta that earlier looks (1) at them left" in failed.certificate.reason
    assert spent(made(new, tmp_path / "a", seed=2)) == (True, 2, 0.0125)


def test_failing_where_nothing_stands_is_paid_for_too(tmp_path: Path) -> None:
    paid = [spent(made(dataset(), tmp_path / "a", target=t)) for t in (0.99, 0.99, 0.9)]
    assert paid == [(False, 0, 0.05), (False, 1, 0.025), (True, 2, 0.0125)]


def test_a_row_more_does_not_give_delta_back(tmp_path: Path) -> None:
    """Fits on 300, 301 and 302 rows hold nearly the same rows back, and each had all of delta."""
    paid = [spent(made(dataset(n), tmp_path / "a")) for n in (300, 301, 302)]
    assert paid == [(True, 0, 0.05), (True, 1, 0.025), (True, 2, 0.0125)]
    # of 600 rows the latest 210 prove, and none of them has before
    assert spent(made(dataset(600), tmp_path / "a")) == (True, 0, 0.05)


def test_what_is_only_measured_does_not_replace_what_is_proved(tmp_path: Path) -> None:
    first = made(dataset(), tmp_path / "a")
    measured = made(dataset(seed=1), tmp_path / "a", proof="loo")
    assert measured.certificate.proof is not None and measured.kept
    kept = read_certificate(tmp_path / "a")
    assert kept is not None and kept.digest == first.result.digest
    assert not made(dataset(seed=2), tmp_path / "a").kept


def test_what_is_measured_stays_until_there_is_as_much_and_what_failed_does_not(tmp_path: Path) -> None:
    made(dataset(seed=1), tmp_path / "a", target=0.99)
    assert not made(dataset(seed=2), tmp_path / "a", target=0.99).kept
    assert not made(dataset(150), tmp_path / "a", proof="loo").kept
    assert made(dataset(seed=3), tmp_path / "a", target=0.99).kept
    assert not made(dataset(seed=4), tmp_path / "a").kept


def test_the_memory_of_rows_is_bounded_and_still_tells_who_shares_many() -> None:
    history = ProofHistory().add(f"row {i}" for i in range(100_000))
    assert sum(map(len, history.rows.values())) == 6 * 32_768
    assert history.at(f"row {i}" for i in range(99_900, 101_000)) == 1
    assert history.at(f"row {i}" for i in range(100_000, 101_000)) == 0
    assert msgspec.json.decode(msgspec.json.encode(history), type=ProofHistory) == history


def test_the_budget_in_the_manifest_is_what_was_spent(tmp_path: Path) -> None:
    for refits in range(2):
        made(dataset(), tmp_path / "a")
        budget, spent = read_manifest(tmp_path / "a")[0].budget, read_certificate(tmp_path / "a")
        assert spent is not None and spent.looked_at.refits == refits and budget.candidates == 0.0
        assert spent.looked_at.delta == spent.delta * budget.share(refits)
        assert f"- error budget: {budget.promises}" in (tmp_path / "a" / "card.md").read_text()
    assert sum(budget.share(k) for k in range(50)) < 2 and "less than twice delta" in budget.promises


def test_a_certified_surrogate_stays_until_the_new_one_is_certified(tmp_path: Path) -> None:
    first = made(dataset(), tmp_path / "a")
    bad = made(dataset(320, wrong=0.9), tmp_path / "a", target=0.95)
    assert bad.certificate.proof is None and bad.kept and "nothing is proved" in bad.certificate.proves
    kept = read_certificate(tmp_path / "a")
    assert kept is not None and kept.digest == first.result.digest
    assert Surrogate.load(tmp_path / "a", kept.digest).manifest.rows == 195


def test_slices_count_near_duplicates_once_as_the_proof_does(tmp_path: Path) -> None:
    known, late = dataset(300), dataset(120, seed=1)
    rows = [
        (t, label) for t, label in zip(known.inputs + late.inputs, known.labels + late.labels, strict=True)
    ]
    rows += [(f"do tell me about this mortgage of yours number {i}", "loan") for i in range(60)]
    data = Dataset.from_examples([Example(str(i), float(i), *row) for i, row in enumerate(rows)])
    certificate = made(data, tmp_path / "a").certificate
    assert certificate.proof is not None and certificate.n <= 121
    assert {s.label for s in certificate.slices} == set(CUES)
    assert sum(s.calls for s in certificate.slices) == certificate.proof.calls


def test_too_few_rows_to_hold_some_back(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="too few to hold some back"):
        made(dataset(32), tmp_path / "a")


def test_a_damaged_certificate_is_refused(good: Path, tmp_path: Path) -> None:
    (tmp_path / "certificate.json").write_text('{"kind": "split"')
    with pytest.raises(ArtifactError, match="is no certificate"):
        read_certificate(tmp_path)
    certificate = read_certificate(good)
    assert certificate is not None
    write_certificate(tmp_path, msgspec.structs.replace(certificate, reason="x"))
    found = read_certificate(tmp_path)
    assert found is not None and found.reason == "x"


def test_an_ejected_surrogate_answers_the_same_and_imports_nothing_of_ours(
    good: Path, tmp_path: Path
) -> None:
    out = tmp_path / "ejected"
    eject(good, out)
    code = (
        f"import sys; sys.path.insert(0, {str(out)!r}); import answer; "
        "a = answer.surrogate.answer('give me my money back'); "
        "print(a.label, round(a.score, 6), [m for m in sys.modules if m.split('.')[0] == 'jitr'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd="/", check=True)
    ours = Surrogate.load(good).answer("give me my money back")
    assert done.stdout.split() == [ours.label, str(round(ours.score, 6)), "[]"]
    command = [sys.executable, str(out / "answer.py"), "my plastic please"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.split("\t")[0] in ("card", "ask the teacher")
    with pytest.raises(ConfigError, match="is not empty"):
        eject(good, out)


def test_the_plots_show_coverage_and_the_learning_curve(good: Path) -> None:
    surrogate = Surrogate.load(good)
    drawn = plots(surrogate.manifest, surrogate.measured)
    assert set(drawn) == {"coverage", "learning"}
    assert all(svg.startswith("<svg") and svg.rstrip().endswith("</svg>") for svg in drawn.values())
