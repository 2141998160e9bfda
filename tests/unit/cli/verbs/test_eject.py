"""`jitr eject TASK`: what the stream proved leaves home with its proof, and nothing else does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import fsspec
import msgspec
import pytest
from click.testing import CliRunner, Result

from jitr.cli.verbs import eject as command
from jitr.cli.verbs.card import card
from jitr.models.datasets.examples import Dataset, Example
from jitr.models.surrogates.artifact.certificate import read_certificate
from jitr.models.training.train import Recipe, train_dataset
from jitr.router.table import Rows
from jitr.schemas.errors import ArtifactError, NotFoundError, UnavailableError
from jitr.schemas.routes import Proof, Route, SurrogateRef
from jitr.schemas.trainings import Limits

PROOF = Proof(
    kind="later", target=0.9, delta=0.05, bound=0.91, calls=150, agreed=149, coverage=0.75, threshold=0.2
)


@pytest.fixture(scope="module")
def proved(tmp_path_factory: pytest.TempPathFactory) -> SurrogateRef:
    """A surrogate as the train agent makes it, with what the shadow run proved of it."""
    rows = [Example(str(i), float(i), f"{['red', 'blue'][i % 2]} thing {i}", "rb"[i % 2]) for i in range(90)]
    folder = tmp_path_factory.mktemp("artifacts") / "v1"
    made = train_dataset(
        Dataset.from_examples(rows), Recipe(task="t", encoders=()), Limits(max_latency_ms=1e4), folder
    )
    return msgspec.structs.replace(made.ref(), state="certified", proof=PROOF)


def ejected(route: Route, out: Path, monkeypatch: pytest.MonkeyPatch) -> Result:
    monkeypatch.setattr(command, "rows", lambda *_: Rows("default", routes={"ab12": route}))
    return CliRunner().invoke(command.eject, ["ab12", str(out), "--json"], standalone_mode=False)


def change(ref: SurrogateRef, **changes: object) -> SurrogateRef:
    return msgspec.structs.replace(ref, **changes)


@pytest.mark.parametrize("at", ["surrogate", "candidate"])
def test_a_surrogate_proved_on_the_stream_answers_alone_from_its_threshold_on(
    at: str, proved: SurrogateRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It left everything to the teacher: only `jitr fit` writes a certificate into the folder."""
    route = Route(tenant="default", task="ab12", **{at: proved})
    assert ejected(route, tmp_path / "out", monkeypatch).exception is None
    said = subprocess.run(
        [sys.executable, str(tmp_path / "out" / "answer.py"), "red thing 3"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert said.split("\t")[0] == "r"
    assert "THRESHOLD = 0.2  # 75.0% of calls" in (tmp_path / "out" / "answer.py").read_text()
    certificate = read_certificate(tmp_path / "out" / "artifact")
    assert certificate is not None and certificate.proof == PROOF and certificate.digest == proved.digest
    assert (certificate.kind, certificate.n, certificate.bound) == ("later", 200, 0.91)
    assert certificate.looked_at.candidates >= 1
    assert certificate.looked_at.thresholds == len(proved.thresholds) > 1
    assert not (Path(proved.uri) / "certificate.json").exists()
    shown = " ".join(CliRunner().invoke(card, [str(tmp_path / "out" / "artifact")]).output.split())
    assert "proved on calls that came after training" in shown


@pytest.mark.parametrize("state", ["shadow", "retired", "rejected"])
def test_a_task_of_which_nothing_is_proved_as_it_stands_is_refused(
    state: str, proved: SurrogateRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = change(proved, state=state, proof=None if state == "shadow" else PROOF)
    where = "candidate" if state == "shadow" else "surrogate"
    found = ejected(Route(tenant="default", task="ab12", **{where: ref}), tmp_path / "out", monkeypatch)
    assert isinstance(found.exception, NotFoundError) and f"is {state}" in str(found.exception)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_not_what_the_route_says_is_refused(
    proved: SurrogateRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    route = Route(tenant="default", task="ab12", surrogate=change(proved, digest="0" * 64))
    found = ejected(route, tmp_path / "out", monkeypatch)
    assert isinstance(found.exception, ArtifactError) and "has digest" in str(found.exception)
    assert not (tmp_path / "out").exists()


def test_a_surrogate_elsewhere_is_fetched_and_one_out_of_reach_is_named(
    proved: SurrogateRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsspec.filesystem("memory").put(f"{proved.uri}/", "/far/v1/", recursive=True)
    route = Route(tenant="default", task="ab12", surrogate=change(proved, uri="memory://far/v1"))
    assert ejected(route, tmp_path / "out", monkeypatch).exception is None
    assert read_certificate(tmp_path / "out" / "artifact") is not None
    for uri in ("nowhere://far/v1", "memory://no/such"):
        route = Route(tenant="default", task="ab12", surrogate=change(proved, uri=uri))
        found = ejected(route, tmp_path / "other", monkeypatch)
        assert isinstance(found.exception, UnavailableError) and uri in str(found.exception)


def test_a_file_uri_with_a_space_is_a_path(
    proved: SurrogateRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a b").symlink_to(proved.uri)
    route = Route(tenant="default", task="ab12", surrogate=change(proved, uri=f"file://{tmp_path}/a%20b"))
    assert ejected(route, tmp_path / "out", monkeypatch).exception is None


def test_the_card_of_a_surrogate_on_the_stream_says_where_its_proof_is(proved: SurrogateRef) -> None:
    shown = " ".join(CliRunner().invoke(card, [proved.uri]).output.split())
    assert "There is no certificate here." in shown and "in its route" in shown
