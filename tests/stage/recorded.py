"""A recorded stream of calls in parts, the same whenever it is played, and the decisions on it.

Calls of one task stand in one partition of `llm.calls`, so that their order is the stream's. What a gateway
would have decided depends on the rows alone that are in force when a part begins: the coins are hashes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import msgspec

from jitr.models import lifecycle
from jitr.models.redaction.redaction import Redaction
from jitr.models.surrogates.runtime import Surrogate
from jitr.models.tasks.matching.matcher import Matcher
from jitr.router.decision import Decision
from jitr.router.reasons import Reason
from jitr.router.table import Rows
from jitr.sandbox.traffic.request import Request
from jitr.sandbox.traffic.workload import Workload
from jitr.schemas.calls import Call, Message, Response, Usage
from jitr.schemas.coins import coin
from jitr.schemas.settings import Settings

TENANT = "recorded"


@dataclass(frozen=True)
class Part:
    """Calls by lane: a lane is a task, or the ad-hoc questions, and has one partition."""

    name: str
    lanes: Mapping[str, Sequence[Call]]

    def __len__(self) -> int:
        return sum(len(calls) for calls in self.lanes.values())


def recorded(
    names: Sequence[str], sizes: Mapping[str, int], *, seed: int, drifts: Mapping[str, Sequence[str]]
) -> list[Part]:
    """Parts of a stream, each with so many calls of every task and some ad-hoc questions.

    Parameters
    ----------
    drifts : mapping of part to tasks
        In these parts the teacher has changed its mind about these tasks.
    """
    streams = {name: iter(Workload(seed=seed, noise=0.0, tasks=[name])) for name in names}
    streams["ad-hoc"] = iter(Workload(seed=seed, noise=1.0, tasks=[]))
    teacher = Workload(seed=seed, tasks=list(names))
    parts, made = [], 0
    for part, size in sizes.items():
        lanes: dict[str, list[Call]] = {name: [] for name in streams}
        for name, stream in streams.items():
            for request in islice(stream, size if name in names else size // 5):
                text = teacher.answer(request.body)
                if name in drifts.get(part, ()):
                    labels = list(teacher.labels(name))
                    text = labels[(labels.index(str(request.label)) + 1) % len(labels)]
                lanes[name].append(_call(f"{name}-{made:05d}", 1e9 + made * 0.05, request, text))
                made += 1
        parts.append(Part(part, lanes))
    return parts


def _call(id: str, time: float, request: Request, text: str) -> Call:
    return Call(
        id=id,
        tenant=TENANT,
        model=request.body["model"],
        messages=tuple(Message(role=m["role"], content=m["content"]) for m in request.body["messages"]),
        time=time,
        response=Response(text=text, model=request.body["model"]),
        usage=Usage(input_tokens=100 + len(text), output_tokens=3),
    )


class Gateway:
    """Decides about recorded calls as the gateway would, by one state of the table."""

    def __init__(self, rows: Rows) -> None:
        self._matcher = Matcher(rows.tasks.values())
        self._redaction = Redaction(Settings())
        self._routes = rows.routes
        self._loaded: dict[str, Surrogate] = {}

    def decided(self, call: Call) -> Call:
        """The call as it is published: with the decision, and without an answer that nobody asked for."""
        match = self._matcher.match(self._redaction.call(call))
        route = self._routes.get(match.task_id) if match is not None else None
        ref = lifecycle.live(route) if route is not None else None
        if match is None or route is None or ref is None or ref.proof is None:
            return call
        if ref.digest not in self._loaded:
            self._loaded[ref.digest] = Surrogate.load(ref.uri, ref.digest)
        id = f"d-{call.id}"
        said = self._loaded[ref.digest].answer(match.input)
        accepted = said.score >= ref.proof.threshold
        ours = route.state in ("canary", "active") and coin(id, "canary") < route.share and accepted
        due = ours and coin(id, "audit") < route.audit_rate
        decision = Decision(
            id,
            None,
            "surrogate" if ours else "teacher",
            Reason.ACCEPTED if ours else Reason.DEFERRED,
            task=match.task_id,
            route_version=str(route.version),
            surrogate=ref.version,
            label=said.label,
            answer=said.text,
            score=float(said.score),
            accepted=accepted,
            audit_rate=route.audit_rate,
            coin=coin(id, "audit"),
            due=due,
            held=route.state == "hold",
        )
        call = msgspec.structs.replace(call, decision=decision.stamp())
        return call if due or not ours else msgspec.structs.replace(call, response=None, usage=Usage())
