"""A test of whether the teacher agrees with itself often enough for a surrogate to keep the target.

docs/guarantee.md, "Self-agreement". Two independent answers with the same noise agree s of the time where
each agrees with the usual answer about sqrt(s) of the time: where s is less than target^2, no surrogate keeps
the target on all calls. A gate may still choose calls on which one does. So this test keeps further trainings
from being asked for, and says why; it ends no shadow run, which tests the same on the calls that the gate
accepts.
"""

from __future__ import annotations

import math

import msgspec

from jitr.models.promise.betting import Mixture

_DROPS = (0.02, 0.05, 0.12, 0.30)
# alternatives above the least share, as parts of the way to 1
_RISES = (0.3, 0.6, 0.95)


class SelfAgreementState(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a `SelfAgreement`, to be saved.

    ``repeats`` counts pairs, ``agreed`` those that agree, ``past_...`` those of them before the last refusal.
    """

    target: float
    delta: float
    repeats: int
    agreed: int
    refused: bool
    past_repeats: int = 0
    past_agreed: int = 0


class SelfAgreement:
    """Tests, after every pair, whether repeated answers of the teacher agree at least target^2 of the time.

    After a refusal the pairs that follow are tested on their own, for less and for more than target^2. If
    they show more, the refusal ends and all counts begin again; the error of either test is delta.

    Parameters
    ----------
    target : float
        The agreement to be promised.
    delta : float
        Chance that a teacher which agrees with itself often enough is refused.

    Examples
    --------
    >>> noise = SelfAgreement(0.95, 0.05)
    >>> for k in range(60):
    ...     noise.update(agreed=k % 3 > 0)
    >>> noise.refused, noise.warns
    (True, True)
    >>> for k in range(120):
    ...     noise.update(agreed=True)
    >>> noise.refused
    False
    """

    def __init__(self, target: float, delta: float) -> None:
        self.target, self.delta = target, delta
        self.repeats = self.agreed = 0
        self.refused = False
        self._past = (0, 0)
        least = target * target
        self._below = Mixture(least, [max(least - d, least / 10) for d in _DROPS])
        self._above = Mixture(least, [least + r * (1 - least) for r in _RISES])

    def update(self, agreed: bool) -> None:
        """Learn a pair of independent answers of the teacher to one input."""
        self.repeats += 1
        self.agreed += agreed
        self._look()

    def _look(self) -> None:
        repeats, agreed = self.repeats - self._past[0], self.agreed - self._past[1]
        bar = -math.log(self.delta)
        below = float(self._below.log_e_value(agreed, repeats - agreed)) >= bar
        if below:
            self.refused, self._past = True, (self.repeats, self.agreed)
        elif self.refused and float(self._above.log_e_value(agreed, repeats - agreed)) >= bar:
            self.refused, self._past = False, (0, 0)
            self.repeats = self.agreed = 0

    @property
    def warns(self) -> bool:
        """Whether the measured share lies below the target itself."""
        return self.repeats > 0 and self.agreed / self.repeats < self.target

    def state(self) -> SelfAgreementState:
        """Return the whole state."""
        return SelfAgreementState(
            target=self.target,
            delta=self.delta,
            repeats=self.repeats,
            agreed=self.agreed,
            refused=self.refused,
            past_repeats=self._past[0],
            past_agreed=self._past[1],
        )

    @property
    def reason(self) -> str:
        """What was measured, in a sentence with figures."""
        rate = self.agreed / self.repeats if self.repeats else 0.0
        return (
            f"the teacher gave the same answer to {self.agreed} of {self.repeats} inputs that were asked "
            f"again ({rate:.3f}); a target of {self.target:g} asks for at least {self.target**2:.3f}"
        )

    @classmethod
    def from_state(cls, state: SelfAgreementState) -> SelfAgreement:
        """Make a test from a saved state."""
        noise = cls(state.target, state.delta)
        noise.repeats, noise.agreed, noise.refused = state.repeats, state.agreed, state.refused
        noise._past = (state.past_repeats, state.past_agreed)
        return noise

    @classmethod
    def under(cls, state: SelfAgreementState | None, target: float, delta: float) -> SelfAgreement:
        """Make a test from a saved state, if any; where target or delta have changed, test its counts anew.

        Examples
        --------
        >>> noise = SelfAgreement(0.95, 0.05)
        >>> for k in range(400):
        ...     noise.update(agreed=k % 6 > 0)
        >>> noise.refused, SelfAgreement.under(noise.state(), 0.90, 0.05).refused
        (True, False)
        """
        if state is not None and (state.target, state.delta) == (target, delta):
            return cls.from_state(state)
        noise = cls(target, delta)
        if state is not None:
            noise.repeats, noise.agreed = state.repeats, state.agreed
            noise._look()
        return noise
