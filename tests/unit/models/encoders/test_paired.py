"""Two encoders side by side: the mean of their cosines, whatever their shapes."""

from __future__ import annotations

import numpy as np

from jitr.models.encoders.encoder import Cost, Encoder
from jitr.models.encoders.paired import PairedEncoder


class Noise:
    """An encoder of so many views and columns; every text has a row of its own."""

    def __init__(self, name: str, views: int, dim: int, texts_per_s: float) -> None:
        self.name, self.views, self.dim = name, views, dim
        self.cost = Cost(texts_per_s=texts_per_s, ram_mb=100.0)
        self.computing = False

    def uncached(self) -> Noise:
        twin = Noise(self.name, self.views, self.dim, self.cost.texts_per_s)
        twin.computing = True
        return twin

    def encode_views(self, texts: list[str]) -> np.ndarray:
        rows = [np.random.default_rng([len(t), self.dim]).normal(size=(self.views, self.dim)) for t in texts]
        out = np.array(rows, np.float32).reshape(-1, self.views, self.dim)
        return out / np.linalg.norm(out, axis=2, keepdims=True)


ONE, OTHER = Noise("one", 5, 6, 300.0), Noise("other", 3, 4, 150.0)
TEXTS = ["", "a", "bb", "ccc"]


def test_its_cosine_is_the_mean_of_theirs_in_every_view_that_both_have() -> None:
    pair = PairedEncoder(ONE, OTHER)
    found, one, other = pair.encode_views(TEXTS), ONE.encode_views(TEXTS), OTHER.encode_views(TEXTS)
    assert found.shape == (4, pair.views, pair.dim) == (4, 5, 10) and found.dtype == np.float32
    for view in range(3):
        mean = (one[:, view] @ one[:, view].T + other[:, view] @ other[:, view].T) / 2
        np.testing.assert_allclose(found[:, view] @ found[:, view].T, mean, atol=1e-6)
    np.testing.assert_allclose(found[:, 3:, :6], one[:, 3:] * 0.5**0.5, atol=1e-6)
    assert not found[:, 3:, 6:].any()
    swapped = PairedEncoder(OTHER, ONE).encode(TEXTS)
    np.testing.assert_allclose(swapped @ swapped.T, pair.encode(TEXTS) @ pair.encode(TEXTS).T, atol=1e-6)


def test_no_texts_are_no_rows() -> None:
    assert PairedEncoder(ONE, OTHER).encode_views([]).shape == (0, 5, 10)


def test_it_costs_what_both_cost() -> None:
    pair = PairedEncoder(ONE, OTHER)
    assert isinstance(pair, Encoder) and pair.name == "one+other"
    assert (round(pair.cost.texts_per_s), pair.cost.ram_mb) == (100, 200.0)
    timed = pair.uncached()
    assert timed.first.computing and timed.partner.computing and not pair.first.computing
