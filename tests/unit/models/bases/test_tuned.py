"""Tuned upper layers: the same as in torch and in the base they come from; hostile files are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jitr.models.bases.onnx_file import with_outputs
from jitr.models.bases.tuned import MASK, STATES, TOKENS, TunedEncoder
from jitr.models.bases.weights import Weights
from jitr.schemas.errors import ArtifactError, TrainingError, WeightsError

TEXTS = ["", "my red card", "please refund the money again", "help " * 60, "unheard of words"]


@pytest.fixture(scope="module")
def weights(tiny_base: Path) -> Weights:
    return Weights([tiny_base])


@pytest.fixture(scope="module")
def upper(weights: Weights) -> Any:
    from jitr.models.bases.upper import read_upper

    spec = weights.spec("tiny").upper
    assert spec is not None
    return read_upper(weights.find(spec.file), spec, 2, dropout=0.1)


@pytest.fixture(scope="module")
def model(upper: Any) -> bytes:
    from jitr.models.bases.upper import to_onnx

    return to_onnx(upper)


def test_layers_that_nobody_tuned_give_what_the_whole_base_gives(weights: Weights, model: bytes) -> None:
    whole = weights.encoder("tiny")
    tuned = TunedEncoder(weights.encoder("tiny", below=2), model)
    assert np.allclose(tuned.encode_views(TEXTS)[:, 0], whole.encode(TEXTS), atol=1e-4)
    one = np.concatenate([tuned.encode_views([text]) for text in TEXTS])
    assert np.array_equal(tuned.encode_views(TEXTS), one)
    assert tuned.encode_views([]).shape == (0, 1, 64)


def test_one_pass_gives_the_frozen_views_and_the_tuned_vector(weights: Weights, model: bytes) -> None:
    whole, tuned = weights.encoder("tiny"), TunedEncoder(weights.encoder("tiny", below=2), model, 2)
    views, vectors = tuned.tuned.encode_beside(whole, TEXTS)
    assert np.array_equal(views, whole.encode_views(TEXTS))
    assert np.allclose(vectors, tuned.encode_views(TEXTS), atol=1e-5)


def test_in_int8_they_are_a_quarter_of_the_size_and_mean_the_same(weights: Weights, model: bytes) -> None:
    import onnx

    from jitr.models.bases.int8_weights import with_int8_weights

    small = with_int8_weights(onnx.load_from_string(model)).SerializeToString()
    assert len(small) < 0.6 * len(model)  # of such narrow layers the scales are a good part
    lower = weights.encoder("tiny", below=2)
    found = TunedEncoder(lower, small)
    apart = found.encode_views(TEXTS) - TunedEncoder(lower, model).encode_views(TEXTS)
    assert (np.linalg.norm(apart, axis=2) < 0.03).all()
    one = np.concatenate([found.encode_views([text]) for text in TEXTS])
    assert np.array_equal(found.encode_views(TEXTS), one)  # whatever else is in the batch


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


def test_more_layers_are_not_left_out_than_the_base_names(weights: Weights) -> None:
    with pytest.raises(WeightsError, match="names 3 inner layers, 4 upper ones"):
        weights.encoder("tiny", below=4)


def test_an_export_that_answers_otherwise_is_refused(
    weights: Weights, model: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jitr.models.surrogates import tuned_export, tuned_fit

    lower, spec = weights.encoder("tiny", below=3), weights.spec("tiny").upper
    assert spec is not None
    tuner = tuned_fit.Tuner(lower, weights.find(spec.file), spec, 0)
    monkeypatch.setattr(tuned_export, "to_onnx", lambda upper: model)  # the layers as they were before
    texts = [f"{word} case" for word in ("red", "blue") for _ in range(20)]
    y = np.repeat([[0], [1]], 20, axis=0)
    with pytest.raises(TrainingError, match="the exported layers differ"):
        tuner.fit(lower.states(texts), y, (2,), np.ones(40), np.arange(40), texts)


def test_a_graph_ends_where_it_is_told_to(weights: Weights) -> None:
    spec = weights.spec("tiny")
    whole = weights.find(spec.model).read_bytes()
    cut = with_outputs(whole, [spec.layers[0]], only=True)
    assert len(cut) < 0.7 * len(whole)
    assert len(with_outputs(whole, [spec.layers[0]])) > len(whole)
    assert with_outputs(whole, []) == whole


def hostile(kind: str, model: bytes) -> bytes:
    import onnx
    from onnx import TensorProto, helper

    if kind == "garbage":
        return b"\x07garbage" * 9
    if kind == "cut off":
        return model[: len(model) // 2]
    if kind == "empty":
        return b""
    loaded = onnx.load_from_string(model)
    graph = loaded.graph
    if kind == "external":
        onnx.external_data_helper.set_external_data(graph.initializer[0], "../../etc/passwd")
        graph.initializer[0].ClearField("raw_data")
    elif kind == "operator":
        graph.node.insert(0, helper.make_node("RandomNormal", [], ["noise"], shape=[1 << 20, 1 << 20]))
    elif kind == "domain":
        graph.node.insert(0, helper.make_node("Add", [STATES, STATES], ["x"], domain="com.microsoft"))
    elif kind == "subgraph":
        inner = helper.make_graph([], "g", [], [])
        node = helper.make_node("Identity", [STATES], ["x"])
        node.attribute.append(helper.make_attribute("body", inner))
        graph.node.insert(0, node)
    elif kind == "function":
        loaded.functions.append(helper.make_function("d", "f", ["a"], ["b"], [], []))
    elif kind == "input":
        graph.input[0].name = "other"
    elif kind == "output":
        graph.output.append(helper.make_tensor_value_info(MASK, TensorProto.FLOAT, None))
    elif kind == "width":
        graph.output[0].name = "narrow"
        nodes = [helper.make_node("ReduceMean", [TOKENS], ["narrow"], axes=[2], keepdims=1)]
        graph.node.extend(nodes)
        graph.node.append(helper.make_node("Identity", ["narrow"], ["unused"]))
    return bytes(loaded.SerializeToString())


@pytest.mark.parametrize(
    "kind",
    [
        "garbage",
        "empty",
        "cut off",
        "external",
        "operator",
        "domain",
        "subgraph",
        "function",
        "input",
        "output",
        "width",
    ],
)
def test_a_file_that_is_not_the_upper_half_is_refused(kind: str, weights: Weights, model: bytes) -> None:
    lower = weights.encoder("tiny", below=2)
    with pytest.raises(ArtifactError, match="the tuned layers"):
        TunedEncoder(lower, hostile(kind, model))
