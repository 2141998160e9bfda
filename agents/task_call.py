"""From a call and its task to a task call: one function for detect and mine, so that both say the same."""

from __future__ import annotations

from collections.abc import Collection

from jitr.agents.runtime.handler import Output
from jitr.models.answers.labelling import label_of
from jitr.models.economics.bills import bill
from jitr.models.tasks.matching.inputs import input_of, patterns_of, slots_in
from jitr.models.tasks.matching.signature import text_of
from jitr.schemas.bounds import MOST_WEIGHT
from jitr.schemas.calls import Call
from jitr.schemas.labels import NoLabel, label_text, no_label
from jitr.schemas.only_teacher import why
from jitr.schemas.prices import Price
from jitr.schemas.tasks import Task, TaskCall


def task_call(
    call: Call,
    task: Task,
    prices: dict[str, Price],
    slots: tuple[str, ...] | None = None,
    harmless: Collection[str] = (),
) -> TaskCall:
    """Build the task call of a call; the slots are taken from the task's templates where they are not given.

    The answer becomes a label only if it is one (`jitr.schemas.labels`): a call that failed, was cut off or
    called a tool is counted and paid, but teaches nothing.

    Examples
    --------
    >>> from jitr.schemas.calls import Message, Response
    >>> from jitr.schemas.tasks import Signature, Template
    >>> task = Task(id="t1", tenant="acme", signature=Signature(model="m", shape="user"), kind="label",
    ...             labels=("good",), renderings={"good": "Good"}, templates=(Template(prefix="Mood of:"),))
    >>> call = Call(id="c", tenant="acme", model="m", time=0.0, response=Response(text="**good**"),
    ...             messages=(Message(role="user", content="Mood of: lovely day"),))
    >>> made = task_call(call, task, {})
    >>> made.input, made.label, made.response.text
    ('lovely day', 'good', '**good**')
    """
    if slots is None:
        slots = slots_in(text_of(call), patterns_of(task.templates))
    answer, reason = label_text(call), no_label(call)
    label = label_of(task, answer) if answer is not None else None
    if label is not None and call.stop and task.kind == "label" and label not in task.labels:
        # it may be the beginning of another that a stop sequence ended: no server says so
        label, reason = None, NoLabel.CUT_SHORT
    billed, kept = bill(call, prices), why(call, harmless)
    return TaskCall(
        id=call.id,
        tenant=call.tenant,
        task=task.id,
        task_version=task.version,
        time=call.time,
        model=call.model,
        input=input_of(slots),
        slots=slots,
        label=label,
        no_label=reason,
        response=call.response,
        usage=billed.usage,
        cost_usd=billed.usd or 0.0,
        latency_s=call.latency_s,
        decision=call.decision,
        weight=_weight(call),
        only_teacher=kept[0] if kept is not None else "",
        max_tokens=call.max_tokens,
        stop=call.stop,
    )


def as_output(made: TaskCall, topic: str) -> Output:
    """A task call on its way; its id is the call's."""
    return Output(topic, made.task, made.id, made.time, made)


def _weight(call: Call) -> float:
    """1/p of a call that came to the teacher, or to us, by sampling."""
    weight = 1.0 / call.sampled if 0 < call.sampled < 1 else 1.0
    stamp = call.decision
    if stamp is not None and stamp.target == "surrogate" and stamp.due and stamp.audit_rate > 0:
        weight /= min(1.0, stamp.audit_rate)
    return min(weight, MOST_WEIGHT)
