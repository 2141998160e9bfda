"""No group ever stands on both sides of a split."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jitr.models.datasets.splits import group_folds, later_split

groups_of = st.lists(st.integers(0, 12), min_size=4, max_size=60).map(lambda g: np.array(g, dtype=np.int64))


@given(groups_of, st.integers(2, 6), st.integers(0, 5))
def test_groups_stay_together_in_folds(groups: np.ndarray, folds: int, seed: int) -> None:
    fold = group_folds(groups, folds, seed)
    assert all(len(set(fold[groups == g])) == 1 for g in set(groups.tolist()))
    assert fold.tolist() == group_folds(groups, folds, seed).tolist()


@given(groups_of, st.floats(0.1, 0.9))
def test_later_rows_share_no_group_with_earlier_ones(groups: np.ndarray, share: float) -> None:
    times = np.arange(len(groups), dtype=np.float64)
    early, late = later_split(times, groups, share)
    assert not set(groups[early].tolist()) & set(groups[late].tolist())
    if len(early) and len(late):
        assert times[early].max() < times[late].min()


def test_one_fold_is_no_split() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        group_folds(np.array([0, 1]), 1, 0)
