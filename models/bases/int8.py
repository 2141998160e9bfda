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

import struct
from dataclasses import dataclass

from jitr.models.bases.onnx_file import field, fields, numbers, varint

_GRAPH, _OPSETS = 7, 8
_NODE, _INITIALIZER = 1, 5
_INPUT, _OUTPUT, _OPERATOR, _ATTRIBUTE = 1, 2, 4, 5
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_NAME, _TENSOR_RAW = 1, 2, 8, 9
_FLOAT, _UINT8, _INT8, _INT32, _INT64 = 1, 2, 3, 6, 7
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
    dims = b"".join(varint(_TENSOR_DIMS << 3) + varint(n) for n in (64, 16))
    parts = [
        _make("MatMulInteger", ("x", "w"), ("y",)).whole,
        field(2, b"largest products"),
        _tensor("w", _INT8, bytes([127]) * 64 * 16, dims),
        *(
            field(where, field(1, name) + field(2, field(1, bytes([8, kind]))))
            for where, name, kind in ((11, b"x", _UINT8), (12, b"y", _INT32))
        ),
    ]
    # ModelProto: ir_version (1) 8, opset_import (8) of version (2) 13
    return bytes([8, 8]) + field(_GRAPH, b"".join(parts)) + field(_OPSETS, bytes([16, 13]))


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
            _make("Cast", (f"{made}/product",), (f"{made}/cast",), _attribute("to", _FLOAT)),
            _make("Mul", (_STEP, scale), (f"{made}/scales",)),
            _make("Mul", (f"{made}/cast", f"{made}/scales"), (f"{made}/unit",)),
            _make("Mul", (f"{made}/unit", f"{x}/most"), (made,)),
        ]
    # the casts are not asked for any more, and ONNX Runtime would compute them all the same
    idle -= {name for node in out if idle.isdisjoint(node.outputs) for name in node.inputs}
    rest = [bytes(whole) for number, _, whole in parts if number != _NODE]
    made_of = _constants(opset) if quantised else []
    return b"".join([*(node.whole for node in out if idle.isdisjoint(node.outputs)), *rest, *made_of])


def _quantised(x: str, opset: int) -> list[_Node]:
    """Each row of a tensor as whole numbers from -127 to 127, and the row's greatest number.

    A row of zeros is divided by 0, and whatever comes of it is multiplied by that 0 in the end.
    """
    most = (f"{x}/abs",), (f"{x}/most",)
    if opset < _AXES_ARE_INPUTS:
        greatest = _make("ReduceMax", *most, _attribute("axes", -1, many=True))
    else:
        greatest = _make("ReduceMax", (f"{x}/abs", _AXIS), most[1])
    return [
        _make("Abs", (x,), (f"{x}/abs",)),
        greatest,
        _make("Div", (x, f"{x}/most"), (f"{x}/share",)),
        _make("QuantizeLinear", (f"{x}/share", _STEP, _ZERO), (f"{x}/int8",)),
    ]


def _constants(opset: int) -> list[bytes]:
    step, zero = struct.pack("<f", 1 / 127), bytes([128])
    made = [_tensor(_STEP, _FLOAT, step), _tensor(_ZERO, _UINT8, zero)]
    if opset >= _AXES_ARE_INPUTS:
        made.append(_tensor(_AXIS, _INT64, struct.pack("<q", -1), dims=varint(_TENSOR_DIMS << 3) + varint(1)))
    return made


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


def _make(operator: str, inputs: tuple[str, ...], outputs: tuple[str, ...], attribute: bytes = b"") -> _Node:
    named = [(_INPUT, name) for name in inputs] + [(_OUTPUT, name) for name in outputs]
    body = b"".join(field(number, name.encode()) for number, name in [*named, (_OPERATOR, operator)])
    return _Node(operator, inputs, outputs, field(_NODE, body + attribute))


def _attribute(name: str, value: int, *, many: bool = False) -> bytes:
    # AttributeProto: name (1), i (3) or ints (8), type (20) = INT (2) or INTS (7)
    where, kind = (8, 7) if many else (3, 2)
    parts = field(1, name.encode()), varint(where << 3), varint(value), varint(20 << 3), varint(kind)
    return field(_ATTRIBUTE, b"".join(parts))


def _tensor(name: str, kind: int, raw: bytes, dims: bytes = b"") -> bytes:
    parts = dims, varint(_TENSOR_TYPE << 3), varint(kind), field(_TENSOR_NAME, name.encode())
    return field(_INITIALIZER, b"".join([*parts, field(_TENSOR_RAW, raw)]))


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
