"""A network of one layer in the form E5S1, the 4-bit files of another engine."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

HIDDEN, INNER, PIECES = 32, 64, ["<s>", "<pad>", "</s>", "<unk>", "▁hello", "▁", "h", "o"]


def write(file: Path) -> dict[str, np.ndarray]:
    """Write such a file; its tensors as numbers, by their names in it."""
    rng = np.random.default_rng(0)
    floats = {"emb.pos": 8 * HIDDEN, "emb.type": HIDDEN, "emb.ln.w": HIDDEN, "emb.ln.b": HIDDEN}
    quads = {"emb.word": len(PIECES) * HIDDEN, "l0.fi.w": INNER * HIDDEN, "l0.fo.w": INNER * HIDDEN}
    quads |= {f"l0.{name}.w": HIDDEN * HIDDEN for name in ("q", "k", "v", "ao")}
    floats |= {f"l0.{name}.b": HIDDEN for name in ("q", "k", "v", "ao", "fo", "aln", "oln")}
    floats |= {"l0.aln.w": HIDDEN, "l0.oln.w": HIDDEN, "l0.fi.b": INNER}
    truth, blobs = {}, {}
    for name, n in floats.items():
        truth[name] = rng.normal(size=n).astype(np.float32)
        blobs[name] = truth[name].tobytes()
    for name, n in quads.items():
        numbers = rng.integers(0, 16, n).astype(np.uint8).reshape(-1, 32)
        scale = np.full((len(numbers), 1), 0.25, np.float16)
        packed = numbers[:, :16] | numbers[:, 16:] << 4
        blobs[name] = np.hstack([scale.view(np.uint8), packed]).tobytes()
        truth[name] = (numbers.astype(np.float32) - 8) * 0.25
    text = [piece.encode() for piece in PIECES]
    offsets = np.cumsum([0, *map(len, text)]).astype(np.uint32)
    head = b"E5S1" + struct.pack("<I7ifi", 1, HIDDEN, 1, 2, INNER, len(PIECES), 8, 1, 1e-5, 32)
    head += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, sum(map(len, text)))
    head += offsets.tobytes() + np.linspace(-1, -9, len(PIECES)).astype(np.float32).tobytes() + b"".join(text)
    head += struct.pack("<iI", 0, 0)
    size = len(head) + 4 + sum(2 + len(name) + 21 for name in blobs)
    directory, at = struct.pack("<i", len(blobs)), size
    for name, blob in blobs.items():
        directory += struct.pack("<H", len(name)) + name.encode()
        directory += struct.pack("<BIQQ", 0, len(blob), at, len(blob))
        at += len(blob)
    file.write_bytes(head + directory + b"".join(blobs.values()))
    return truth
