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


class CourtState(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a `Court`, to be saved.

    ``wealth`` is the e-value, by bet; ``unpaid`` counts accepted calls since the last bet, ``since_audit``
    those since the last audit that was bet on, ``lumps`` the holds of this horizon that added to the e-value.
    """

    target: float
    block: int
    horizon: int
    alpha: float
    wealth: tuple[float, ...]
    calls: int
    unpaid: int
    since_audit: int
    lumps: int
    block_scored: int
    block_disagreed: int
    scored: int
    disagreed: int


class Court:
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
    >>> court = Court(target=0.95, block=100, horizon=1_000_000, alpha=0.10)
    >>> court.enter_hold()
    >>> blocks = 0
    >>> while not court.guilty:  # 15% of answers disagree
    ...     blocks += 1
    ...     for k in range(100):
    ...         _ = court.score(agreed=k % 20 >= 3)
    >>> blocks
    12
    """

    def __init__(self, target: float, block: int, horizon: int, alpha: float) -> None:
        self.target, self.block, self.horizon, self.alpha = target, block, horizon, alpha
        self._allowed = 1 - target
        # 1 + lam (X - d0) stays above 0.55 for every X, whatever the target.
        self._bets = [0.05 / self._allowed * b for b in _BETS]
        self._wealth = [0.0] * len(_BETS)
        self._calls = self._unpaid = self._lumps = 0
        self._since_audit = block
        self._block_scored = self._block_disagreed = 0
        self.scored = self.disagreed = 0

    @property
    def wealth(self) -> float:
        """The e-value: how strongly what was seen speaks against the target being kept."""
        return sum(self._wealth)

    @property
    def bar(self) -> float:
        """The e-value at which the surrogate is demoted."""
        return 1 / self.alpha

    @property
    def guilty(self) -> bool:
        """Whether the hypothesis that the target is kept is rejected."""
        return self.wealth >= self.bar

    def accepted(self, n: int = 1) -> None:
        """Count n more calls that the gate accepted, whoever answered them."""
        if (self._calls + n) // self.horizon > self._calls // self.horizon:
            self._lumps = 0
        self._calls += n
        self._unpaid += n
        self._since_audit += n

    def enter_hold(self) -> None:
        """Begin a hold: the e-value is raised a little, so that a real drop is found quickly."""
        self._block_scored = self._block_disagreed = 0
        if self._lumps < _HOLDS:
            self._lumps += 1
            self._give(_PER_HOLD)

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

    def state(self) -> CourtState:
        """Return the whole state."""
        return CourtState(
            target=self.target,
            block=self.block,
            horizon=self.horizon,
            alpha=self.alpha,
            wealth=tuple(self._wealth),
            calls=self._calls,
            unpaid=self._unpaid,
            since_audit=self._since_audit,
            lumps=self._lumps,
            block_scored=self._block_scored,
            block_disagreed=self._block_disagreed,
            scored=self.scored,
            disagreed=self.disagreed,
        )

    @classmethod
    def from_state(cls, state: CourtState) -> Court:
        """Make a test from a saved state."""
        court = cls(state.target, state.block, state.horizon, state.alpha)
        court._wealth = list(state.wealth)
        court._calls, court._unpaid, court._lumps = state.calls, state.unpaid, state.lumps
        court._since_audit = state.since_audit
        court._block_scored, court._block_disagreed = state.block_scored, state.block_disagreed
        court.scored, court.disagreed = state.scored, state.disagreed
        return court

    def _give(self, wealth: float) -> None:
        self._wealth = [m + w * wealth for m, w in zip(self._wealth, _WEIGHTS, strict=True)]

    def _bet(self, disagreement: float) -> None:
        # put in before X counts: how much depends on the number of calls alone
        self._give(_WITH_CALLS / self.horizon * self._unpaid)
        self._unpaid = 0
        excess = disagreement - self._allowed
        self._wealth = [m * (1 + lam * excess) for m, lam in zip(self._wealth, self._bets, strict=True)]
