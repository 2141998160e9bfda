"""Kernel ridge on made vectors: the classes' names are examples that no call is compared with."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from jitr.models.surrogates.heads.base import Encoded
from jitr.models.surrogates.heads.ridge import RidgeHead
from jitr.models.surrogates.heads.ridge_fit import fit_ridge
from jitr.schemas.errors import ArtifactError

CLASSES, DIM = 4, 16


def made(n: int, seed: int = 0) -> tuple[Encoded, np.ndarray, Encoded]:
    """Noisy calls about four directions, and the directions as the names."""
    centres = np.eye(CLASSES, DIM)
    rng = np.random.default_rng(seed)
    y = np.arange(n) % CLASSES
    return views(centres[y] + rng.normal(size=(n, DIM)) * 0.4), y, views(centres)


def views(x: np.ndarray) -> Encoded:
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    return Encoded(None, np.stack([x, x], axis=1).astype(np.float32))


def fit(n: int, names: bool) -> tuple[RidgeHead, float, float]:
    encoded, y, called = made(n)
    ones, alone = np.ones(n), np.arange(n)
    head, found = fit_ridge(encoded, y, CLASSES, ones, alone, None, called if names else None)
    test, truth, _ = made(400, seed=1)
    accuracy = float((head.predict(test).probs.argmax(1) == truth).mean())
    return head, float((found.probs.argmax(1) == y).mean()), accuracy


def test_with_few_labels_names_help_and_the_forecast_says_so() -> None:
    _, forecast, accuracy = fit(12, names=False)
    _, forecast_named, accuracy_named = fit(12, names=True)
    assert accuracy_named > accuracy + 0.02
    assert forecast_named >= forecast


def test_names_vote_for_nothing() -> None:
    head, *_ = fit(40, names=True)
    arrays = head.arrays()
    assert len(arrays["sentences"]) == 44 and arrays["calls"].tolist() == [40]
    encoded, _, called = made(40)
    # a call that is the very name of a class has its neighbours among the calls alone
    assert head.predict(called).signals[:, 6].max() < 0.999
    assert head.predict(encoded).signals[:, 6].min() > 0.999


def test_rows_kept_in_int8_answer_as_those_that_were_fitted_and_stay_the_same_bytes() -> None:
    head, *_ = fit(40, names=True)
    arrays = head.arrays()
    assert arrays["sentences"].dtype == arrays["layers"].dtype == np.int8
    encoder = SimpleNamespace(dim=DIM, views=2)
    read = RidgeHead.from_arrays(arrays, CLASSES, SimpleNamespace(ngrams=None, encoder=encoder, beside=None))
    calls, *_ = made(400, seed=1)
    assert np.allclose(read.predict(calls).probs, head.predict(calls).probs, atol=0.01)
    assert {name: array.tobytes() for name, array in read.arrays().items()} == {
        name: array.tobytes() for name, array in arrays.items()
    }


def test_steps_that_are_not_one_a_row_are_refused() -> None:
    arrays = fit(40, names=True)[0].arrays()
    arrays["layers.step"] = arrays["layers.step"][:-1]
    features = SimpleNamespace(ngrams=None, encoder=SimpleNamespace(dim=DIM, views=2), beside=None)
    with pytest.raises(ArtifactError, match="layers and their steps do not fit"):
        RidgeHead.from_arrays(arrays, CLASSES, features)


@pytest.mark.parametrize("broken", ["absent", "narrow", "ngrams", "unasked"])
def test_a_second_opinion_that_does_not_fit_its_layers_is_refused(broken: str) -> None:
    arrays = fit(40, names=True)[0].arrays()
    beside = None if broken == "unasked" else SimpleNamespace(dim=DIM)
    if broken != "absent":
        wide = DIM - 1 if broken == "narrow" else DIM
        arrays |= {
            "second.bias": np.zeros(CLASSES, np.float32),
            "second.dense": np.zeros((wide, CLASSES), np.float32),
        }
    if broken == "ngrams":
        arrays["second.ngrams"] = np.zeros((3, CLASSES), np.float16)
    features = SimpleNamespace(ngrams=None, encoder=SimpleNamespace(dim=DIM, views=2), beside=beside)
    with pytest.raises(ArtifactError, match="second opinion does not fit its tuned layers"):
        RidgeHead.from_arrays(arrays, CLASSES, features)
