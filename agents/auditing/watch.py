"""What audit keeps of one task: its money, a candidate's shadow run, and the live version's promise."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import msgspec

from jitr.agents.auditing.cost import spent
from jitr.agents.auditing.shadowing import Shadowing, ShadowingState
from jitr.models import lifecycle
from jitr.models.answers.agreement import same
from jitr.models.drift.base import MonitorState
from jitr.models.drift.margin import MarginMonitor
from jitr.models.economics.money import add, cpu_usd
from jitr.models.promise.findings import Alarmed, Demoted, Finding, RateChanged, Resumed
from jitr.models.promise.live import LivePromise, LiveState
from jitr.schemas.evidence import Alarm, AuditWindow, Certified, Demotion, Evidence, Futile, Resume
from jitr.schemas.money import Money
from jitr.schemas.only_teacher import cut_short
from jitr.schemas.policy import Policy
from jitr.schemas.routes import Route, SurrogateRef
from jitr.schemas.tasks import TaskCall

# a window closes after so many calls, or seconds of event time
WINDOW = 50
WINDOW_S = 5.0


class WatchState(msgspec.Struct, kw_only=True):
    """Everything that must survive; ``held_from`` is the offset at which the live version's hold began."""

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
    held_from: int | None = None
    shadow: ShadowingState | None = None


@dataclass(frozen=True, slots=True)
class Scored:
    """What the candidate says to one call: the label, its gate's score, and how it would write it."""

    label: str
    score: float
    text: str = ""


