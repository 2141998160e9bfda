"""Weights stored in int8 are multiplied in int8, each row by its own range; nothing else changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest

from jitr.models.encoders.onnx.file import with_outputs
from jitr.models.encoders.onnx.int8 import with_int8_products

onnx = pytest.importorskip("onnx")
X = np.random.default_rng(0).normal(size=(1, 5, 8)).astype(np.float32)
OPSETS = (17, 18)  # between them, axes became inputs


def graph(wide: int = 16, narrow: int = 8, opset: int = 17) -> bytes:
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
    ends = [h.make_tensor_value_info(n, 1, ["rows", "tokens", d]) for n, d in (("x", 8), ("b", narrow))]
    made = h.make_graph(nodes, "g", ends[:1], ends[1:], tensors)
    model = h.make_model(made, opset_imports=[h.make_opsetid("", opset)], ir_version=8)
    return bytes(model.SerializeToString())


def operators(model: bytes) -> list[str]:
    return [node.op_type for node in onnx.load_model_from_string(model).graph.node]


def run(model: bytes, x: Any = X) -> Any:
    return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, {"x": x})


@pytest.mark.parametrize("opset", OPSETS)
def test_products_become_those_of_integers_and_nearly_the_same_comes_out(opset: int) -> None:
    before = graph(opset=opset)
    after = with_int8_products(before)
    onnx.checker.check_model(onnx.load_model_from_string(after))
    assert operators(after).count("MatMulInteger") == 2 and "MatMul" not in operators(after)
    assert operators(after).count("Cast") == 2  # those of the weights are gone
    (old,), (new,) = run(before), run(after)
    assert 0 < np.abs(old - new).max() < 0.03 * np.abs(old).max()


def test_a_great_number_in_one_row_costs_no_other_row_its_steps() -> None:
    x = X.copy()
    x[0, 2, 3] = 1e6
    (before,), (after,) = run(with_int8_products(graph())), run(with_int8_products(graph()), x)
    others = [0, 1, 3, 4]
    assert np.array_equal(before[:, others], after[:, others]) and not np.array_equal(before, after)


@pytest.mark.parametrize("opset", OPSETS)
def test_a_row_of_zeros_gives_zeros(opset: int) -> None:
    x = X.copy()
    x[0, 2] = 0
    (out,) = run(with_int8_products(graph(opset=opset)), x)
    assert np.isfinite(out).all() and not out[0, 2].any() and out[0, 1].any()


def test_a_graph_without_such_weights_comes_back_as_it_is() -> None:
    once = with_int8_products(graph())
    assert with_int8_products(once) == once


def test_inner_layers_can_still_be_read() -> None:
    assert [out.shape[2] for out in run(with_outputs(with_int8_products(graph(16, 32)), ["a"]))] == [32, 16]
