"""An exported encoder's matrices and tables stored in int8, in the form that `int8` lets multiply in int8.

Needs the package `onnx`, which whoever exports has. Activations are left alone: how they are quantised is
decided where the file is loaded, and a text's row must not depend on its company.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx
from onnx import helper, numpy_helper

_LEAST = 1024  # numbers; less is not worth two operators


def with_int8_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph with its weights as ``Mul(Cast(int8), scale)``, a quarter of the size.

    A matrix that is multiplied by has a scale for every column, a table that is looked up one for every row.

    Parameters
    ----------
    model : onnx.ModelProto
        In single precision; it is changed, and returned.

    Examples
    --------
    >>> weight = numpy_helper.from_array(np.linspace(-1, 1, 1024, dtype=np.float32).reshape(32, 32), "w")
    >>> x, y = (helper.make_tensor_value_info(name, 1, [1, 32]) for name in "xy")
    >>> graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", [x], [y], [weight])
    >>> small = with_int8_weights(helper.make_model(graph)).graph
    >>> [node.op_type for node in small.node], [tensor.name for tensor in small.initializer]
    (['Cast', 'Mul', 'MatMul'], ['w_int8', 'w_scale'])
    """
    graph = model.graph
    across = {node.input[1]: 0 for node in graph.node if node.op_type == "MatMul"}
    across |= {node.input[0]: 1 for node in graph.node if node.op_type == "Gather"}
    kept, made = [], []
    for tensor in graph.initializer:
        axis = across.get(tensor.name)
        if axis is None or not _is_large_matrix(tensor.data_type, tensor.dims):
            kept.append(tensor)
            continue
        matrix = numpy_helper.to_array(tensor)
        scale = np.maximum(np.abs(matrix).max(axis, keepdims=True), 1e-12) / 127
        whole, step, cast = (f"{tensor.name}_{part}" for part in ("int8", "scale", "cast"))
        kept += [
            numpy_helper.from_array(np.rint(matrix / scale).clip(-127, 127).astype(np.int8), whole),
            numpy_helper.from_array(scale.astype(np.float32), step),
        ]
        made += [
            helper.make_node("Cast", [whole], [cast], to=onnx.TensorProto.FLOAT),
            helper.make_node("Mul", [cast, step], [tensor.name]),
        ]
    nodes = [*made, *graph.node]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(kept)
    graph.node.extend(nodes)
    return model


def _is_large_matrix(kind: int, shape: Iterable[int]) -> bool:
    sizes = list(shape)
    return kind == onnx.TensorProto.FLOAT and len(sizes) == 2 and sizes[0] * sizes[1] >= _LEAST
