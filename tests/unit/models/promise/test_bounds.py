"""Clopper-Pearson: exact, one-sided, and refusing nonsense."""

import pytest
from scipy.stats import binom

from jitr.models.promise.bounds import lower_bound, upper_bound


@pytest.mark.parametrize(("agreed", "n", "delta"), [(97, 100, 0.05), (1, 7, 0.01), (999, 1000, 0.1)])
def test_at_the_lower_bound_so_much_agreement_has_probability_delta(
    agreed: int, n: int, delta: float
) -> None:
    assert binom.sf(agreed - 1, n, lower_bound(agreed, n, delta)) == pytest.approx(delta)
    assert binom.cdf(agreed, n, upper_bound(agreed, n, delta)) == pytest.approx(delta)


def test_nothing_seen_bounds_nothing() -> None:
    assert (lower_bound(0, 0, 0.05), upper_bound(0, 0, 0.05)) == (0.0, 1.0)
    assert (lower_bound(0, 9, 0.05), upper_bound(9, 9, 0.05)) == (0.0, 1.0)


@pytest.mark.parametrize(("agreed", "n", "delta"), [(5, 4, 0.05), (-1, 4, 0.05), (1, 4, 0.0), (1, 4, 1.0)])
def test_impossible_counts_are_refused(agreed: int, n: int, delta: float) -> None:
    with pytest.raises(ValueError, match="must lie in"):
        lower_bound(agreed, n, delta)
