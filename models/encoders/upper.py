"""The upper layers of a BERT in torch: read from safetensors, tuned, written as ONNX.

Imported only where something is tuned: torch takes seconds to import. The layers are written out here (Devlin
et al., 2019) and not taken from a library, so that they start at any layer's states and import nothing
besides torch; `jitr.models.encoders.layers` has the same as a graph.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from torch import nn
from torch.nn import functional

from jitr.models.encoders.registry import UpperSpec
from jitr.schemas.errors import WeightsError

STEP = 8  # tokens of a batch are a multiple of it: few shapes, and each is prepared once
_NAMES = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "joined": "attention.output.dense",
    "joined_norm": "attention.output.LayerNorm",
    "wide": "intermediate.dense",
    "narrow": "output.dense",
    "narrow_norm": "output.LayerNorm",
}


class Layer(nn.Module):  # type: ignore[misc, unused-ignore]  # torch is untyped here
    """One layer: attention, then two dense ones, each added to its input and normalised."""

    def __init__(self, dim: int, heads: int, wide: int, epsilon: float) -> None:
        super().__init__()
        self.heads, self.size = heads, dim // heads
        self.query, self.key, self.value, self.joined = (nn.Linear(dim, dim) for _ in range(4))
        self.wide, self.narrow = nn.Linear(dim, wide), nn.Linear(wide, dim)
        self.joined_norm, self.narrow_norm = (nn.LayerNorm(dim, eps=epsilon) for _ in range(2))

    def forward(self, x: Any, away: Any, dropout: float) -> Any:
        """``away`` is added to the attention: 0 for tokens, very negative for padding."""
        rows, tokens, dim = x.shape

        def split(y: Any) -> Any:
            return y.view(rows, tokens, self.heads, self.size).transpose(1, 2)

        query, key, value = split(self.query(x)), split(self.key(x)), split(self.value(x))
        seen = torch.softmax(query @ key.transpose(2, 3) / math.sqrt(self.size) + away, -1) @ value
        seen = self.joined(seen.transpose(1, 2).reshape(rows, tokens, dim))
        x = self.joined_norm(x + functional.dropout(seen, dropout, self.training))
        more = self.narrow(functional.gelu(self.wide(x)))
        return self.narrow_norm(x + functional.dropout(more, dropout, self.training))


class Upper(nn.Module):  # type: ignore[misc, unused-ignore]  # torch is untyped here
    """Layers above one another; the last one's states come out, zero where there is no token."""

    def __init__(self, layers: int, dim: int, heads: int, wide: int, epsilon: float, dropout: float) -> None:
        super().__init__()
        self.dim, self.dropout = dim, dropout
        self.layers = nn.ModuleList(Layer(dim, heads, wide, epsilon) for _ in range(layers))

    def forward(self, states: Any, mask: Any) -> Any:
        """States (rows, tokens, dim) and mask (rows, tokens) in, states out."""
        away = ((1 - mask) * -1e9)[:, None, None, :]
        for layer in self.layers:
            states = layer(states, away, self.dropout)
        return states * mask[..., None]


def read_upper(path: Path, spec: UpperSpec, layers: int, dropout: float) -> Upper:
    """The topmost layers of an encoder.

    Raises
    ------
    WeightsError
        The file lacks a tensor, or its shapes do not fit each other.
    """
    try:
        with safe_open(path, "pt") as file:
            tensors = {
                f"layers.{i}.{ours}.{part}": file.get_tensor(
                    f"{spec.prefix}{spec.depth - layers + i}.{theirs}.{part}"
                ).float()
                for i in range(layers)
                for ours, theirs in _NAMES.items()
                for part in ("weight", "bias")
            }
        wide, dim = tensors["layers.0.wide.weight"].shape
        upper = Upper(layers, dim, spec.heads, wide, spec.epsilon, dropout)
        upper.load_state_dict(tensors)
    except (OSError, SafetensorError, RuntimeError, ValueError) as error:
        raise WeightsError(
            f"{path} does not hold the layers of a BERT of depth {spec.depth}: {error}; export it again"
        ) from error
    return upper


def arrays_of(upper: Upper) -> dict[str, NDArray[np.generic]]:
    """The layers as `jitr.models.encoders.layers` names them, in single precision."""
    found = {}
    for name, value in upper.state_dict().items():
        array = value.detach().cpu().float().numpy()
        found[name.removeprefix("layers.")] = np.ascontiguousarray(array.T)
    return found


def padded(
    pieces: list[NDArray[np.float16]],
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    """Texts' states (chunks, tokens, dim) as one batch: states, mask, and which text each row is of."""
    rows, width = sum(len(p) for p in pieces), -(-max(p.shape[1] for p in pieces) // STEP) * STEP
    states = np.zeros((rows, width, pieces[0].shape[2]), dtype=np.float32)
    at = 0
    for piece in pieces:
        states[at : at + len(piece), : piece.shape[1]] = piece
        at += len(piece)
    mask = (states != 0).any(2).astype(np.float32)  # a normalised state is never all zero
    return states, mask, np.repeat(np.arange(len(pieces)), [len(p) for p in pieces])
