"""Beside us: TRACER in its own environment, a plain linear probe, and Poodle's published figures."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from jitr.models.promise.held_back import fine_thresholds, prove

_HERE = Path(__file__).parent
PEERS_PYTHON = _HERE.parent.parent / ".venv-peers" / "bin" / "python"
# TRACER's bound holds with a probability of 90% for one threshold; it takes the best of all on the same rows
TRACER_DELTA = 0.10
# accuracy on 5,000 reviews, labels of an LLM that errs on 7% (arXiv 2512.05525; best epoch by the test set)
POODLE = {
    500: {"poodle-bert": 0.8662, "poodle-searched": 0.9074},
    1000: {"poodle-bert": 0.8758, "poodle-searched": 0.9096},
    2000: {"poodle-bert": 0.8796, "poodle-searched": 0.9146},
    5000: {"poodle-bert": 0.8932, "poodle-searched": 0.9182},
}


def tracer(
    train: np.ndarray,
    answers: Sequence[str],
    test: np.ndarray,
    truth: Sequence[str],
    target: float,
    *,
    trees: bool,
    limit_s: float,
) -> dict[str, float | str | None]:
    """Fit TRACER (`tracer-llm`) on the same rows and vectors; what it says, or why it says nothing."""
    if not PEERS_PYTHON.exists():
        return {"absent": "no .venv-peers; see benchmarks/peers.txt"}
    with tempfile.TemporaryDirectory() as folder:
        job = Path(folder)
        np.savez(job / "job.npz", train=train, test=test)
        asked = {"answers": list(answers), "target": target, "trees": trees}
        (job / "job.json").write_text(json.dumps(asked))
        command = [str(PEERS_PYTHON), str(_HERE / "tracer_process.py"), folder]
        try:
            subprocess.run(command, timeout=limit_s, check=True, capture_output=True)
        except subprocess.TimeoutExpired:
            return {"absent": f"stopped after {limit_s:.0f} s"}
        except subprocess.CalledProcessError as error:
            return {"absent": error.stderr.decode()[-200:].strip()}
        said = json.loads((job / "answer.json").read_text())
    handled = np.array(said["handled"], dtype=bool)
    agrees = np.array([a == t for a, t in zip(said["labels"], truth, strict=True)])
    return {
        "coverage": float(handled.mean()),
        "agreement": float(agrees[handled].mean()) if handled.any() else None,
        "fit_s": said["fit_s"],
    }


def linear_probe(
    train: np.ndarray,
    answers: Sequence[str],
    test: np.ndarray,
    truth: Sequence[str],
    target: float,
    seed: int,
    delta: float,
) -> dict[str, float | None]:
    """Logistic regression on the vectors; a threshold on its probability, proved on a fifth held back."""
    y = np.array(answers)
    order = np.random.default_rng(seed).permutation(len(y))
    held, used = order[: len(y) // 5], order[len(y) // 5 :]
    model = LogisticRegression(C=10.0, max_iter=300)
    sure, agreed = np.zeros(len(used)), np.zeros(len(used), bool)
    for own in np.array_split(np.arange(len(used)), 5):
        rest = np.delete(used, own)
        said = model.fit(train[rest], y[rest]).predict_proba(train[used[own]])
        sure[own], agreed[own] = said.max(1), model.classes_[said.argmax(1)] == y[used[own]]
    model.fit(train[used], y[used])
    known, new = model.predict_proba(train[held]), model.predict_proba(test)
    right = model.classes_[known.argmax(1)] == y[held]
    plan = fine_thresholds(sure, agreed, np.ones(len(used)))
    found = prove("split", known.max(1), right, plan, target, delta)
    agrees = model.classes_[new.argmax(1)] == np.array(truth)
    accepted = new.max(1) >= (found.threshold if found else np.inf)
    return {
        "coverage": float(accepted.mean()),
        "agreement": float(agrees[accepted].mean()) if accepted.any() else None,
        "all_agreement": float(agrees.mean()),
    }
