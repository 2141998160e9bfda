"""The shadow run: proof of an agreement on calls that came after training, call by call.

Shares and thresholds are fixed before the run and tried strictest first. Each has an e-process against
"agreement <= target"; the longest run of thresholds whose e-process has ever reached 1/delta is proved. By
this fixed sequence one delta is enough for all of them. docs/guarantee.md, "Shadow run", has the formulas.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np

from jitr.models.promise.betting import Mixture, divergence
from jitr.schemas.routes import Proof

# The eight alternatives that do not depend on the forecast, as parts of the way from the target to 1.
_GRID = np.array([0.05, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 0.97])
_WEIGHTS = (*[0.5 / 8] * 8, 0.5)
_HIGHEST = 0.9975
_FUTILE_AT = math.log(20.0)
# A share that is larger by this much is waited for, at most as long again as the first proof took.
_WORTH = 0.05
# A run is given up after this many times its forecast.
_PATIENCE = 8
_LEAST_RUN = 500


class ShadowState(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a `ShadowProof`, to be saved.

    ``scored`` and ``agreed`` count by threshold; ``first_proof`` is the call at which one was proved first,
    or 0.
    """

    shares: tuple[float, ...]
    thresholds: tuple[float, ...]
    forecast: tuple[float, ...]
    target: float
    delta: float
    calls: int
    scored: tuple[int, ...]
    agreed: tuple[int, ...]
    reached: tuple[bool, ...]
    first_proof: int


