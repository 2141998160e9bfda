"""What the simulation has done so far: calls, errors, tokens, dollars."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from jitr.schemas.prices import Price, price_of


class Meter:
    """Counts answered calls and what they cost.

    Parameters
    ----------
    prices : mapping of str to Price
        By model or the beginning of its name; a model without a price costs nothing.

    Examples
    --------
    >>> meter = Meter({"gpt-x": Price(2.0, 8.0)})
    >>> meter.count("gpt-x-2026", "spam", 1000, 10)
    >>> meter.read()["cost_usd"]
    0.00208
    """

    def __init__(self, prices: Mapping[str, Price]) -> None:
        self._prices = dict(prices)
        self._totals: Counter[str] = Counter()
        self._by_task: Counter[str] = Counter()
        self._cost_usd = 0.0

    def count(self, model: str, task: str | None, prompt_tokens: int, completion_tokens: int) -> None:
        """Note an answered call; `task` is None for ad-hoc questions."""
        self._totals.update(calls=1, prompt_tokens=prompt_tokens, completion_tokens=completion_tokens)
        self._by_task[task or "ad-hoc"] += 1
        price = price_of(model, self._prices)
        self._cost_usd += price.cost_usd(prompt_tokens, completion_tokens) if price else 0.0

    def refuse(self) -> None:
        """Note a request that was answered with an error."""
        self._totals["errors"] += 1

    def read(self) -> dict[str, Any]:
        """All counts since the start."""
        names = ("calls", "errors", "prompt_tokens", "completion_tokens")
        totals = {name: self._totals[name] for name in names}
        return {**totals, "cost_usd": self._cost_usd, "calls_by_task": dict(self._by_task)}
