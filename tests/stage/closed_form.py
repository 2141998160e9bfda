"""Poodle's cost model: what replacing a fixed number of calls costs, and from when it is cheaper."""

from __future__ import annotations

import math

import msgspec


class ClosedForm(msgspec.Struct, frozen=True, kw_only=True):
    """Poodle's cost model (Strassenburg, Glavic, Rabl, arXiv 2512.05525), in its authors' letters.

    Parameters
    ----------
    llm_usd, wrapped_usd, surrogate_usd : float
        Dollars a call: A plain, B with the wrapper prompt, S by the surrogate.
    switch_after : int
        N*, calls that the LLM answers before the switch.
    wrapped : float
        a, the share of them that is wrapped.
    audited : float
        b, the share of surrogate calls that is sent to the LLM too.
    development_usd : float
        D.

    Examples
    --------
    >>> gpt = ClosedForm(llm_usd=0.00087, wrapped_usd=0.0015, surrogate_usd=4.11e-6, switch_after=5_000,
    ...                  wrapped=1.0, development_usd=4.0)
    >>> round(gpt.cost_usd(1_000_000), 2), round(gpt.ratio(1_000_000), 1), round(gpt.break_even)
    (15.59, 55.8, 13257)
    """

    llm_usd: float
    surrogate_usd: float
    switch_after: int
    wrapped_usd: float = 0.0
    wrapped: float = 0.0
    audited: float = 0.0
    development_usd: float = 0.0

    def cost_usd(self, calls: int) -> float:
        """Dollars for so many calls, replaced after the switch; ``calls >= switch_after``."""
        before = self.switch_after * (self.wrapped * self.wrapped_usd + (1 - self.wrapped) * self.llm_usd)
        after = (calls - self.switch_after) * (self.surrogate_usd + self.audited * self.llm_usd)
        return before + after + self.development_usd

    def ratio(self, calls: int) -> float:
        """How many times dearer the LLM alone is."""
        return calls * self.llm_usd / self.cost_usd(calls)

    @property
    def break_even(self) -> float:
        """Calls from which replacing is cheaper; infinite where it never is."""
        gain = self.llm_usd * (1 - self.audited) - self.surrogate_usd
        if gain <= 0:
            return math.inf
        a, b = self.wrapped, self.audited
        extra = self.llm_usd * (1 - a - b) + a * self.wrapped_usd - self.surrogate_usd
        return (self.switch_after * extra + self.development_usd) / gain
