"""A hold: the teacher answers, and the surrogate is scored on every accepted call.

docs/guarantee.md, "Hold".
"""

from __future__ import annotations

import msgspec

from jitr.models.promise.findings import Monitor

# With more slack, surrogates that have dropped by 5 points would resume.
_SLACK = 0.01


class Hold(msgspec.Struct, kw_only=True):
    """Counts what was scored since the hold began, and says when it may end.

    Parameters
    ----------
    monitor : str
        The monitor whose alarm began it.
    scored, disagreed : int
        Calls that the gate accepted and the teacher answered; those of them on which the answers differ.

    Examples
    --------
    >>> hold = Hold(monitor="cusum", scored=300, disagreed=15)
    >>> hold.may_resume(target=0.95, at_least=300)
    True
    >>> Hold(monitor="cusum", scored=300, disagreed=19).may_resume(target=0.95, at_least=300)
    False
    """

    monitor: Monitor
    scored: int = 0
    disagreed: int = 0

    def score(self, agreed: bool) -> None:
        """Count one scored call."""
        self.scored += 1
        self.disagreed += not agreed

    @property
    def disagreement(self) -> float:
        """Mean disagreement of the calls scored; 0 before the first."""
        return self.disagreed / self.scored if self.scored else 0.0

    def may_resume(self, target: float, at_least: int) -> bool:
        """Whether ``at_least`` calls were scored and disagree at most 0.01 more than the target allows."""
        return self.scored >= at_least and self.disagreement <= 1 - target + _SLACK + 1e-12
