"""A hold: the teacher answers while the surrogate is scored on every accepted call. PROMISE.md, step 11."""

from __future__ import annotations

import msgspec

from jitr.models.promise.findings import Monitor

# A looser limit lets drops of 5 points back in.
_SLACK = 0.01


class Hold(msgspec.Struct, kw_only=True):
    """What was scored since the hold began.

    Parameters
    ----------
    monitor : str
        Whose alarm called it.
    scored, disagreed : int

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
        """Learn one scored call."""
        self.scored += 1
        self.disagreed += not agreed

    @property
    def disagreement(self) -> float:
        """Mean disagreement of the calls scored; 0 before the first."""
        return self.disagreed / self.scored if self.scored else 0.0

    def may_resume(self, target: float, at_least: int) -> bool:
        """Whether enough was scored and it disagrees at most 0.01 more than promised."""
        return self.scored >= at_least and self.disagreement <= 1 - target + _SLACK + 1e-12
