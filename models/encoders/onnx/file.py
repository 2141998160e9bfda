"""An ONNX file as bytes: read field by field and given other outputs, without the package `onnx`.

The file is a protobuf message: a list of fields, each a number, a wire type and a value. Only the few fields
that are needed here are looked into (numbers from ``onnx.proto``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_OUTPUT = 1, 5, 12
_NODE_INPUT, _NODE_OUTPUT = 1, 2
_TENSOR_NAME = 8


def with_outputs(model: bytes, names: Sequence[str], *, only: bool = False) -> bytes:
    """Make inner float tensors outputs of a graph too.

    Parameters
    ----------
    model : bytes
    names : sequence of str
        Tensors inside the graph.
    only : bool
        Take the outputs that it had away, so that what leads to nothing else is never computed.
    """
    values = b""
    for name in names:
        float_tensor = field(1, b"\x08\x01")  # TypeProto.tensor_type { elem_type: FLOAT }
        values += field(_GRAPH_OUTPUT, field(1, name.encode()) + field(2, float_tensor))
    if not names:
        return model
    if not only:
        # a message field that comes twice is merged, its repeated fields concatenated
        return model + field(_MODEL_GRAPH, values)
    out = []
    for number, value, whole in fields(model):
        if number == _MODEL_GRAPH:
            out.append(field(_MODEL_GRAPH, b"".join([*_leading_to(value, set(names)), values])))
        else:
            out.append(bytes(whole))
    return b"".join(out)


def _leading_to(graph: memoryview, wanted: set[str]) -> list[bytes]:
    """The fields of a graph without its outputs, and without nodes and weights that no wanted tensor needs.

    ONNX Runtime computes every node, whether its output is used or not (1.31, measured).
    """
    parts = list(fields(graph))
    kept = []
    for number, value, whole in reversed(parts):  # nodes are sorted: what a tensor needs stands before it
        if number == _GRAPH_NODE:
            if wanted.isdisjoint(_texts(value, _NODE_OUTPUT)):
                continue
            wanted |= set(_texts(value, _NODE_INPUT))
        if number != _GRAPH_OUTPUT:
            kept.append((number, value, whole))
    return [
        bytes(whole)
        for number, value, whole in reversed(kept)
        if number != _GRAPH_INITIALIZER or not wanted.isdisjoint(_texts(value, _TENSOR_NAME))
    ]


def _texts(message: memoryview, wanted: int) -> list[str]:
    return [str(value, "utf-8") for number, value, _ in fields(message) if number == wanted]


def fields(data: bytes | memoryview) -> Iterator[tuple[int, memoryview, memoryview]]:
    """Number, value and whole bytes of every field of a message; a number as value is empty here."""
    view, at = memoryview(data), 0
    while at < len(view):
        start = at
        key, at = _read_varint(view, at)
        value = view[:0]
        match key & 7:
            case 0:
                _, at = _read_varint(view, at)
            case 1:
                at += 8
            case 2:
                length, at = _read_varint(view, at)
                value, at = view[at : at + length], at + length
            case 5:
                at += 4
            case wire:
                raise ValueError(f"wire type {wire}")
        if at > len(view):
            raise ValueError("a field ends behind the message")
        yield key >> 3, value, view[start:at]


def numbers(value: memoryview, whole: memoryview) -> list[int]:
    """The integers of a field as `fields` gives it: one, or several that are packed."""
    view, at = (value, 0) if len(value) else (whole, _read_varint(whole, 0)[1])
    found = []
    while at < len(view):
        number, at = _read_varint(view, at)
        found.append(number)
    return found


def _read_varint(view: memoryview, at: int) -> tuple[int, int]:
    out = shift = 0
    while at < len(view) and shift < 64:
        byte = view[at]
        out |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return out, at
    raise ValueError("a number without an end")


def field(number: int, payload: bytes) -> bytes:
    """A field whose value is bytes: a text or a message."""
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def varint(n: int) -> bytes:
    """A whole number as it stands in the file; a negative one is taken for that of 64 bits.

    Examples
    --------
    >>> varint(300), len(varint(-1))
    (b'\\xac\\x02', 10)
    """
    out, n = b"", n % (1 << 64)
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])
