"""ONNX files written from nothing, without the package `onnx`: tensors, operators, a graph."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from jitr.models.encoders.onnx.file import field, varint

FLOAT = 1
_KINDS = {"float32": FLOAT, "uint8": 2, "int8": 3, "int32": 6, "int64": 7}
_GRAPH, _OPSETS = 7, 8
_NODE, _NAME, _INITIALIZER, _INPUT, _OUTPUT = 1, 2, 5, 11, 12
_IR_VERSION = bytes([8, 8])

Ends = Mapping[str, tuple[str, int]]


def operator(
    kind: str, inputs: Iterable[str], outputs: Iterable[str], **attributes: int | float | Sequence[int]
) -> bytes:
    """A NodeProto: an operator, the tensors that it takes and makes, and what it is told."""
    named = [(1, name) for name in inputs] + [(2, name) for name in outputs] + [(4, kind)]
    body = b"".join(field(number, name.encode()) for number, name in named)
    return body + b"".join(field(5, _attribute(name, value)) for name, value in attributes.items())


def tensor(name: str, array: NDArray[np.generic]) -> bytes:
    """A TensorProto that holds an array; one without axes is a single number."""
    dims = b"".join(varint(1 << 3) + varint(n) for n in array.shape)
    kind = varint(2 << 3) + varint(_KINDS[array.dtype.name])
    raw = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
    return dims + kind + field(8, name.encode()) + field(9, raw)


def graph_fields(operators: Iterable[bytes], tensors: Iterable[bytes]) -> bytes:
    """Operators and tensors as fields of a GraphProto."""
    nodes = [field(_NODE, made) for made in operators]
    return b"".join([*nodes, *(field(_INITIALIZER, made) for made in tensors)])


def onnx_model(name: str, fields: bytes, takes: Ends, gives: Ends, opset: int) -> bytes:
    """A ModelProto.

    Parameters
    ----------
    name : str
    fields : bytes
        Of its graph: `graph_fields`.
    takes, gives : mapping
        The type of each input and output, and how many axes it has.
    opset : int
        Version of the standard operators.

    Examples
    --------
    >>> import onnxruntime
    >>> one = tensor("one", np.ones(2, np.float32))
    >>> body = graph_fields([operator("Add", ("x", "one"), ("y",))], [one])
    >>> model = onnx_model("plus one", body, {"x": ("float32", 1)}, {"y": ("float32", 1)}, 17)
    >>> session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    >>> session.run(None, {"x": np.zeros(2, np.float32)})[0].tolist()
    [1.0, 1.0]
    """
    ends = [field(_INPUT, _end(end, *form)) for end, form in takes.items()]
    ends += [field(_OUTPUT, _end(end, *form)) for end, form in gives.items()]
    graph = fields + field(_NAME, name.encode()) + b"".join(ends)
    return _IR_VERSION + field(_GRAPH, graph) + field(_OPSETS, varint(2 << 3) + varint(opset))


def _end(name: str, kind: str, axes: int) -> bytes:
    """A ValueInfoProto: a tensor whose axes are of any length."""
    shape = b"".join(field(1, field(2, f"{name}_{axis}".encode())) for axis in range(axes))
    made = varint(1 << 3) + varint(_KINDS[kind]) + field(2, shape)
    return field(1, name.encode()) + field(2, field(1, made))


def _attribute(name: str, value: int | float | Sequence[int]) -> bytes:
    # AttributeProto: name (1), f (2), i (3) or ints (8), type (20) = FLOAT (1), INT (2) or INTS (7)
    if isinstance(value, float):
        kind, made = 1, varint(2 << 3 | 5) + struct.pack("<f", value)
    elif isinstance(value, int):
        kind, made = 2, varint(3 << 3) + varint(value)
    else:
        kind, made = 7, b"".join(varint(8 << 3) + varint(n) for n in value)
    return field(1, name.encode()) + made + varint(20 << 3) + varint(kind)
