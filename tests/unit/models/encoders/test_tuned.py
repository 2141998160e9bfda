"""Tuned upper layers: the same as in torch and in the encoder they come from; hostile arrays are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jitr.models.encoders.layers import in_int8, layers_graph
from jitr.models.encoders.onnx.file import with_outputs
from jitr.models.encoders.tuned import TunedEncoder, TunedLayers
from jitr.models.encoders.weights import Weights
from jitr.schemas.errors import ArtifactError, TrainingError, WeightsError

TEXTS = ["", "my red card", "please refund the money again", "help " * 60, "unheard of words"]


@pytest.fixture(scope="module")
def weights(tiny_encoder: Path) -> Weights:
    return Weights([tiny_encoder])


@pytest.fixture(scope="module")
def upper(weights: Weights) -> Any:
    from jitr.models.encoders.upper import read_upper

    spec = weights.spec("tiny").upper
    assert spec is not None
    return read_upper(weights.find(spec.file), spec, 2, dropout=0.1)


@pytest.fixture(scope="module")
def arrays(upper: Any) -> dict[str, np.ndarray]:
    from jitr.models.encoders.upper import arrays_of

    return arrays_of(upper)


def layers(weights: Weights, arrays: dict[str, np.ndarray]) -> TunedLayers:
    spec = weights.spec("tiny").upper
    assert spec is not None
    return TunedLayers(arrays, spec, 64, 2)


def encoder(weights: Weights, arrays: dict[str, np.ndarray]) -> TunedEncoder:
    return TunedEncoder(weights.encoder("tiny", below=2), layers(weights, arrays))


def test_layers_that_nobody_tuned_give_what_the_whole_encoder_gives(
    weights: Weights, arrays: dict[str, np.ndarray]
) -> None:
    whole, tuned = weights.encoder("tiny"), encoder(weights, arrays)
    assert np.allclose(tuned.encode_views(TEXTS)[:, 0], whole.encode(TEXTS), atol=1e-4)
    assert tuned.encode_views([]).shape == (0, 1, 64)


def test_the_graph_of_them_is_valid(arrays: dict[str, np.ndarray]) -> None:
    import onnx

    for given in (arrays, in_int8(arrays)):
        made = layers_graph(given, 2, 64, 4, 1e-12)
        onnx.checker.check_model(onnx.load_from_string(made), full_check=True)


def test_one_pass_gives_the_frozen_views_and_the_tuned_vector(
    weights: Weights, arrays: dict[str, np.ndarray]
) -> None:
    whole, tuned = weights.encoder("tiny"), encoder(weights, arrays)
    views, vectors = tuned.tuned.encode_beside(whole, TEXTS)
    assert np.array_equal(views, whole.encode_views(TEXTS))
    assert np.allclose(vectors, tuned.encode_views(TEXTS), atol=1e-5)


def test_in_int8_they_are_a_quarter_of_the_size_and_mean_the_same(
    weights: Weights, arrays: dict[str, np.ndarray]
) -> None:
    small, exact = encoder(weights, in_int8(arrays)), encoder(weights, arrays)
    assert small.tuned.size_mb < 0.3 * exact.tuned.size_mb
    apart = small.encode_views(TEXTS) - exact.encode_views(TEXTS)
    assert 0 < np.linalg.norm(apart, axis=2).max() < 0.03


@pytest.mark.parametrize("integers", [False, True])
def test_a_row_is_the_same_whatever_else_is_in_the_batch(
    integers: bool, weights: Weights, arrays: dict[str, np.ndarray]
) -> None:
    found = encoder(weights, in_int8(arrays) if integers else arrays)
    texts = [*TEXTS, "my blue card", "your red card", "refund it", "pay him"]
    one = np.concatenate([found.encode_views([text]) for text in texts])
    assert np.array_equal(found.encode_views(texts), one)


def test_states_are_those_of_the_layer_and_stop_where_the_text_does(weights: Weights) -> None:
    lower, whole = weights.encoder("tiny", below=2), weights.encoder("tiny")
    states = lower.states(TEXTS[1:4])
    seen = []
    for owner, mask, (_, inner) in whole.runs(TEXTS[1:4], [weights.spec("tiny").layers[-2]]):
        for i, found, there in zip(owner, inner, mask.sum(1).astype(int), strict=True):
            assert states[i].shape == (1, there, 64) and states[i].dtype == np.float16
            assert np.allclose(states[i][0], found[:there], atol=5e-3)
        seen += owner
    assert sorted(seen) == [0, 1, 2]


def test_more_layers_are_not_left_out_than_the_encoder_names(weights: Weights) -> None:
    with pytest.raises(WeightsError, match="names 3 inner layers, 4 upper ones"):
        weights.encoder("tiny", below=4)


def test_an_export_that_answers_otherwise_is_refused(
    weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jitr.models.surrogates.heads import tuned_export, tuned_fit

    lower, spec = weights.encoder("tiny", below=3), weights.spec("tiny").upper
    assert spec is not None
    tuner = tuned_fit.Tuner(lower, weights.find(spec.file), spec, 0)
    before = tuned_export.arrays_of(tuner._start)  # the layers as they were before they were tuned
    monkeypatch.setattr(tuned_export, "arrays_of", lambda upper: before)
    texts = [f"{word} case" for word in ("red", "blue") for _ in range(20)]
    y = np.repeat([[0], [1]], 20, axis=0)
    with pytest.raises(TrainingError, match="the layers as they serve differ"):
        tuner.fit(lower.states(texts), y, (2,), np.ones(40), np.arange(40), texts)


def test_a_graph_ends_where_it_is_told_to(weights: Weights) -> None:
    spec = weights.spec("tiny")
    whole = weights.find(spec.model).read_bytes()
    cut = with_outputs(whole, [spec.layers[0]], only=True)
    assert len(cut) < 0.7 * len(whole)
    assert len(with_outputs(whole, [spec.layers[0]])) > len(whole)
    assert with_outputs(whole, []) == whole


def widened(arrays: dict[str, np.ndarray]) -> None:
    del arrays["0.key.weight"]
    arrays |= {"0.key.int8": np.ones((64, 64), np.int8), "0.key.scale": np.ones((4096, 1, 64), np.float32)}


def overflowing(arrays: dict[str, np.ndarray]) -> None:
    arrays |= {f"1.narrow_norm.{part}": np.full(64, 3e38, np.float32) for part in ("weight", "bias")}


HOSTILE = {
    "a matrix is missing": lambda a: a.pop("0.query.weight"),
    "a layer is missing": lambda a: [a.pop(name) for name in list(a) if name.startswith("1.")],
    "one layer more": lambda a: a.update({"2.query.bias": a["0.query.bias"]}),
    "a tensor of the graph": lambda a: a.update({"shape/split": np.array([0, 0, 1 << 40], np.int64)}),
    "a name within a part": lambda a: a.update({"0.query.product": a["0.query.bias"]}),
    "another width": lambda a: a.update({"0.value.weight": np.ones((64, 128), np.float32)}),
    "a scalar": lambda a: a.update({"0.wide.bias": np.array(1.0, np.float32)}),
    "doubles": lambda a: a.update({"0.joined_norm.bias": np.zeros(64)}),
    "both forms": lambda a: a.update(in_int8({"0.wide.weight": a["0.wide.weight"]})),
    "a scale that spreads": widened,
    "numbers that overflow": overflowing,
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_arrays_that_are_not_those_layers_are_refused(
    kind: str, weights: Weights, arrays: dict[str, np.ndarray]
) -> None:
    bad = dict(arrays)
    HOSTILE[kind](bad)
    with pytest.raises(ArtifactError, match="the tuned layers"):
        layers(weights, bad)