class AuditWatch:
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
        self._shadow = Shadowing(policy, s.shadow)

    def state(self) -> WatchState:
        """Everything, exactly."""
        s = self._s
        s.live = self._live.state() if self._live else None
        s.margin = self._margin.state() if self._margin else None
        s.shadow = self._shadow.state()
        return s

    @property
    def waiting(self) -> bool:
        """Whether calls were counted that no window has told."""
        return self._s.calls > 0

    def wants(self, call: TaskCall, offset: int, route: Route | None) -> SurrogateRef | None:
        """The candidate that is to be scored on this call, if it is."""
        return self._shadow.wants(call, offset, route)

    def learn(
        self,
        call: TaskCall,
        offset: int,
        route: Route | None,
        ref: SurrogateRef | None,
        scored: Scored | None,
    ) -> list[Evidence]:
        """Learn one call; ``scored`` is what the candidate ``ref`` says to it, where it was wanted."""
        s = self._s
        evidence: list[Evidence] = []
        live = lifecycle.live(route) if route is not None else None
        version = live.version if live is not None else None
        if version != s.surrogate:
            evidence += self.window()
            s.surrogate = version
            self._margin, self._live, s.held_from = None, None, None
            if live is not None:
                proof = live.proof
                calls, agreed = (proof.calls, proof.agreed) if proof is not None else (0, 0)
                self._live = LivePromise(self.policy, calls=calls, agreed=agreed)
                self._margin = MarginMonitor()
                if route is not None and "hold" in (route.state, route.resume):
                    # our state was lost with the hold in it: only we can end it, so it begins again here
                    self._live.alarm(Alarmed("teacher", 0.0, 0.0, "a hold that is taken up again"))
                    s.held_from = offset
        if s.first is None:
            s.first, s.opened = call.id, call.time
        s.time = call.time
        s.calls += 1
        s.money = add(s.money, spent(call, live))
        if self._live is not None and call.decision is not None and call.decision.surrogate == version:
            evidence += self._watch_live(call, offset)
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
            shadow=self._shadow.run,
        )
        s.first, s.calls, s.accepted, s.audits, s.agreed, s.money = None, 0, 0, 0, 0, Money()
        return [told]

    def refuse(self, ref: SurrogateRef, reason: str) -> list[Evidence]:
        """The candidate cannot be run at all."""
        calls = self._shadow.calls
        self._shadow.end(ref)
        return [self._futile(ref, reason, calls)]

    def _watch_live(self, call: TaskCall, offset: int) -> list[Evidence]:
        s, live, stamp = self._s, self._live, call.decision
        assert live is not None
        assert stamp is not None
        findings: list[Finding] = []
        said = stamp.label if stamp.label is not None else stamp.answer
        # what is no label is no evidence, whoever is to blame
        judged = call.response is not None and call.no_label is None
        agreed = judged and said is not None and self._agrees(said, call)
        if stamp.score is not None and self._margin is not None:
            alarm = self._margin.update(stamp.score)
            if alarm is not None:
                findings += live.alarm(alarm)
        if stamp.accepted:
            s.accepted += 1
            if stamp.target == "surrogate":
                findings += (*live.accepted(1), *live.told(call.time, stamp.audit_rate, stamp.due))
                if stamp.due and judged:
                    s.audits += 1
                    s.agreed += agreed
                    findings += live.audit(agreed)
                elif stamp.due:
                    findings += live.audit_failed()
            elif judged and said is not None and stamp.held:
                findings += live.scored_in_hold(agreed)
            elif judged and said is not None:
                # outside the canary's share, by a coin: an audit that costs nothing
                s.audits += 1
                s.agreed += agreed
                findings += (*live.accepted(1), *live.audit(agreed))
        evidence: list[Evidence] = []
        for number, finding in enumerate(findings):
            evidence += self._tell(finding, f"{call.id}/{number}", offset)
        return evidence

    def _tell(self, finding: Finding, place: str, offset: int) -> list[Evidence]:
        s, version = self._s, self._s.surrogate
        if isinstance(finding, RateChanged):
            return self.window()
        told: Any
        if isinstance(finding, Alarmed):
            # a blind route holds nothing: it goes back to the teacher
            s.held_from = offset if finding.monitor != "blind" else None
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
        elif isinstance(finding, Resumed):
            s.held_from = None
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
            assert isinstance(finding, Demoted)
            told = self._evidence(
                Demotion,
                "demotion",
                place,
                surrogate=version,
                e_value=finding.e_value,
                threshold=finding.threshold,
                scored=finding.scored,
                disagreement=finding.disagreement,
                since_offset=s.held_from if s.held_from is not None else offset,
            )
        # the counts go first, so that the row that moves is up to date
        return [*self.window(), told]

    def _prove(self, call: TaskCall, ref: SurrogateRef, scored: Scored) -> list[Evidence]:
        if not self._shadow.runs(ref):
            return []
        self._s.money = add(self._s.money, Money(shadow_usd=cpu_usd(ref.p99_ms / 1000)))
        if cut_short(scored.text, call.max_tokens, call.stop):
            # the router leaves such an answer to the teacher
            return []
        calls = self._shadow.calls + 1
        found = self._shadow.learn(ref, scored.score, self._agrees(scored.label, call))
        if found is None:
            return []
        told: Any
        if isinstance(found, str):
            told = self._futile(ref, found, calls)
        else:
            told = self._evidence(Certified, "certified", ref.version, surrogate=ref.version, proof=found)
        return [*self.window(), told]

    def _futile(self, ref: SurrogateRef, reason: str, calls: int) -> Any:
        version = ref.version
        return self._evidence(Futile, "futile", version, surrogate=version, reason=reason, calls=calls)

    def _evidence(self, kind: Any, word: str, place: str, **fields: Any) -> Any:
        id = self._id(word, place, 0)
        return kind(id=id, tenant=self.tenant, task=self.task, time=self._s.time, **fields)

    def _id(self, word: str, place: str, n: int) -> str:
        """An id that depends on the calls alone: the same history gives the same evidence."""
        digest = blake2b(f"{place}/{n}".encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
        return f"{word}/{self.task}/{digest}"

    def _agrees(self, said: str, call: TaskCall) -> bool:
        """Whether a surrogate's label is the teacher's answer, as far as the policy wants it."""
        response = call.response
        assert response is not None
        meant = call.label if call.label is not None else response.text
        return same(said, meant, self.policy.tolerance)
