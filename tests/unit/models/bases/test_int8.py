"""Weights stored in int8 are multiplied in int8, but for those that narrow; nothing else changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest

from jitr.models.bases.int8 import with_int8_products
from jitr.models.bases.onnx_file import with_outputs

onnx = pytest.importorskip("onnx")
X = np.random.default_rng(0).normal(size=(1, 5, 8)).astype(np.float32)


def graph(wide: int, narrow: int) -> bytes:
    """Two products with cast weights, one after the other: 8 to `wide`, to `narrow`."""
    rng = np.random.default_rng(1)
    h, tensors, nodes = onnx.helper, [], []
    for name, source, shape in (("a", "x", (8, wide)), ("b", "a", (wide, narrow))):
        matrix = rng.integers(-127, 128, shape).astype(np.int8)
        tensors += [
            onnx.numpy_helper.from_array(matrix, f"{name}_q"),
            onnx.numpy_helper.from_array(np.full((1, shape[1]), 0.01, np.float32), f"{name}_scale"),
        ]
        nodes += [
            h.make_node("Cast", [f"{name}_q"], [f"{name}_f"], to=1),
            h.make_node("Mul", [f"{name}_f", f"{name}_scale"], [f"{name}_w"]),
            h.make_node("MatMul", [source, f"{name}_w"], [name]),
        ]
    ends = [h.make_tensor_value_info(n, 1, [1, 5, d]) for n, d in (("x", 8), ("b", narrow))]
    made = h.make_graph(nodes, "g", ends[:1], ends[1:], tensors)
    return bytes(h.make_model(made, opset_imports=[h.make_opsetid("", 17)], ir_version=8).SerializeToString())


def operators(model: bytes) -> list[str]:
    return [node.op_type for node in onnx.load_model_from_string(model).graph.node]


def run(model: bytes) -> Any:
    return onnxruntime.InferenceSession(model).run(None, {"x": X})


def test_products_become_those_of_integers_and_nearly_the_same_comes_out() -> None:
    before = graph(16, 32)
    after = with_int8_products(before)
    assert operators(after).count("MatMulInteger") == 2 and "MatMul" not in operators(after)
    assert operators(after).count("Cast") == 2  # those of the weights are gone
    (old,), (new,) = run(before), run(after)
    assert 0 < np.abs(old - new).max() < 0.05 * np.abs(old).max()


def test_a_matrix_that_narrows_stays_in_float() -> None:
    after = operators(with_int8_products(graph(32, 8)))
    assert after.count("MatMulInteger") == 1 and after.count("MatMul") == 1


def test_a_graph_without_such_weights_comes_back_as_it_is() -> None:
    once = with_int8_products(graph(16, 32))
    assert with_int8_products(once) == once


def test_inner_layers_can_still_be_read() -> None:
    assert [out.shape[2] for out in run(with_outputs(with_int8_products(graph(16, 32)), ["a"]))] == [32, 16]