class ShadowProof:
    """Proves, call by call, the largest share of calls on which a candidate keeps the target.

    Parameters
    ----------
    shares : sequence of float
        Shares of calls that the thresholds were meant to accept, ascending, in (0, 1].
    thresholds : sequence of float
        Scores from which a call is accepted, strictest (highest) first; one per share.
    forecast : sequence of float
        Smoothed out-of-sample agreement at each share, from training. It chooses the threshold to start with
        and an alternative of each test; it proves nothing.
    target, delta : float
        "Accepted answers agree at least ``target`` of the time" is to be proved with confidence 1-delta.

    Raises
    ------
    ValueError
        If the sequences do not fit each other.

    Examples
    --------
    >>> proof = ShadowProof([0.5, 1.0], [0.9, 0.0], [0.99, 0.90], target=0.95, delta=0.05)
    >>> for k in range(200):
    ...     proof.update(0.95 if k % 2 else 0.5, agreed=True)
    >>> proof.proved.threshold, proof.proved.calls, proof.proved.bound >= 0.95
    (0.0, 200, True)
    """

    def __init__(
        self,
        shares: Sequence[float],
        thresholds: Sequence[float],
        forecast: Sequence[float],
        target: float,
        delta: float,
    ) -> None:
        if not 0 < len(shares) == len(thresholds) == len(forecast):
            raise ValueError(
                f"{len(shares)} shares, {len(thresholds)} thresholds and {len(forecast)} forecasts: "
                "one of each is needed per step, and at least one step"
            )
        if list(shares) != sorted(shares) or list(thresholds) != sorted(thresholds, reverse=True):
            raise ValueError("shares must ascend and thresholds descend: the strictest comes first")
        self.shares, self.thresholds = tuple(shares), tuple(thresholds)
        self.forecast = tuple(forecast)
        self.target, self.delta = target, delta
        self._highest = max(_HIGHEST, (1 + target) / 2)
        self._needs = [self._need(j) for j in range(len(shares))]
        self.start = min(range(len(shares)), key=lambda j: (self._needs[j], j))
        self._bar = -math.log(delta)
        self._cuts = np.asarray(self.thresholds)
        self._bets = self._against(target, np.asarray(self.forecast))
        margin = min(0.005, 0.1 * (1 - target))
        below = [max(target - d, target / 10) for d in (0.005, 0.02, 0.05)]
        self._hopeless = Mixture(target + margin, below)
        self._calls = 0
        self._scored = np.zeros(len(shares), np.int64)
        self._agreed = np.zeros(len(shares), np.int64)
        self._reached = np.zeros(len(shares), np.bool_)
        self._first_proof = 0

    def update(self, score: float, agreed: bool) -> None:
        """Learn one call that the teacher answered too: its gate score, and whether the answers agree."""
        self._calls += 1
        # Thresholds descend, so that those which accept are the tail of the list.
        accepts = self._cuts <= score
        accepts[: self.start] = False
        self._scored[accepts] += 1
        if not agreed:
            return
        self._agreed[accepts] += 1
        open_ = np.flatnonzero(accepts & ~self._reached)
        if len(open_):
            won = self._agreed[open_]
            logs = self._bets.log_e_value(won, self._scored[open_] - won, open_)
            self._reached[open_[logs >= self._bar]] = True
        if self._first_proof == 0 and self._reached[self.start]:
            self._first_proof = self._calls

    @property
    def index(self) -> int | None:
        """The place of the threshold that is proved: the last that was reached in a row from the start."""
        if not self._reached[self.start]:
            return None
        missed = np.flatnonzero(~self._reached[self.start :])
        return len(self.shares) - 1 if len(missed) == 0 else self.start + int(missed[0]) - 1

    @property
    def proved(self) -> Proof | None:
        """The certificate as it stands, or None; ``coverage`` is the share of shadow calls accepted."""
        j = self.index
        if j is None:
            return None
        n, a = int(self._scored[j]), int(self._agreed[j])
        return Proof(
            kind="later",
            target=self.target,
            delta=self.delta,
            bound=self._bound(j, a, n - a),
            calls=n,
            agreed=a,
            coverage=n / self._calls,
            threshold=self.thresholds[j],
        )

    @property
    def settled(self) -> bool:
        """Whether to offer now: a threshold is proved, and no larger share is worth waiting for.

        A share is worth it if it is forecast to keep the target, is larger by 0.05 or more, and is forecast
        to be proved before the run is twice as long as at the first proof. The wait ends there in any case.
        """
        j = self.index
        if j is None:
            return False
        end = 2 * self._first_proof
        if self._calls >= end:
            return True
        later = range(j + 1, len(self.shares))
        return not any(self.shares[k] >= self.shares[j] + _WORTH and self._needs[k] <= end for k in later)

    @property
    def futile(self) -> str | None:
        """Why this candidate is given up, or None while it may still be proved."""
        if self.index is not None:
            return None
        if math.isinf(self._needs[self.start]):
            return f"no share of calls is forecast to agree with the teacher {self.target:g} of the time"
        n, a = int(self._scored[self.start]), int(self._agreed[self.start])
        if n and float(self._hopeless.log_e_value(a, n - a)) >= _FUTILE_AT:
            return f"agreement {a / n:.3f} on {n} accepted shadow calls is below the target {self.target:g}"
        if self._calls >= max(_LEAST_RUN, _PATIENCE * self.forecast_calls):
            return f"not proved after {self._calls} shadow calls; {self.forecast_calls} were forecast"
        return None

    @property
    def forecast_calls(self) -> int:
        """Shadow calls that the first proof was forecast to take; 0 where none is forecast."""
        need = self._needs[self.start]
        return 0 if math.isinf(need) else math.ceil(need)

    @property
    def calls(self) -> int:
        """Shadow calls so far."""
        return self._calls

    def state(self) -> ShadowState:
        """Return the whole state."""
        return ShadowState(
            shares=self.shares,
            thresholds=self.thresholds,
            forecast=self.forecast,
            target=self.target,
            delta=self.delta,
            calls=self._calls,
            scored=tuple(self._scored.tolist()),
            agreed=tuple(self._agreed.tolist()),
            reached=tuple(self._reached.tolist()),
            first_proof=self._first_proof,
        )

    @classmethod
    def from_state(cls, state: ShadowState) -> ShadowProof:
        """Make a run from a saved state."""
        proof = cls(state.shares, state.thresholds, state.forecast, state.target, state.delta)
        proof._calls = state.calls
        proof._scored[:] = state.scored
        proof._agreed[:] = state.agreed
        proof._reached[:] = state.reached
        proof._first_proof = state.first_proof
        return proof

    def _need(self, j: int) -> float:
        q = min(self.forecast[j], self._highest)
        return 3 / (divergence(q, self.target) * self.shares[j]) if q > self.target else math.inf

    def _against(self, null: float, forecast: np.ndarray) -> Mixture:
        """Make the mixture of nine alternatives to one null: the grid, and the forecast at half weight."""
        low = min(null + 0.0025, (null + 1) / 2)
        tilt = np.clip(forecast, low, max(low, self._highest))[..., None]
        grid = np.broadcast_to(null + (1 - null) * _GRID, (*tilt.shape[:-1], len(_GRID)))
        return Mixture(null, np.concatenate([grid, tilt], axis=-1), _WEIGHTS)

    def _bound(self, j: int, agreed: int, disagreed: int) -> float:
        """Return the highest rate, of a grid from the target to 1, such that it and all below are rejected.

        An e-process against "<= m" is one against every rate below m, so that a grid is enough.
        """
        bound = self.target
        step = (1 - self.target) / 100
        for k in range(1, 100):
            null = self.target + k * step
            bets = self._against(null, np.asarray(self.forecast[j]))
            if float(bets.log_e_value(agreed, disagreed)) < self._bar:
                break
            bound = null
        return bound
