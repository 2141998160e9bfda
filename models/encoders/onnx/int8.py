"""An ONNX file with weights in int8 made to multiply in int8 too: over twice as fast where the processor can.

Many files only store their weights in int8: each is cast to float and scaled before it multiplies, as fast as
floats. Here every such product (``MatMul`` with ``Mul(Cast(int8), scale)``) becomes one of integers. What is
multiplied is quantised token by token, each by its own greatest number: a token's row never depends on its
company, and no range was calibrated that another kind of text could exceed. Some of MiniLM's tokens have
numbers ten times as great as all others: one range for a whole text, or for all texts, loses more by them
(cosine of its sentence vectors to those of floats: 0.998 so, 0.997 with a range for each text and the
narrowing products in float, 0.994 with constant ranges).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jitr.models.encoders.onnx.file import field, fields, numbers
from jitr.models.encoders.onnx.make import FLOAT, graph_fields, onnx_model, operator, tensor

_GRAPH, _OPSETS = 7, 8
_NODE, _INITIALIZER = 1, 5
_INPUT, _OUTPUT, _OPERATOR = 1, 2, 4
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_NAME = 1, 2, 8
_INT8 = 3
_STEP, _ZERO, _AXIS = "int8/step", "int8/zero", "int8/axis"
_AXES_ARE_INPUTS = 18


def with_int8_products(model: bytes) -> bytes:
    """The same graph with products of integers in the place of products with cast weights.

    Parameters
    ----------
    model : bytes
        An ONNX file. One without int8 weights comes back as it is.
    """
    opset = _opset(model)
    return b"".join(
        field(number, _graph(value, opset)) if number == _GRAPH else bytes(whole)
        for number, value, whole in fields(model)
    )


def largest_products() -> bytes:
    """An ONNX file whose sums of products are as large as they come: ``x`` (uint8, 64 columns) in, ``y`` out.

    Processors without instructions for sums of byte products may add them in pairs of 16 bits that saturate:
    there, and only there, something else than the exact sum comes out, and texts have other rows.
    """
    body = graph_fields(
        [operator("MatMulInteger", ("x", "w"), ("y",))], [tensor("w", np.full((64, 16), 127, np.int8))]
    )
    return onnx_model(
        "largest products", body, {"x": ("uint8", 2)}, {"y": ("int32", 2)}, _AXES_ARE_INPUTS - 1
    )


@dataclass(frozen=True)
class _Node:
    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    whole: bytes


def _graph(graph: memoryview, opset: int) -> bytes:
    parts = list(fields(graph))
    nodes = [_read(value, whole) for number, value, whole in parts if number == _NODE]
    maker = {output: node for node in nodes for output in node.outputs}
    int8 = {name for number, value, _ in parts if number == _INITIALIZER and (name := _int8_name(value))}
    out: list[_Node] = []
    quantised: set[str] = set()
    idle: set[str] = set()
    for node in nodes:
        weight = _weight(node, maker, int8)
        if weight is None:
            out.append(node)
            continue
        x, (matrix, scale), made = node.inputs[0], weight, node.outputs[0]
        idle |= {node.inputs[1], maker[node.inputs[1]].inputs[0]}
        if x not in quantised:
            quantised.add(x)
            out += _quantised(x, opset)
        out += [
            _make("MatMulInteger", (f"{x}/int8", matrix, _ZERO), (f"{made}/product",)),
            _make("Cast", (f"{made}/product",), (f"{made}/cast",), to=FLOAT),
            _make("Mul", (_STEP, scale), (f"{made}/scales",)),
            _make("Mul", (f"{made}/cast", f"{made}/scales"), (f"{made}/unit",)),
            _make("Mul", (f"{made}/unit", f"{x}/most"), (made,)),
        ]
    # the casts are not asked for any more, and ONNX Runtime would compute them all the same
    idle -= {name for node in out if idle.isdisjoint(node.outputs) for name in node.inputs}
    rest = [bytes(whole) for number, _, whole in parts if number != _NODE]
    made_of = _constants(opset) if quantised else b""
    return b"".join([*(node.whole for node in out if idle.isdisjoint(node.outputs)), *rest, made_of])


def _quantised(x: str, opset: int) -> list[_Node]:
    """Each row of a tensor as whole numbers from -127 to 127, and the row's greatest number.

    A row of zeros is divided by 0, and whatever comes of it is multiplied by that 0 in the end.
    """
    most = (f"{x}/abs",), (f"{x}/most",)
    if opset < _AXES_ARE_INPUTS:
        greatest = _make("ReduceMax", *most, axes=(-1,))
    else:
        greatest = _make("ReduceMax", (f"{x}/abs", _AXIS), most[1])
    return [
        _make("Abs", (x,), (f"{x}/abs",)),
        greatest,
        _make("Div", (x, f"{x}/most"), (f"{x}/share",)),
        _make("QuantizeLinear", (f"{x}/share", _STEP, _ZERO), (f"{x}/int8",)),
    ]


def _constants(opset: int) -> bytes:
    made = [tensor(_STEP, np.array(1 / 127, np.float32)), tensor(_ZERO, np.array(128, np.uint8))]
    if opset >= _AXES_ARE_INPUTS:
        made.append(tensor(_AXIS, np.array([-1])))
    return graph_fields([], made)


def _weight(node: _Node, maker: dict[str, _Node], int8: set[str]) -> tuple[str, str] | None:
    """The int8 matrix and its scale, where a node multiplies by a matrix that was cast and scaled."""
    scaled = maker.get(node.inputs[1]) if node.operator == "MatMul" else None
    if scaled is None or scaled.operator != "Mul":
        return None
    cast = maker.get(scaled.inputs[0])
    if cast is None or cast.operator != "Cast" or cast.inputs[0] not in int8:
        return None
    return cast.inputs[0], scaled.inputs[1]


def _read(value: memoryview, whole: memoryview) -> _Node:
    found: dict[int, list[str]] = {_INPUT: [], _OUTPUT: [], _OPERATOR: []}
    for number, part, _ in fields(value):
        if number in found:
            found[number].append(str(part, "utf-8"))
    return _Node("".join(found[_OPERATOR]), tuple(found[_INPUT]), tuple(found[_OUTPUT]), bytes(whole))


def _make(
    kind: str, inputs: tuple[str, ...], outputs: tuple[str, ...], **attributes: int | tuple[int, ...]
) -> _Node:
    whole = graph_fields([operator(kind, inputs, outputs, **attributes)], [])
    return _Node(kind, inputs, outputs, whole)


def _opset(model: bytes) -> int:
    """The version of the standard operators that a file is written in."""
    for number, value, _ in fields(model):
        if number == _OPSETS:
            found = {inner: (part, whole) for inner, part, whole in fields(value)}
            if not found.get(1, (b"", b""))[0]:
                return numbers(*found[2])[0]
    return 0


def _int8_name(tensor: memoryview) -> str:
    """The name of a matrix of int8; empty for any other tensor."""
    name, kind = "", 0
    shape: list[int] = []
    for number, value, whole in fields(tensor):
        if number == _TENSOR_NAME:
            name = str(value, "utf-8")
        elif number == _TENSOR_TYPE:
            kind = numbers(value, whole)[0]
        elif number == _TENSOR_DIMS:
            shape += numbers(value, whole)
    return name if kind == _INT8 and len(shape) == 2 else ""
