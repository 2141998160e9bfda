"""The shadow run of one task's candidate: which calls it is scored on, and what they prove.

docs/guarantee.md, "Shadow run".
"""

from __future__ import annotations

import msgspec

from jitr.models import lifecycle
from jitr.models.promise.shadow import ShadowProof, ShadowState
from jitr.schemas.coins import coin
from jitr.schemas.policy import Policy
from jitr.schemas.routes import Proof, Route, ShadowRun, SurrogateRef
from jitr.schemas.tasks import TaskCall

_HELD_OR_LIVE = ("canary", "active", "hold")
_MINUTE_S = 60.0
# the sample is aimed a little below the cap, which would otherwise cut off the end of every other minute
_AIM = 0.9


class Sampling(msgspec.Struct):
    """A share of a task's calls such that at most so many a minute (of event time) are taken.

    Which calls are taken hangs on their ids alone; how large a share of them, on the calls of the last
    minute and of this one so far. The cap is kept whatever comes.

    Examples
    --------
    >>> sampling = Sampling()
    >>> taken = [n for n in range(6000) if sampling.take(f"call {n}", n * 0.01, cap=100)]
    >>> 70 <= len(taken) <= 100, taken[-1] > 5000
    (True, True)
    """

    minute: int = -1
    calls: int = 0
    before: int = 0
    taken: int = 0

    def take(self, id: str, time: float, cap: int) -> bool:
        """Whether the call with this id is in the sample."""
        minute = int(time // _MINUTE_S)
        if minute != self.minute:
            self.before = self.calls if minute == self.minute + 1 else 0
            self.minute, self.calls, self.taken = minute, 0, 0
        self.calls += 1
        elapsed_s = max(1.0, time - minute * _MINUTE_S)
        expected = max(self.before, self.calls * _MINUTE_S / elapsed_s)
        share = min(1.0, _AIM * cap / expected) if expected > cap else 1.0
        if self.taken >= cap or coin(id, "cap") >= share:
            return False
        self.taken += 1
        return True


class ShadowingState(msgspec.Struct, kw_only=True):
    """Everything that must survive; ``candidate`` without ``proof`` is one whose run is over."""

    candidate: str | None = None
    proof: ShadowState | None = None
    sampling: Sampling = msgspec.field(default_factory=Sampling)


class Shadowing:
    """Chooses calls for the candidate, and learns what it says to them.

    Parameters
    ----------
    policy : Policy
        The task's policy.
    state : ShadowingState, optional
        What an earlier one has kept.
    """

    def __init__(self, policy: Policy, state: ShadowingState | None = None) -> None:
        self._policy = policy
        self._s = state or ShadowingState()
        self._proof = ShadowProof.from_state(self._s.proof) if self._s.proof is not None else None

    def state(self) -> ShadowingState:
        """Everything, exactly."""
        self._s.proof = self._proof.state() if self._proof is not None else None
        return self._s

    @property
    def calls(self) -> int:
        """Calls that the candidate was scored on."""
        return self._proof.calls if self._proof is not None else 0

    @property
    def run(self) -> ShadowRun | None:
        """How far the run has come, if one is in progress."""
        if self._proof is None or self._s.candidate is None:
            return None
        return ShadowRun(
            version=self._s.candidate,
            calls=self._proof.calls,
            forecast_calls=self._proof.forecast_calls,
        )

    def wants(self, call: TaskCall, offset: int, route: Route | None) -> SurrogateRef | None:
        """The candidate that is to be scored on this call, if it is.

        None that the router would not give to a surrogate. Every other enters with one probability: while a
        version is live only its audits are sure to have the teacher's answer, so the calls it left to the
        teacher enter by the same coin.
        """
        ref = lifecycle.shadowed(route) if route is not None else None
        judged = call.response is not None and call.no_label is None
        if ref is None or route is None or not judged or offset <= ref.after_offset:
            return None
        if call.only_teacher:
            return None
        if self._s.candidate == ref.version and self._proof is None:
            return None
        stamp = call.decision
        if stamp is not None and stamp.surrogate is not None:
            enters = stamp.coin < stamp.audit_rate
        elif route.state in _HELD_OR_LIVE and lifecycle.live(route) is not None:
            enters = coin(call.id, "shadow") < route.audit_rate
        else:
            enters = True
        return ref if enters and self._s.sampling.take(call.id, call.time, self._policy.shadow_cap) else None

    def learn(self, ref: SurrogateRef, score: float, agreed: bool) -> Proof | str | None:
        """Learn one scored call; the proof, or why there will be none, where that is clear now."""
        if self._s.candidate != ref.version:
            self._s.candidate = ref.version
            self._proof = ShadowProof(
                ref.shares, ref.thresholds, ref.forecast, self._policy.target, self._policy.delta
            )
        proof = self._proof
        if proof is None:
            return None
        proof.update(score, agreed)
        found = proof.futile or (proof.proved if proof.settled else None)
        if found is not None:
            self.end(ref)
        return found

    def runs(self, ref: SurrogateRef) -> bool:
        """Whether a scored call still counts for this candidate."""
        return self._s.candidate != ref.version or self._proof is not None

    def end(self, ref: SurrogateRef) -> None:
        """The run of this candidate is over."""
        self._s.candidate, self._proof = ref.version, None
