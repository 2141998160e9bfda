"""What watches one live surrogate version: CUSUM detector, hold, demotion test, audit rate, lost audits.

Each audit counts once in every test. That is fair because the audit rate depends on past calls alone; weights
of 1/rate belong into reported averages, and would only make the tests slower. docs/guarantee.md, "Audits".
"""

from __future__ import annotations

import msgspec

from jitr.models.promise.audits import AuditRate, AuditRateState
from jitr.models.promise.blind import BAR, Blind, BlindState
from jitr.models.promise.cusum import CusumDetector, CusumState
from jitr.models.promise.demotion_test import DemotionTest, DemotionTestState
from jitr.models.promise.findings import Alarmed, Demoted, Finding, RateChanged, Resumed
from jitr.models.promise.hold import Hold
from jitr.schemas.policy import Policy

# The least audit rate while the teacher had no answer to the last audit: the next one comes soon.
_WHILE_FAILED = 0.10


class LiveState(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a `LivePromise`, to be saved; ``over`` after a demotion."""

    cusum: CusumState
    demotion_test: DemotionTestState
    rate: AuditRateState
    blind: BlindState
    hold: Hold | None
    over: bool
    last_rate: float


class LivePromise:
    """Watches the audits of one live surrogate version, and finds when to hold, resume and demote it.

    Every method returns the findings that it caused, in order. It enters a hold as it returns `Alarmed`,
    before the routers know of it, and is over as it returns `Demoted`. So an audit that comes during a hold
    is scored in it, and a call that was held is an audit if the hold has ended meanwhile.

    Parameters
    ----------
    policy : Policy
        The target, and the settings of audits, CUSUM detector, hold and demotion test.
    calls, agreed : int
        Accepted shadow calls and how many agreed: ``Proof.calls`` and ``Proof.agreed``.

    Examples
    --------
    >>> from jitr.schemas.policy import Policy
    >>> live = LivePromise(Policy(), calls=500, agreed=490)
    >>> live.audit_rate
    0.2
    >>> live.accepted(50), [live.audit(False) for _ in range(3)][-1][0].monitor
    ((), 'cusum')
    >>> live.held
    True
    >>> LivePromise.from_state(live.state(), Policy()).state() == live.state()
    True
    """

    def __init__(self, policy: Policy, calls: int = 0, agreed: int = 0) -> None:
        self.policy = policy
        self._cusum = CusumDetector(policy.target, policy.cusum_threshold, calls, agreed)
        self._demotion_test = DemotionTest(
            policy.target, policy.demotion_block_calls, policy.demotion_horizon_calls, policy.demotion_alpha
        )
        self._rate = AuditRate(policy.audit_start, policy.audit_floor, policy.canary_audits)
        self._blind = Blind()
        self._hold: Hold | None = None
        self.over = False
        self._last_rate = self.audit_rate

    @property
    def audit_rate(self) -> float:
        """The audit rate that routers should use, in (0, 1]; in a hold, the one for when it ends."""
        rate = self._rate.at(self._cusum.statistic)
        return max(rate, _WHILE_FAILED) if self._blind.last_failed else rate

    @property
    def held(self) -> bool:
        """Whether a hold is under way."""
        return self._hold is not None

    @property
    def cusum_level(self) -> float:
        """The level of the CUSUM detector, in nats; at most the threshold at which it alarms."""
        return self._cusum.statistic

    @property
    def e_value(self) -> float:
        """The e-value of the demotion test; the surrogate is demoted at ``1 / policy.demotion_alpha``."""
        return self._demotion_test.e_value

    def accepted(self, n: int = 1) -> tuple[Finding, ...]:
        """Count n more calls that the gate accepted, audited or not."""
        if self.over:
            return ()
        self._rate.answered(n)
        self._demotion_test.accepted(n)
        return self._changed()

    def told(self, time: float, rate: float, audited: bool) -> tuple[Finding, ...]:
        """Learn that the surrogate answered a call, audited or not; see `Blind.answered`."""
        if self.over:
            return ()
        self._blind.answered(time, rate, audited)
        return self._look()

    def audit(self, agreed: bool) -> tuple[Finding, ...]:
        """Learn an audit: whether the teacher's answer agrees with the surrogate's."""
        if self.over:
            return ()
        self._blind.came()
        self._rate.audited()
        if self._hold is not None:
            return self._score(agreed)
        self._demotion_test.audit(agreed)
        alarmed = self._cusum.update(agreed)
        if self._demotion_test.rejected:
            return self._demote()
        if alarmed:
            level, threshold = self._cusum.statistic, self._cusum.threshold
            return self._enter(
                Alarmed("cusum", level, threshold, "audits disagree more than before the switch")
            )
        return self._changed()

    def scored_in_hold(self, agreed: bool) -> tuple[Finding, ...]:
        """Learn a call scored in a hold: whether the surrogate's answer agrees with the teacher's."""
        if self.over:
            return ()
        if self._hold is None:
            self._demotion_test.accepted()
            return self.audit(agreed)
        return self._score(agreed)

    def audit_failed(self) -> tuple[Finding, ...]:
        """Learn that the teacher had no answer to an audit, which is evidence of nothing."""
        if self.over:
            return ()
        self._blind.failed()
        return self._changed()

    def alarm(self, alarm: Alarmed) -> tuple[Finding, ...]:
        """Begin a hold on the alarm of another monitor (`jitr.models.drift`), unless one is under way."""
        if self.over or self._hold is not None:
            return ()
        return self._enter(alarm)

    def state(self) -> LiveState:
        """Return the whole state."""
        return LiveState(
            cusum=self._cusum.state(),
            demotion_test=self._demotion_test.state(),
            rate=self._rate.state(),
            blind=self._blind.state(),
            hold=None if self._hold is None else msgspec.structs.replace(self._hold),
            over=self.over,
            last_rate=self._last_rate,
        )

    @classmethod
    def from_state(cls, state: LiveState, policy: Policy) -> LivePromise:
        """Make a live promise from a saved state; the tests keep the settings that they began with."""
        live = cls(policy)
        live._cusum = CusumDetector.from_state(state.cusum)
        live._demotion_test = DemotionTest.from_state(state.demotion_test)
        live._rate = AuditRate.from_state(state.rate)
        live._blind = Blind.from_state(state.blind)
        live._hold = None if state.hold is None else msgspec.structs.replace(state.hold)
        live.over = state.over
        live._last_rate = state.last_rate
        return live

    def _score(self, agreed: bool) -> tuple[Finding, ...]:
        hold = self._hold
        assert hold is not None
        hold.score(agreed)
        ends_block = self._demotion_test.score(agreed)
        if self._demotion_test.rejected:
            return self._demote()
        # Only between blocks: whether a block counts must not depend on what is in it.
        if not ends_block or not hold.may_resume(self.policy.target, self.policy.hold_scored):
            return ()
        self._hold = None
        self._cusum.reset(false_hold=hold.monitor == "cusum")
        return (Resumed(hold.scored, hold.disagreement, hold.monitor), *self._changed())

    def _enter(self, alarm: Alarmed) -> tuple[Finding, ...]:
        self._hold = Hold(monitor=alarm.monitor)
        self._cusum.reset()
        self._demotion_test.enter_hold()
        return (alarm, *self._changed())

    def _demote(self) -> tuple[Finding, ...]:
        self.over = True
        # people want to read what the hold saw; without a hold, what the demotion test counted
        seen: Hold | DemotionTest = self._hold if self._hold is not None else self._demotion_test
        rate = seen.disagreed / seen.scored if seen.scored else 0.0
        return (Demoted(self._demotion_test.e_value, self._demotion_test.threshold, seen.scored, rate),)

    def _look(self) -> tuple[Finding, ...]:
        if not self._blind.blind:
            return self._changed()
        level = self._blind.level
        # The route goes back to the teacher; if somebody approves it again, it begins as after a switch.
        self._blind.restart()
        self._rate.restart()
        self._hold = None
        self._cusum.reset()
        return (Alarmed("blind", level, BAR, "audits that were due do not come"), *self._changed())

    def _changed(self) -> tuple[Finding, ...]:
        rate = self.audit_rate
        if rate == self._last_rate:
            return ()
        self._last_rate = rate
        return (RateChanged(rate),)
