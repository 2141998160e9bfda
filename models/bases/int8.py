"""An ONNX file with weights in int8 made to multiply in int8 too: twice as fast where the processor can.

Many files only store their weights in int8: each is cast to float and scaled before it multiplies, as fast as
floats. Here every such product (``MatMul`` with ``Mul(Cast(int8), scale)``) becomes one of integers, and
activations are quantised as they come (``DynamicQuantizeLinear``); ONNX Runtime fuses it into one operator.
A matrix that narrows stays as it is: what it reads, after an activation function, has the heavy tails that
lose most (cosine of MiniLM's sentence vectors: 0.997 so, 0.995 with all, which cost coverage).
Ranges are those of the whole batch: whoever wants the same row for a text in any company runs it alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from jitr.models.bases.onnx_file import field, fields, numbers

_GRAPH = 7
_NODE, _INITIALIZER = 1, 5
_INPUT, _OUTPUT, _OPERATOR, _ATTRIBUTE = 1, 2, 4, 5
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_NAME, _INT8 = 1, 2, 8, 3
_FLOAT = 1


def with_int8_products(model: bytes) -> bytes:
    """The same graph with products of integers in the place of products with cast weights.

    Parameters
    ----------
    model : bytes
        An ONNX file. One without int8 weights comes back as it is.
    """
    return b"".join(
        field(number, _graph(value)) if number == _GRAPH else bytes(whole)
        for number, value, whole in fields(model)
    )


@dataclass(frozen=True)
class _Node:
    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    whole: bytes


def _graph(graph: memoryview) -> bytes:
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
            out.append(_make("DynamicQuantizeLinear", (x,), (f"{x}/int8", f"{x}/scale", f"{x}/zero")))
        out += [
            _make("MatMulInteger", (f"{x}/int8", matrix, f"{x}/zero"), (f"{made}/product",)),
            _make("Cast", (f"{made}/product",), (f"{made}/cast",), _to_float()),
            _make("Mul", (f"{x}/scale", scale), (f"{made}/scales",)),
            _make("Mul", (f"{made}/cast", f"{made}/scales"), (made,)),
        ]
    # the casts are not asked for any more, and ONNX Runtime would compute them all the same
    idle -= {name for node in out if idle.isdisjoint(node.outputs) for name in node.inputs}
    rest = [bytes(whole) for number, _, whole in parts if number != _NODE]
    return b"".join([*(node.whole for node in out if idle.isdisjoint(node.outputs)), *rest])


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


def _to_float() -> bytes:
    # AttributeProto: name (1), i (3, a varint), type (20) = INT (2)
    return field(_ATTRIBUTE, field(1, b"to") + bytes([3 << 3, _FLOAT]) + b"\xa0\x01\x02")


def _int8_name(tensor: memoryview) -> str:
    """The name of a matrix of int8 that does not narrow; empty for any other tensor."""
    name, kind = "", 0
    shape: list[int] = []
    for number, value, whole in fields(tensor):
        if number == _TENSOR_NAME:
            name = str(value, "utf-8")
        elif number == _TENSOR_TYPE:
            kind = numbers(value, whole)[0]
        elif number == _TENSOR_DIMS:
            shape += numbers(value, whole)
    return name if kind == _INT8 and len(shape) == 2 and shape[0] <= shape[1] else ""
