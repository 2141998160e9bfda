"""A text has the same row alone and in any company, bit for bit, whatever it is made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jitr.models.encoders.onnx.encoder import OnnxEncoder
from jitr.models.encoders.weights import Weights
from jitr.schemas.errors import WeightsError

WORDS = [
    "where",
    "is",
    "my card",
    "42 €",
    "refund,",
    "naïve",
    "日本語",
    "👩\u200d👧",
    "{}",
    "\x00",
    "\ud800",
    "",
]
LONG = ("👩\u200d👧🎉" * 9, "w" * 5_000, "word " * 2_000, "日本語 " * 90, "1e9 " * 40)
ODD = ["", " ", "?", "\ud800 x", "\x00", *LONG]


@pytest.fixture(scope="module")
def minilm() -> OnnxEncoder:
    try:
        return Weights().encoder("minilm")
    except WeightsError as missing:
        pytest.skip(str(missing))


@settings(max_examples=30)
@given(st.lists(st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join), min_size=1, max_size=24))
def test_a_row_does_not_depend_on_its_company(minilm: OnnxEncoder, texts: list[str]) -> None:
    alone = np.concatenate([minilm.encode_views([text]) for text in texts])
    assert np.array_equal(minilm.encode_views(texts), alone)


def test_a_row_is_the_same_in_a_full_batch(minilm: OnnxEncoder) -> None:
    texts = [f"where is my card number {i}?" for i in range(100)]
    alone = np.concatenate([minilm.encode_views([text]) for text in texts[::9]])
    assert np.array_equal(minilm.encode_views(texts)[::9], alone)


def test_odd_texts_have_rows_of_norm_one_that_do_not_depend_on_their_company(minilm: OnnxEncoder) -> None:
    rows = minilm.encode_views(ODD)
    assert np.allclose(np.linalg.norm(rows, axis=2), 1, atol=1e-5)
    assert np.array_equal(rows, np.concatenate([minilm.encode_views([text]) for text in ODD]))


def test_the_rows_of_a_batch_have_as_many_tokens_as_each_other(minilm: OnnxEncoder) -> None:
    texts = [*ODD, *(["where is my card?"] * 200)]
    seen = []
    for owner, mask, (last,) in minilm.runs(texts):
        assert mask.all() and last.shape == (*mask.shape, minilm.dim) and len(owner) == len(mask)
        assert len(mask) == 1 or mask.size <= 256
        seen += owner
    assert sorted(seen) == list(range(len(texts)))
    assert list(minilm.runs([])) == [] and minilm.encode_views([]).shape == (0, minilm.views, minilm.dim)


def test_a_tokenizer_that_finds_nothing_gives_zeros(tiny_encoder: Path) -> None:
    tiny = Weights([tiny_encoder]).encoder("tiny")
    rows = tiny.encode_views(["", "my red card", ""])
    assert not rows[0].any() and not rows[2].any()
    assert np.linalg.norm(rows[1, 0]) == pytest.approx(1, abs=1e-5)


def test_in_single_precision_and_with_chunks_the_rows_are_the_same_too(tiny_encoder: Path) -> None:
    weights = Weights([tiny_encoder])
    spec = weights.spec("tiny")
    tiny = OnnxEncoder(
        name="t", model=weights.find(spec.model), tokenizer=weights.find(spec.tokenizer), dim=spec.dim,
        max_tokens=8, chunks=4, layers=spec.layers,
    )  # fmt: skip
    texts = ["please now " * n + "hello" for n in range(30)] * 2
    alone = np.concatenate([tiny.encode_views([text]) for text in texts])
    assert np.array_equal(tiny.encode_views(texts), alone)


def test_a_processor_that_adds_products_otherwise_has_another_form(monkeypatch: pytest.MonkeyPatch) -> None:
    from jitr.models.encoders.onnx import encoder as onnx_encoder

    options = onnx_encoder.onnxruntime.SessionOptions()
    sums = np.frombuffer(onnx_encoder._sums(options), np.int32)
    assert sums.shape == (8 * 16,) and len(set(sums.tolist())) == 1
    try:
        here = Weights().encoder("minilm").form
    except WeightsError as missing:
        pytest.skip(str(missing))
    monkeypatch.setattr(onnx_encoder, "_sums", lambda options: b"saturated")
    assert Weights().encoder("minilm").form != here
