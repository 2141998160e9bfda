"""What a call may have cost, for a key's bound in dollars: never less than it did, as far as can be told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from jitr.schemas.prices import Price, price_of
from jitr.schemas.tokens import estimate_tokens

_BYTES_PER_TOKEN: Final = 4


def bill_usd(
    request: Mapping[str, Any],
    response: Mapping[str, Any] | None,
    prices: dict[str, Price],
    *,
    asked_bytes: int = 0,
    kept: bytes = b"",
) -> float:
    """What one answer of the upstream has cost.

    A model without a price costs what the dearest does. Where nobody has counted tokens, they are estimated.

    Parameters
    ----------
    request : mapping
        Empty where it was not read.
    response : mapping or None
        None where it did not come whole, or was not read.
    prices : dict of model to Price
    asked_bytes : int
        The request's size, for one that was not read.
    kept : bytes
        What came of the response.

    Examples
    --------
    >>> prices = {"m": Price(2.0, 8.0), "big": Price(5.0, 30.0)}
    >>> bill_usd({"model": "m"}, {"usage": {"prompt_tokens": 1000, "completion_tokens": 100}}, prices)
    0.0028
    >>> bill_usd({"model": "unheard-of"}, {"usage": {"prompt_tokens": 1000}}, prices)
    0.005
    >>> bill_usd({}, None, prices, asked_bytes=4000)
    0.005
    """
    said_of = response or {}
    model = str(request.get("model", ""))
    price = price_of(str(said_of.get("model", "")), prices) or price_of(model, prices)
    if price is None:
        price = max(prices.values(), key=lambda one: one.input + one.output, default=Price(0.0, 0.0))
    usage = said_of.get("usage")
    counted = usage if isinstance(usage, Mapping) else {}
    asked, said = (_count(counted.get(name)) for name in ("prompt_tokens", "completion_tokens"))
    if asked is None:
        asked = _tokens(request, model) if request else asked_bytes // _BYTES_PER_TOKEN
    if said is None and counted:
        said = 0
    elif said is None:
        # a chunk of a stream is a token, or some
        said = _tokens(said_of.get("choices"), model) if response else kept.count(b"data:")
    return price.cost_usd(asked, said)


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and 0 <= value < 2**53 else None


def _tokens(value: object, model: str) -> int:
    return estimate_tokens(msgspec.json.encode(value).decode(), model) if value else 0
