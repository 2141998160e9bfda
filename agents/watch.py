"""What audit keeps of one task: its money, a candidate's shadow run, and the live version's promise."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import msgspec

from jitr.agents.taskcalls import coin
from jitr.models import lifecycle
from jitr.models.drift.base import MonitorState
from jitr.models.drift.margin import MarginMonitor
from jitr.models.money import add, cpu_usd
from jitr.models.promise.findings import Cleared, Convicted, Finding, RateChanged, Suspected
from jitr.models.promise.live import LivePromise, LiveState
from jitr.models.promise.shadow import ShadowProof, ShadowState
from jitr.models.tasks.answers import same
from jitr.schemas.evidence import Alarm, AuditWindow, Certified, Evidence, Futile, Resume, Verdict
from jitr.schemas.money import Money
from jitr.schemas.policy import Policy
from jitr.schemas.routes import Route, SurrogateRef
from jitr.schemas.tasks import TaskCall

# a window closes after so many calls, or seconds of event time
WINDOW = 50
WINDOW_S = 5.0
_ANSWERING = ("canary", "active", "hold")


class WatchState(msgspec.Struct, kw_only=True):
    """Everything that must survive."""

    first: str | None = None
    opened: float = 0.0
    time: float = 0.0
    calls: int = 0
    accepted: int = 0
    audits: int = 0
    agreed: int = 0
    surrogate: str | None = None
    money: Money = Money()
    live: LiveState | None = None
    margin: MonitorState | None = None
    candidate: str | None = None
    shadow: ShadowState | None = None
    minute: int = -1
    scored: int = 0


@dataclass(frozen=True, slots=True)
class Scored:
    """What the candidate says to one call."""

    label: str
    score: float


class Watch:
    """Learns the calls of one task in order and gives evidence.

    Parameters
    ----------
    tenant, task : str
    state : WatchState, optional
        What an earlier one has kept.
    policy : Policy
        The task's policy.
    """

    def __init__(self, tenant: str, task: str, policy: Policy, state: WatchState | None = None) -> None:
        self.tenant, self.task, self.policy = tenant, task, policy
        s = self._s = state or WatchState()
        self._live = LivePromise.from_state(s.live, policy) if s.live is not None else None
        self._margin = MarginMonitor.from_state(s.margin) if s.margin is not None else None
        self._shadow = ShadowProof.from_state(s.shadow) if s.shadow is not None else None

    def state(self) -> WatchState:
        """Everything, exactly."""
        s = self._s
        s.live = self._live.state() if self._live else None
        s.margin = self._margin.state() if self._margin else None
        s.shadow = self._shadow.state() if self._shadow else None
        return s

    @property
    def waiting(self) -> bool:
        """Whether calls were counted that no window has told."""
        return self._s.calls > 0

    def wants(self, call: TaskCall, offset: int, route: Route | None) -> SurrogateRef | None:
        """The candidate that is to be scored on this call, if it is.

        Every call enters with one probability: while a version is live only its audits are sure to have the
        teacher's answer, so the calls it left to the teacher enter by the same coin.
        """
        ref = lifecycle.shadowed(route) if route is not None else None
        if ref is None or route is None or call.response is None or offset <= ref.after_offset:
            return None
        if self._s.candidate == ref.version and self._s.shadow is None and self._shadow is None:
            return None
        stamp = call.decision
        if stamp is not None and stamp.surrogate is not None:
            enters = stamp.coin < stamp.audit_rate
        elif route.state in _ANSWERING and lifecycle.live(route) is not None:
            enters = coin(call.id, "shadow") < route.audit_rate
        else:
            enters = True
        if not enters:
            return None
        minute = int(call.time // 60)
        if minute != self._s.minute:
            self._s.minute, self._s.scored = minute, 0
        if self._s.scored >= self.policy.shadow_cap:
            return None
        self._s.scored += 1
        return ref

    def learn(
        self, call: TaskCall, route: Route | None, ref: SurrogateRef | None, scored: Scored | None
    ) -> list[Evidence]:
        """Learn one call; ``scored`` is what the candidate ``ref`` says to it, where it was wanted."""
        s = self._s
        evidence: list[Evidence] = []
        live = lifecycle.live(route) if route is not None else None
        version = live.version if live is not None else None
        if version != s.surrogate:
            evidence += self.window()
            s.surrogate = version
            self._margin, self._live = None, None
            if live is not None:
                proof = live.proof
                calls, agreed = (proof.calls, proof.agreed) if proof is not None else (0, 0)
                self._live = LivePromise(self.policy, calls=calls, agreed=agreed)
                self._margin = MarginMonitor()
        if s.first is None:
            s.first, s.opened = call.id, call.time
        s.time = call.time
        s.calls += 1
        self._count_money(call, live)
        if self._live is not None and call.decision is not None and call.decision.surrogate == version:
            evidence += self._watch_live(call)
        if ref is not None and scored is not None:
            evidence += self._prove(call, ref, scored)
        if s.calls >= WINDOW or (s.calls and call.time >= s.opened + WINDOW_S):
            evidence += self.window()
        return evidence

    def window(self) -> list[Evidence]:
        """Close the window: plain sums, so that however they are cut, they add up to the same."""
        s = self._s
        if not s.calls:
            return []
        told = AuditWindow(
            id=self._id("window", s.first or "", s.calls),
            tenant=self.tenant,
            task=self.task,
            time=s.time,
            surrogate=s.surrogate,
            calls=s.calls,
            accepted=s.accepted,
            audits=s.audits,
            agreed=s.agreed,
            audit_rate=self._live.audit_rate if self._live is not None else 0.0,
            money=s.money,
        )
        s.first, s.calls, s.accepted, s.audits, s.agreed, s.money = None, 0, 0, 0, 0, Money()
        return [told]

    def refuse(self, ref: SurrogateRef, reason: str) -> list[Evidence]:
        """The candidate cannot be run at all."""
        calls = self._shadow.calls if self._shadow is not None else 0
        self._s.candidate, self._s.shadow, self._shadow = ref.version, None, None
        futile: Any = self._evidence(
            Futile, "futile", ref.version, surrogate=ref.version, reason=reason, calls=calls
        )
        return [futile]

    def _count_money(self, call: TaskCall, live: SurrogateRef | None) -> None:
        stamp = call.decision
        answered = stamp is not None and stamp.target == "surrogate" and stamp.answer is not None
        asked = call.response is not None
        ran = stamp is not None and stamp.score is not None
        core_s = live.p99_ms / 1000 if live is not None else 0.0
        self._s.money = add(
            self._s.money,
            Money(
                teacher_calls=int(asked and not answered),
                audit_calls=int(asked and answered),
                answered_calls=int(answered),
                # a failed attempt was not answered, but it may have been billed
                teacher_usd=0.0 if answered else call.cost_usd,
                audit_usd=call.cost_usd if answered else 0.0,
                surrogate_usd=cpu_usd(core_s) if ran else 0.0,
                cost_squares=call.cost_usd**2 if asked else 0.0,
            ),
        )

    def _watch_live(self, call: TaskCall) -> list[Evidence]:
        s, live, stamp = self._s, self._live, call.decision
        assert live is not None
        assert stamp is not None
        findings: list[Finding] = []
        said = stamp.label if stamp.label is not None else stamp.answer
        agreed = call.response is not None and said is not None and _agrees(said, call)
        if stamp.score is not None and self._margin is not None:
            alarm = self._margin.update(stamp.score)
            if alarm is not None:
                findings += live.suspect(alarm)
        if stamp.accepted:
            s.accepted += 1
            if stamp.target == "surrogate":
                findings += live.accepted(1)
                if stamp.due and call.response is not None:
                    s.audits += 1
                    s.agreed += agreed
                    findings += live.audit(agreed, stamp.id)
                elif stamp.due:
                    findings += live.audit_lost()
            elif call.response is not None and said is not None and stamp.held:
                findings += live.scored_in_hold(agreed)
            elif call.response is not None and said is not None:
                # outside the canary's share, by a coin: an audit that costs nothing
                s.audits += 1
                s.agreed += agreed
                findings += (*live.accepted(1), *live.audit(agreed, owed=False))
        evidence: list[Evidence] = []
        for number, finding in enumerate(findings):
            evidence += self._tell(finding, number, call)
        return evidence

    def _tell(self, finding: Finding, number: int, call: TaskCall) -> list[Evidence]:
        version = self._s.surrogate
        place = f"{call.id}/{number}"
        if isinstance(finding, RateChanged):
            return self.window()
        told: Any
        if isinstance(finding, Suspected):
            told = self._evidence(
                Alarm,
                "alarm",
                place,
                surrogate=version,
                monitor=finding.monitor,
                statistic=finding.statistic,
                threshold=finding.threshold,
                reason=finding.reason,
            )
        elif isinstance(finding, Cleared):
            if finding.monitor == "adwin" and self._margin is not None:
                self._margin.relearn()
            told = self._evidence(
                Resume,
                "resume",
                place,
                surrogate=version,
                scored=finding.scored,
                disagreement=finding.disagreement,
            )
        else:
            assert isinstance(finding, Convicted)
            told = self._evidence(
                Verdict,
                "verdict",
                place,
                surrogate=version,
                wealth=finding.wealth,
                bar=finding.bar,
                scored=finding.scored,
                disagreement=finding.disagreement,
            )
        # the counts go first, so that the row that moves is up to date
        return [*self.window(), told]

    def _prove(self, call: TaskCall, ref: SurrogateRef, scored: Scored) -> list[Evidence]:
        s = self._s
        if s.candidate != ref.version:
            s.candidate = ref.version
            self._shadow = ShadowProof(
                ref.shares, ref.thresholds, ref.forecast, self.policy.target, self.policy.delta
            )
        proof = self._shadow
        if proof is None:
            return []
        s.money = add(s.money, Money(shadow_usd=cpu_usd(ref.p99_ms / 1000)))
        proof.update(scored.score, _agrees(scored.label, call))
        if (reason := proof.futile) is not None:
            return [*self.window(), *self.refuse(ref, reason)]
        if proof.proved is None or not proof.settled:
            return []
        told: Any = self._evidence(
            Certified, "certified", ref.version, surrogate=ref.version, proof=proof.proved
        )
        self._shadow = s.shadow = None
        return [*self.window(), told]

    def _evidence(self, kind: Any, word: str, place: str, **fields: Any) -> Any:
        id = self._id(word, place, 0)
        return kind(id=id, tenant=self.tenant, task=self.task, time=self._s.time, **fields)

    def _id(self, word: str, place: str, n: int) -> str:
        """An id that depends on the calls alone: the same history gives the same evidence."""
        digest = blake2b(f"{place}/{n}".encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
        return f"{word}/{self.task}/{digest}"


def _agrees(said: str, call: TaskCall) -> bool:
    """Whether a surrogate's label is the teacher's answer."""
    response = call.response
    assert response is not None
    return same(said, call.label if call.label is not None else response.text)
