"""One coin for router and agents, which is always below 1."""

from typing import Any

import pytest

from jitr.schemas import coins
from jitr.schemas.coins import coin


def test_the_largest_digest_gives_less_than_one(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def __init__(self, *_: Any, **__: Any) -> None:
            pass

        def digest(self) -> bytes:
            return b"\xff" * 8

    monkeypatch.setattr(coins, "blake2b", Full)
    assert coin("a", "audit") < 1.0
    assert int.from_bytes(b"\xff" * 8) / 2**64 == 1.0, "the plain quotient would be none"
