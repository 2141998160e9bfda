"""The error budget: what the delta of a certificate is spent on. docs/guarantee.md, "Error budget"."""

from __future__ import annotations

from typing import Literal

import msgspec


class Budget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How delta is spent, in shares of it, and so what it promises.

    Candidates are chosen on training rows alone, which costs nothing; all thresholds together share one
    delta by their fixed order. A refit that is proved on later calls has all of delta, for its calls are
    fresh (``own``): the promise is one per version, at most delta of the certificates are broken, and of k
    refits k times delta may be. One on rows of which some were asked for a proof before has half of what the
    last one had (``halved``): all certificates that a row ever has part in cost less than twice delta.

    Examples
    --------
    >>> Budget().share(3), Budget(refits="halved").share(3)
    (1.0, 0.125)
    """

    candidates: float = 0.0
    thresholds: float = 1.0
    refits: Literal["own", "halved"] = "own"

    def share(self, refits: int) -> float:
        """The share of delta that a certificate has after so many earlier ones."""
        return self.thresholds * (1.0 if self.refits == "own" else 0.5**refits)

    @property
    def promises(self) -> str:
        """What delta is the chance of, in a sentence."""
        if self.refits == "own":
            return (
                "the chance that this version's certificate is wrong is at most delta, whatever was tried in"
                " training and however many thresholds were open; every refit is proved on calls of its own"
                " and has all of delta again, so that of k refits k times delta may be wrong"
            )
        return (
            "the chance that a proof on the rows held back is wrong is at most delta, whatever was tried in"
            " training and however many thresholds were open (leave-one-out proves nothing); every refit on"
            " rows of which some were asked before has half of what the last had: less than twice delta"
        )
