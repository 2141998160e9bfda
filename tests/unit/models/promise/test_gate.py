"""The gate's score rises with the chance of agreement, and never sees the row it forecasts."""

from __future__ import annotations

import numpy as np
import pytest

from jitr.models.promise.gate import Gate, cross_fit, logistic
from jitr.schemas.errors import ArtifactError


def world(n: int, classes: int = 5, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that mean what they say, but for class 0, which is right half as often."""
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.full(classes, 0.3), n).astype(np.float32)
    first = probs.argmax(1)
    chance = probs.max(1) * np.where(first == 0, 0.5, 1.0)
    return probs, rng.random(n) < chance


def test_the_score_is_the_probability_of_agreement() -> None:
    probs, agrees = world(6000)
    gate = Gate.fit(probs, np.zeros((6000, 0)), agrees, np.ones(6000))
    new, right = world(6000, seed=1)
    score = gate.score(new, np.zeros((6000, 0)))
    for low, high in ((0.0, 0.4), (0.4, 0.7), (0.7, 1.0)):
        part = (score >= low) & (score < high)
        assert abs(score[part].mean() - right[part].mean()) < 0.06


def test_a_class_that_is_often_wrong_is_trusted_less() -> None:
    probs, agrees = world(4000)
    gate = Gate.fit(probs, np.zeros((4000, 0)), agrees, np.ones(4000))
    same = np.full((2, 5), 0.025, np.float32)
    same[0, 0] = same[1, 1] = 0.9
    bad, good = gate.score(same, np.zeros((2, 0)))
    assert bad < good - 0.1


def test_cross_fitted_scores_of_noise_forecast_nothing() -> None:
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.ones(40), 600).astype(np.float32)
    agrees = rng.random(600) < 0.5
    fold = np.arange(600) % 10
    scores = cross_fit(probs, rng.normal(size=(600, 6)), agrees, np.ones(600), fold)
    top = np.argsort(-scores)[:180]
    assert abs(agrees[top].mean() - 0.5) < 0.1


@pytest.mark.parametrize("agrees", [np.ones(50, bool), np.zeros(50, bool)])
def test_all_agreeing_or_none_gives_finite_scores(agrees: np.ndarray) -> None:
    probs = np.random.default_rng(0).dirichlet(np.ones(3), 50).astype(np.float32)
    gate = Gate.fit(probs, np.zeros((50, 0)), agrees, np.ones(50))
    score = gate.score(probs, np.zeros((50, 0)))
    assert np.isfinite(score).all() and (abs(score - agrees.mean()) < 0.3).all()


def test_logistic_survives_separation() -> None:
    x = np.linspace(-1, 1, 40)[:, None] * 100
    assert np.isfinite(logistic(x, (x[:, 0] > 0).astype(float), np.ones(40))).all()


def test_arrays_come_back_the_same() -> None:
    probs, agrees = world(300)
    gate = Gate.fit(probs, np.zeros((300, 0)), agrees, np.ones(300))
    again = Gate.from_arrays(gate.arrays(), 5, 0)
    assert (again.score(probs, np.zeros((300, 0))) == gate.score(probs, np.zeros((300, 0)))).all()
    with pytest.raises(ArtifactError, match="do not fit 6 classes"):
        Gate.from_arrays(gate.arrays(), 6, 0)


def test_an_answer_that_is_less_sure_in_a_signal_never_scores_higher() -> None:
    rng = np.random.default_rng(0)
    probs, agrees = world(1500)
    near = agrees * 0.5 + rng.random(1500)
    # two signals that nearly say the same tempt a free fit to subtract one from the other
    signals = np.stack([near, near + 0.05 * rng.normal(size=1500), rng.normal(size=1500)], axis=1)
    gate = Gate.fit(probs, signals, agrees, np.ones(1500))
    far = np.array(signals[:200])
    before = gate.score(probs[:200], far)
    for column in range(3):
        lower = far.copy()
        lower[:, column] -= 3.0
        assert (gate.score(probs[:200], lower) <= before + 1e-12).all()
