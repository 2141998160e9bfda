"""What one call cost, by kind."""

from __future__ import annotations

from jitr.models.economics.money import cpu_usd
from jitr.schemas.money import Money
from jitr.schemas.routes import SurrogateRef
from jitr.schemas.tasks import TaskCall


def spent(call: TaskCall, live: SurrogateRef | None) -> Money:
    """The account of one call.

    Parameters
    ----------
    call : TaskCall
    live : SurrogateRef, optional
        The live version, whose time each answer takes.

    Examples
    --------
    >>> from jitr.schemas.calls import Response
    >>> call = TaskCall(id="c", tenant="t", task="k", task_version=1, time=0.0, model="m", input="hi",
    ...                 response=Response(text="yes"), cost_usd=0.25)
    >>> spent(call, None)
    Money(teacher_calls=1, audit_calls=0, answered_calls=0, teacher_usd=0.25, audit_usd=0.0, \
surrogate_usd=0.0, shadow_usd=0.0, train_usd=0.0, cost_squares=0.0625)
    """
    stamp = call.decision
    answered = stamp is not None and stamp.target == "surrogate" and stamp.answer is not None
    asked = call.response is not None
    ran = stamp is not None and stamp.score is not None
    core_s = live.p99_ms / 1000 if live is not None else 0.0
    return Money(
        teacher_calls=int(asked and not answered),
        audit_calls=int(asked and answered),
        answered_calls=int(answered),
        # a failed attempt was not answered, but it may have been billed
        teacher_usd=0.0 if answered else call.cost_usd,
        audit_usd=call.cost_usd if answered else 0.0,
        surrogate_usd=cpu_usd(core_s) if ran else 0.0,
        cost_squares=call.cost_usd**2 if asked else 0.0,
    )
