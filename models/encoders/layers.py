"""Layers of a BERT as arrays, and the graph that runs them: built here, so that a file only brings numbers.

An artifact with tuned layers holds their matrices and nothing that decides what is computed with them: a
graph of somebody else's could take a machine's memory in a thousand bytes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from jitr.models.encoders.onnx.make import FLOAT, graph_fields, onnx_model, operator, tensor
from jitr.schemas.errors import ArtifactError

STATES, MASK, TOKENS = "states", "mask", "tokens"
DENSE = ("query", "key", "value", "joined", "wide", "narrow")
NORMS = ("joined_norm", "narrow_norm")
_OPSET = 17

Arrays = Mapping[str, NDArray[np.generic]]
Form = tuple[str, tuple[int, ...]]


def in_int8(arrays: Arrays) -> dict[str, NDArray[np.generic]]:
    """The same layers with their matrices in int8, a scale for every column.

    Examples
    --------
    >>> found = in_int8({"0.wide.weight": np.array([[1.0, -2.0]], np.float32)})
    >>> found["0.wide.int8"].tolist(), np.round(found["0.wide.scale"] * 127, 3).tolist()
    ([[127, -127]], [1.0, 2.0])
    """
    found: dict[str, NDArray[np.generic]] = {}
    for name, array in arrays.items():
        if array.ndim != 2:
            found[name] = array
            continue
        matrix = np.asarray(array, np.float32)
        scale = (np.maximum(np.abs(matrix).max(0), 1e-12) / 127).astype(np.float32)
        stem = name.removesuffix("weight")
        found[f"{stem}int8"] = np.rint(matrix / scale).clip(-127, 127).astype(np.int8)
        found[f"{stem}scale"] = scale
    return found


def layers_graph(arrays: Arrays, layers: int, dim: int, heads: int, epsilon: float) -> bytes:
    """The ONNX file of some layers: states and a mask in, states of the last layer out (0 without a token).

    Parameters
    ----------
    arrays : mapping
        ``{layer}.{part}.weight`` (rows are inputs) and ``.bias`` for the dense parts ``query``, ``key``,
        ``value``, ``joined``, ``wide`` and ``narrow`` and the norms ``joined_norm`` and ``narrow_norm``, in
        single precision; for a dense part ``.int8`` and ``.scale`` may stand in the place of ``.weight``.
    layers, dim, heads : int
    epsilon : float
        Of the norms.

    Raises
    ------
    ArtifactError
        The arrays are not those of such layers.
    """
    _check(arrays, layers, dim, heads)
    numbers: dict[str, NDArray[np.generic]] = {
        "shape/split": np.array([0, 0, heads, dim // heads], np.int64),
        "shape/joined": np.array([0, 0, dim], np.int64),
        "axes/seen": np.array([1, 2], np.int64),
        "axes/tokens": np.array([2], np.int64),
        **{
            f"number/{name}": np.array(value, np.float32)
            for name, value in (
                ("one", 1.0),
                ("half", 0.5),
                ("away", -1e9),
                ("sqrt2", math.sqrt(2.0)),
                ("share", 1 / math.sqrt(dim // heads)),
            )
        },
    }
    made = [
        operator("Sub", ("number/one", MASK), ("absent",)),
        operator("Mul", ("absent", "number/away"), ("absent/away",)),
        operator("Unsqueeze", ("absent/away", "axes/seen"), ("away",)),
        operator("Unsqueeze", (MASK, "axes/tokens"), ("there",)),
    ]
    x = STATES
    for i in range(layers):
        more, x = _layer(arrays, str(i), x, epsilon)
        made += more
    made.append(operator("Mul", (x, "there"), (TOKENS,)))
    tensors = [tensor(name, array) for name, array in (*numbers.items(), *arrays.items())]
    takes = {STATES: ("float32", 3), MASK: ("float32", 2)}
    return onnx_model("layers", graph_fields(made, tensors), takes, {TOKENS: ("float32", 3)}, _OPSET)


def _layer(arrays: Arrays, i: str, x: str, epsilon: float) -> tuple[list[bytes], str]:
    """Attention, then two dense parts, each added to what it read and normalised."""
    made: list[bytes] = []

    def do(kind: str, out: str, *inputs: str, **attributes: int | float | tuple[int, ...]) -> str:
        made.append(operator(kind, inputs, (f"{i}/{out}",), **attributes))
        return f"{i}/{out}"

    def dense(part: str, y: str) -> str:
        weight = f"{i}.{part}.weight"
        if weight not in arrays:
            cast = do("Cast", f"{part}/cast", f"{i}.{part}.int8", to=FLOAT)
            weight = do("Mul", f"{part}/weight", cast, f"{i}.{part}.scale")
        return do("Add", part, do("MatMul", f"{part}/product", y, weight), f"{i}.{part}.bias")

    def norm(part: str, y: str) -> str:
        return do(
            "LayerNormalization", part, y, f"{i}.{part}.weight", f"{i}.{part}.bias", axis=-1, epsilon=epsilon
        )

    def split(part: str, perm: tuple[int, ...]) -> str:
        apart = do("Reshape", f"{part}/split", dense(part, x), "shape/split")
        return do("Transpose", f"{part}/heads", apart, perm=perm)

    query, key, value = split("query", (0, 2, 1, 3)), split("key", (0, 2, 3, 1)), split("value", (0, 2, 1, 3))
    near = do("Mul", "near/share", do("MatMul", "near", query, key), "number/share")
    seen = do("Softmax", "seen", do("Add", "near/seen", near, "away"), axis=-1)
    heads = do("Transpose", "heads", do("MatMul", "seen/value", seen, value), perm=(0, 2, 1, 3))
    joined = dense("joined", do("Reshape", "heads/joined", heads, "shape/joined"))
    middle = norm("joined_norm", do("Add", "joined/sum", joined, x))
    wide = dense("wide", middle)
    erf = do("Erf", "wide/erf", do("Div", "wide/share", wide, "number/sqrt2"))
    gelu = do("Mul", "wide/part", wide, do("Add", "wide/one", erf, "number/one"))
    narrow = dense("narrow", do("Mul", "wide/gelu", gelu, "number/half"))
    return made, norm("narrow_norm", do("Add", "narrow/sum", narrow, middle))


def _check(arrays: Arrays, layers: int, dim: int, heads: int) -> None:
    if layers < 1 or heads < 1 or dim % heads:
        raise ArtifactError(f"{layers} layers of {heads} heads do not fit states of {dim}; train it again")
    wanted: dict[str, Form] = {}
    for i in range(layers):
        bias = arrays.get(f"{i}.wide.bias")
        wide = len(bias) if bias is not None and bias.ndim == 1 else 0
        sizes = dict.fromkeys(DENSE, (dim, dim)) | {"wide": (dim, wide), "narrow": (wide, dim)}
        for part, size in sizes.items():
            stem = f"{i}.{part}"
            wanted[f"{stem}.bias"] = "float32", size[1:]
            if f"{stem}.weight" in arrays:
                wanted[f"{stem}.weight"] = "float32", size
            else:
                wanted |= {f"{stem}.int8": ("int8", size), f"{stem}.scale": ("float32", size[1:])}
        for part in NORMS:
            wanted |= {f"{i}.{part}.{kind}": ("float32", (dim,)) for kind in ("weight", "bias")}
    found = {name: (array.dtype.name, array.shape) for name, array in arrays.items()}
    for name in sorted(wanted.keys() | found.keys()):
        if found.get(name) != wanted.get(name):
            raise ArtifactError(
                f"the tuned layers' `{name}` is {found.get(name, 'missing')}, {wanted.get(name, 'nothing')}"
                " is wanted; train them again"
            )
