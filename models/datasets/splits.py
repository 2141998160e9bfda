"""Leak-safe splits: near-duplicate groups never stand on both sides."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def group_folds(groups: NDArray[np.int64], folds: int, seed: int) -> NDArray[np.int64]:
    """Deal whole groups to folds at random, the largest first, each to the smallest fold.

    Parameters
    ----------
    groups : int64 array of shape (n,)
        Group of each row.
    folds : int
        How many, at least 2.
    seed : int

    Returns
    -------
    int64 array of shape (n,)
        Fold of each row, 0 .. folds - 1.

    Examples
    --------
    >>> fold = group_folds(np.array([0, 0, 1, 2, 2, 3]), folds=2, seed=0)
    >>> bool(fold[0] == fold[1] and fold[3] == fold[4]), sorted(np.bincount(fold).tolist())
    (True, [3, 3])
    """
    if folds < 2:
        raise ValueError(f"folds={folds} must be at least 2")
    names, member, size = np.unique(groups, return_inverse=True, return_counts=True)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(names))
    order = order[np.argsort(-size[order], kind="stable")]
    fold_of = np.zeros(len(names), dtype=np.int64)
    filled = np.zeros(folds, dtype=np.int64)
    for group in order:
        smallest = int(np.argmin(filled))
        fold_of[group] = smallest
        filled[smallest] += size[group]
    return fold_of[member]


def later_split(
    times: NDArray[np.float64], groups: NDArray[np.int64], share: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split by time: the last ``share`` of the rows prove what the earlier rows taught.

    A later row whose group began before the cut belongs to neither side: it would prove too much.

    Examples
    --------
    >>> early, late = later_split(np.arange(5.0), np.array([0, 1, 2, 0, 4]), share=0.4)
    >>> early.tolist(), late.tolist()
    ([0, 1, 2], [4])
    """
    if not 0.0 < share < 1.0:
        raise ValueError(f"share={share} must lie strictly between 0 and 1")
    order = np.argsort(times, kind="stable")
    cut = len(order) - round(len(order) * share)
    early, late = order[:cut], order[cut:]
    return early, late[~np.isin(groups[late], groups[early])]
