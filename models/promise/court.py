"""The court: an e-process, valid however often one looks. It alone demotes. PROMISE.md, steps 9 and 10."""

from __future__ import annotations

import msgspec

_BETS = (0.15, 0.63, 1.7, 4.0, 9.0)
_WEIGHTS = (0.15, 0.25, 0.30, 0.20, 0.10)
# Half of the wealth that may be given in a horizon comes with calls, half with holds.
_WITH_CALLS = 0.5
_PER_HOLD = 0.05
_HOLDS = 10


class CourtState(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the court has to remember."""

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
    """Bets against "the surrogate keeps its target, given the past", and demotes when it is rich.

    ``M_j <- (M_j + w_j inject)(1 + lam_j (X - d0))`` with ``d0 = 1 - target``. X lies in [0, 1] and has mean
    <= d0 under the promise, so that the wealth in one horizon is at most what was injected (1 in all):
    P(sum M reaches 1/alpha) <= alpha. While the surrogate answers, X is the disagreement of at most one
    audit per block of accepted calls; in a hold it is the mean disagreement of each block of scored calls:
    so bursts of disagreement do not count once per call.

    Parameters
    ----------
    target : float
        The promised agreement.
    block : int
        Accepted calls a block.
    horizon : int
        Accepted calls over which a false demotion has probability <= alpha.
    alpha : float

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
        """What betting against the promise has made of at most 1."""
        return sum(self._wealth)

    @property
    def bar(self) -> float:
        """The wealth at which it demotes."""
        return 1 / self.alpha

    @property
    def guilty(self) -> bool:
        """Whether the promise is broken."""
        return self.wealth >= self.bar

    def accepted(self, n: int = 1) -> None:
        """The gate accepted n more calls, whoever answered them."""
        if (self._calls + n) // self.horizon > self._calls // self.horizon:
            self._lumps = 0
        self._calls += n
        self._unpaid += n
        self._since_audit += n

    def enter_hold(self) -> None:
        """A hold begins: some wealth is given, so that a real drop is found quickly."""
        self._block_scored = self._block_disagreed = 0
        if self._lumps < _HOLDS:
            self._lumps += 1
            self._give(_PER_HOLD)

    def audit(self, agreed: bool) -> None:
        """One audit while the surrogate answers; those that come sooner than a block apart are not bet on."""
        if self._since_audit < self.block:
            return
        self._since_audit = 0
        self._bet(float(not agreed))
        self.scored += 1
        self.disagreed += not agreed

    def score(self, agreed: bool) -> bool:
        """One call scored in a hold; True where it ends a block."""
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
        """Everything, exactly."""
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
        """The court as it was when its state was taken."""
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
        # before X is seen: the amount depends on the number of calls alone
        self._give(_WITH_CALLS / self.horizon * self._unpaid)
        self._unpaid = 0
        excess = disagreement - self._allowed
        self._wealth = [m * (1 + lam * excess) for m, lam in zip(self._wealth, self._bets, strict=True)]
