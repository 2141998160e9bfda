"""The demotion test: an e-process against "the surrogate keeps its target", valid however often one looks.

Nothing else demotes a surrogate. docs/guarantee.md, "Demotion test", has the formulas and why it rarely errs.
"""

from __future__ import annotations

import msgspec

_BETS = (0.15, 0.63, 1.7, 4.0, 9.0)
_WEIGHTS = (0.15, 0.25, 0.30, 0.20, 0.10)
# At most 1 is put in in a horizon: half of it with calls, half at the beginning of holds.
_WITH_CALLS = 0.5
_PER_HOLD = 0.05
_HOLDS = 10


class DemotionTestState(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a `DemotionTest`, to be saved.

    ``e_values`` has an e-value for each bet; their sum is that of the test. ``unbet_calls`` counts accepted
    calls since the last bet, ``since_audit`` those since the last audit that was bet on, ``holds`` the holds
    of this horizon that added to the e-value.
    """

    target: float
    block: int
    horizon: int
    alpha: float
    e_values: tuple[float, ...]
    calls: int
    unbet_calls: int
    since_audit: int
    holds: int
    block_scored: int
    block_disagreed: int
    scored: int
    disagreed: int


class DemotionTest:
    """Tests whether a surrogate keeps its target, at every audit and in every hold of its life.

    The e-value is the sum of ``M_j <- (M_j + w_j inject)(1 + lam_j (X - d0))``, with ``d0 = 1 - target``.
    While the surrogate answers, X is the disagreement of at most one audit per block of accepted calls; in a
    hold it is the mean disagreement of each block of scored calls, so that a burst of disagreement counts
    once. Where the target is kept, X has a mean of at most d0 given the past: the e-value is then on average
    at most what was put in, 1 in a horizon, and P(it reaches 1/alpha within a horizon) <= alpha.

    Parameters
    ----------
    target : float
        The promised agreement.
    block : int
        Accepted calls a block.
    horizon : int
        Accepted calls over which a false demotion has probability <= alpha.
    alpha : float
        In (0, 1).

    Examples
    --------
    >>> test = DemotionTest(target=0.95, block=100, horizon=1_000_000, alpha=0.10)
    >>> test.enter_hold()
    >>> blocks = 0
    >>> while not test.rejected:  # 15% of answers disagree
    ...     blocks += 1
    ...     for k in range(100):
    ...         _ = test.score(agreed=k % 20 >= 3)
    >>> blocks
    12
    """

    def __init__(self, target: float, block: int, horizon: int, alpha: float) -> None:
        self.target, self.block, self.horizon, self.alpha = target, block, horizon, alpha
        self._allowed = 1 - target
        # 1 + lam (X - d0) stays above 0.55 for every X, whatever the target.
        self._bets = [0.05 / self._allowed * b for b in _BETS]
        self._e_values = [0.0] * len(_BETS)
        self._calls = self._unbet_calls = self._holds = 0
        self._since_audit = block
        self._block_scored = self._block_disagreed = 0
        self.scored = self.disagreed = 0

    @property
    def e_value(self) -> float:
        """The e-value: how strongly what was seen speaks against the target being kept."""
        return sum(self._e_values)

    @property
    def threshold(self) -> float:
        """The e-value at which the surrogate is demoted."""
        return 1 / self.alpha

    @property
    def rejected(self) -> bool:
        """Whether the hypothesis that the target is kept is rejected."""
        return self.e_value >= self.threshold

    def accepted(self, n: int = 1) -> None:
        """Count n more calls that the gate accepted, whoever answered them."""
        if (self._calls + n) // self.horizon > self._calls // self.horizon:
            self._holds = 0
        self._calls += n
        self._unbet_calls += n
        self._since_audit += n

    def enter_hold(self) -> None:
        """Begin a hold: the e-value is raised a little, so that a real drop is found quickly."""
        self._block_scored = self._block_disagreed = 0
        if self._holds < _HOLDS:
            self._holds += 1
            self._put_in(_PER_HOLD)

    def audit(self, agreed: bool) -> None:
        """Learn an audit while the surrogate answers; one within a block of the last is left out."""
        if self._since_audit < self.block:
            return
        self._since_audit = 0
        self._bet(float(not agreed))
        self.scored += 1
        self.disagreed += not agreed

    def score(self, agreed: bool) -> bool:
        """Learn a call scored in a hold; return whether it ends a block."""
        self.accepted()
        self._block_scored += 1
        self._block_disagreed += not agreed
        self.scored += 1
        self.disagreed += not agreed
        if self._block_scored < self.block:
            return False
        self._bet(self._block_disagreed / self._block_scored)
        self._block_scored = self._block_disagreed = 0
        return True

    def state(self) -> DemotionTestState:
        """Return the whole state."""
        return DemotionTestState(
            target=self.target,
            block=self.block,
            horizon=self.horizon,
            alpha=self.alpha,
            e_values=tuple(self._e_values),
            calls=self._calls,
            unbet_calls=self._unbet_calls,
            since_audit=self._since_audit,
            holds=self._holds,
            block_scored=self._block_scored,
            block_disagreed=self._block_disagreed,
            scored=self.scored,
            disagreed=self.disagreed,
        )

    @classmethod
    def from_state(cls, state: DemotionTestState) -> DemotionTest:
        """Make a test from a saved state."""
        test = cls(state.target, state.block, state.horizon, state.alpha)
        test._e_values = list(state.e_values)
        test._calls, test._unbet_calls, test._holds = state.calls, state.unbet_calls, state.holds
        test._since_audit = state.since_audit
        test._block_scored, test._block_disagreed = state.block_scored, state.block_disagreed
        test.scored, test.disagreed = state.scored, state.disagreed
        return test

    def _put_in(self, amount: float) -> None:
        self._e_values = [m + w * amount for m, w in zip(self._e_values, _WEIGHTS, strict=True)]

    def _bet(self, disagreement: float) -> None:
        # put in before X counts: how much depends on the number of calls alone
        self._put_in(_WITH_CALLS / self.horizon * self._unbet_calls)
        self._unbet_calls = 0
        excess = disagreement - self._allowed
        self._e_values = [m * (1 + lam * excess) for m, lam in zip(self._e_values, self._bets, strict=True)]
