"""Features kept by text and encoder; long texts in chunks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from jitr.models.encoders.cache import FeatureCache
from jitr.models.encoders.onnx.encoder import OnnxEncoder
from jitr.models.encoders.weights import Weights
from jitr.schemas.errors import WeightsError


def lengths(texts: list[str]) -> np.ndarray:
    return np.array([[[len(text)]] for text in texts], dtype=np.float32)


def nothing(texts: list[str]) -> np.ndarray:
    raise AssertionError(f"{texts} should be known")


def test_rows_outlive_the_process_and_encoders_do_not_mix(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path)
    cache.rows("a", ["x", "yy"], lengths)
    cache.save()
    again = FeatureCache(tmp_path)
    assert again.rows("a", ["yy", "x"], nothing)[:, 0, 0].tolist() == [2, 1]
    assert again.rows("b", ["x"], lambda texts: lengths(texts) * 7)[0, 0, 0] == 7


def test_a_damaged_file_is_computed_again(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path)
    cache.rows("a", ["x", "yy"], lengths)
    cache.save()
    [path] = tmp_path.iterdir()
    for data in (b"", b"PK no zip", path.read_bytes()[:-40]):
        path.write_bytes(data)
        again = FeatureCache(tmp_path)
        assert again.missing("a", ["x"]) == 1
        assert again.rows("a", ["x", "yy"], lengths)[:, 0, 0].tolist() == [1, 2]
    again.save()
    assert FeatureCache(tmp_path).missing("a", ["x", "yy", "zzz"]) == 1


def test_a_full_cache_computes_and_keeps_no_more() -> None:
    cache, asked = FeatureCache(most_mb=8e-6), []  # two rows of one number

    def count(texts: list[str]) -> np.ndarray:
        asked.extend(texts)
        return lengths(texts)

    cache.rows("a", ["x", "y"], count)
    for _ in range(2):
        assert cache.rows("a", ["zzz"], count)[0, 0, 0] == 3
    assert asked == ["x", "y", "zzz", "zzz"]


def test_rows_may_differ_in_shape_and_each_is_computed_once() -> None:
    cache, asked = FeatureCache(), []

    def letters(texts: list[str]) -> list[np.ndarray]:
        asked.extend(texts)
        return [np.ones((len(text), 2), np.float16) for text in texts]

    first = cache.arrays("a", ["x", "yyy", "x"], letters)
    assert [row.shape for row in first] == [(1, 2), (3, 2), (1, 2)]
    assert [row.shape for row in cache.arrays("a", ["yyy", "zz"], letters)] == [(3, 2), (2, 2)]
    assert asked == ["x", "yyy", "zz"]


def cut(chunks: int, prefix: str = "", tokenizer: Path | None = None) -> OnnxEncoder:
    weights = Weights()
    try:
        spec = weights.spec("minilm")
        model, known = weights.find(spec.model), weights.find(spec.tokenizer)
    except WeightsError as missing:
        pytest.skip(str(missing))
    return OnnxEncoder(
        name="c",
        model=model,
        tokenizer=tokenizer or known,
        dim=384,
        max_tokens=32,
        chunks=chunks,
        prefix=prefix,
    )


@pytest.fixture(scope="module")
def chunked() -> OnnxEncoder:
    return cut(3)


def test_the_form_is_the_same_twice_and_another_with_all_that_a_row_depends_on(
    chunked: OnnxEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cut(3).form == chunked.form
    spec = Weights().spec("minilm")
    other = tmp_path / "tokenizer.json"
    other.write_bytes(Weights().find(spec.tokenizer).read_bytes() + b" ")
    forms = {chunked.form, cut(2).form, cut(3, "query: ").form, cut(3, tokenizer=other).form}
    monkeypatch.setattr("jitr.models.encoders.onnx.encoder.with_int8_products", lambda model: model)
    assert len(forms | {cut(3).form}) == 5


def test_the_end_of_a_long_text_counts_and_a_short_one_is_as_ever(chunked: OnnxEncoder) -> None:
    start = "the parcel came late and the box was open " * 5
    one, two = chunked.encode([start + "I love it", start + "I hate it"])
    assert not np.allclose(one, two, atol=1e-3)
    assert np.allclose(np.linalg.norm(chunked.encode_views([start])[0], axis=1), 1, atol=1e-5)
    short = Weights().encoder("minilm").encode(["where is my card?"])
    assert np.allclose(chunked.encode(["where is my card?"]), short, atol=1e-5)


def test_what_follows_the_last_chunk_is_left_out(chunked: OnnxEncoder) -> None:
    start = "the parcel came late and the box was open " * 40
    assert np.array_equal(chunked.encode([start]), chunked.encode([start + "I love it"]))
