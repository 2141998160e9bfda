"""What every encoder promises, asked of each of them."""

from __future__ import annotations

import numpy as np
import pytest

from jitr.models.encoders.encoder import Encoder
from jitr.models.encoders.ngrams import NgramEncoder
from jitr.models.encoders.registry import registry
from jitr.models.encoders.weights import Weights
from jitr.schemas.errors import WeightsError

TEXTS = ["where is my card", "my card is lost", "top up my account please", "why is the transfer pending"]
ODD = ["", " ", "\n", "日本語のテキスト", "🎉" * 50, "word " * 20_000, "\ud800 lone surrogate", "x" * 100_000]


@pytest.fixture(params=["ngrams", *registry()])
def encoder(request: pytest.FixtureRequest) -> Encoder:
    if request.param == "ngrams":
        return NgramEncoder.fit(TEXTS)
    try:
        return Weights().encoder(request.param)
    except WeightsError as missing:
        pytest.skip(str(missing))


def test_is_an_encoder_with_a_stated_cost(encoder: Encoder) -> None:
    assert isinstance(encoder, Encoder)
    assert encoder.name and encoder.dim > 0
    assert encoder.cost.texts_per_s > 0 and encoder.cost.ram_mb > 0


def test_gives_one_finite_row_of_norm_one_per_text(encoder: Encoder) -> None:
    rows = encoder.encode(TEXTS)
    assert rows.shape == (len(TEXTS), encoder.dim) and rows.dtype == np.float32
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-4)


def test_the_same_text_gives_the_same_row_alone_and_in_any_batch(encoder: Encoder) -> None:
    batch = encoder.encode([*TEXTS, "something much longer than all of the others put together, " * 5])
    for i, text in enumerate(TEXTS):
        assert np.allclose(encoder.encode([text])[0], batch[i], atol=1e-5)


def test_odd_texts_give_finite_rows(encoder: Encoder) -> None:
    rows = encoder.encode(ODD)
    assert np.isfinite(rows).all() and (np.linalg.norm(rows, axis=1) < 1.01).all()


def test_no_texts_give_no_rows(encoder: Encoder) -> None:
    assert encoder.encode([]).shape == (0, encoder.dim)
