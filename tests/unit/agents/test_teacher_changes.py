"""The loop without servers: a teacher changes its mind, and the next surrogate learns from the new one."""

import asyncio
from itertools import islice
from pathlib import Path

import msgspec
import pytest

from jitr.agents.auditing.audit import Audit
from jitr.agents.collecting.collect import Collect
from jitr.agents.control import RouteController
from jitr.agents.runtime.handler import IncomingEvent, SourcePartition
from jitr.agents.training.child import run_training
from jitr.models import lifecycle
from jitr.models.datasets.parts import read_parts
from jitr.models.surrogates.artifact.artifact import read_manifest
from jitr.models.surrogates.runtime import Surrogate
from jitr.sandbox.traffic.workload import Workload
from jitr.schemas.calls import DecisionStamp, Response
from jitr.schemas.coins import coin
from jitr.schemas.evidence import Demotion
from jitr.schemas.policy import DEMO
from jitr.schemas.routes import Route, SurrogateTarget
from jitr.schemas.tasks import Signature, Task, TaskCall
from jitr.schemas.trainings import Limits, Training

SWAP = {"spam": "ok", "ok": "spam"}
POLICY = msgspec.structs.replace(
    DEMO, first_labels=200, limits=Limits(max_train_s=4.0, max_latency_ms=1000.0)
)


class Loop:
    """Collect, train, audit and control on the calls of one task, behind a router of a few lines."""

    def __init__(self, bench, folder):
        self.bench, self.folder = bench, folder
        settings = msgspec.structs.replace(bench.context.settings, policy=POLICY)
        object.__setattr__(bench.context, "settings", settings)
        bench.know(
            Task(
                id="spam",
                tenant="t",
                signature=Signature(model="m", shape="user"),
                status="task",
                kind="label",
                labels=("ok", "spam"),
            )
        )
        self.collect = Collect(bench.context, SourcePartition("c", 0))
        self.audit = Audit(bench.context, self)
        self.control = RouteController(bench.context, SourcePartition("e", 0))
        self.calls = self.evidence = 0
        self.surrogates = {}
        self.trainings, self.demotions, self.states = [], [], []
        self.swap = {}

    @property
    def route(self):
        return self.bench.context.route("spam") or Route(tenant="t", task="spam")

    def load(self, ref):
        if ref.digest not in self.surrogates:
            self.surrogates[ref.digest] = Surrogate.load(Path(ref.uri), ref.digest)
        return self.surrogates[ref.digest]

    async def answers(self, ref, texts):
        """In the place of the scorer's process."""
        return [(a.label, a.score) for a in self.load(ref).answer_many(texts)]

    def teacher(self, request):
        label = request.label.lower()
        return self.swap.get(label, label)

    async def call(self, request):
        route, id = self.route, f"c{self.calls}"
        said, stamp = self.teacher(request), None
        if isinstance(route.target, SurrogateTarget):
            (answer,) = self.load(route.surrogate).answer_many([request.slot_value])
            accepted, flip = answer.score >= route.surrogate.proof.threshold, coin(id, "audit")
            answers = accepted and route.state != "hold" and coin(id, "canary") < route.share
            due = answers and flip < route.audit_rate
            stamp = DecisionStamp(
                id=id,
                task="spam",
                route_version=str(route.version),
                surrogate=route.surrogate.version,
                target="surrogate" if answers else "teacher",
                answer=answer.text if answers else None,
                label=answer.label,
                score=answer.score,
                accepted=accepted,
                audit_rate=route.audit_rate,
                coin=flip,
                due=due,
                held=accepted and route.state == "hold",
            )
            if answers and not due:
                said = None
        made = TaskCall(
            id=id,
            tenant="t",
            task="spam",
            task_version=1,
            time=float(self.calls),
            model="m",
            input=request.slot_value,
            label=said,
            response=Response(text=said.upper(), model="m") if said else None,
            cost_usd=0.001 if said else 0.0,
            decision=stamp,
        )
        incoming = IncomingEvent(id, made.time, made, 0, self.calls)
        self.calls += 1
        for output in [*self.collect.handle([incoming]), *await self.audit.handle([incoming])]:
            await self.tell(output.record)

    async def tell(self, record):
        if isinstance(record, Training):
            self.trainings.append(record)
            record = await run_training(record, str(self.folder), 4096)
        if isinstance(record, Demotion):
            self.demotions.append(record)
        incoming = IncomingEvent(record.id, record.time, record, 0, self.evidence)
        self.evidence += 1
        for output in self.control.handle([incoming]):
            self.bench.routes.rows["spam"] = output.record
        if not self.states or self.states[-1] != self.route.state:
            self.states.append(self.route.state)

    async def until(self, requests, state, most):
        for request in islice(requests, most):
            await self.call(request)
            if self.route.state == state:
                return
        raise AssertionError(f"not {state} within {most} calls: {self.states}, {self.route.reason}")


@pytest.mark.slow
def test_the_second_surrogate_agrees_with_the_teacher_of_today(bench, tmp_path):
    loop = Loop(bench, tmp_path / "surrogates")
    requests = iter(Workload(seed=5, noise=0.0, tasks=["spam"]))
    fresh = list(islice(iter(Workload(seed=6, noise=0.0, tasks=["spam"])), 300))

    def agreement(ref):
        threshold = ref.proof.threshold
        answers = loop.load(ref).answer_many([r.slot_value for r in fresh])
        right = [
            a.label == loop.teacher(r) for a, r in zip(answers, fresh, strict=True) if a.score >= threshold
        ]
        return sum(right) / len(right)

    async def live():
        await loop.until(requests, "active", 4000)
        first = lifecycle.live(loop.route)
        assert agreement(first) >= POLICY.target
        loop.swap, changed_at = SWAP, loop.calls
        assert agreement(first) < 0.2
        await loop.until(requests, "demoted", 2000)
        await loop.until(requests, "active", 4000)
        return lifecycle.live(loop.route), changed_at

    second, changed_at = asyncio.run(live())
    assert agreement(second) >= POLICY.target
    (demotion,) = loop.demotions
    assert demotion.since_offset > changed_at
    (taught,) = {t.since_offset for t in loop.trainings if t.demotions}
    assert taught == demotion.since_offset == loop.route.since_offset
    data = read_parts(loop.trainings[-1].parts, taught)
    assert data.times.min() >= changed_at
    manifest, _ = read_manifest(Path(second.uri))
    assert manifest.lineage.since_offset == taught
    assert (manifest.rows, loop.route.demotions) == (len(data), 1)
