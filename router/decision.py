"""A decision: what happens to one call, and the coins that decide it."""

from __future__ import annotations

import os
from asyncio import Future
from dataclasses import dataclass
from typing import Literal

from jitr.router.reasons import Reason
from jitr.router.scoring.frames import Said
from jitr.schemas.calls import Call, DecisionStamp


def new_id() -> str:
    """A decision id that nobody else draws: 96 random bits.

    Examples
    --------
    >>> len(new_id()), new_id() == new_id()
    (24, False)
    """
    return os.urandom(12).hex()


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens to one call.

    Attributes
    ----------
    id : str
        Unique; the audit's coin is a hash of it.
    call : Call or None
        The request in canonical form, without a response; None where it could not be read.
    unread : Call or None
        Then what is published in its place: without messages, its ``error`` says why.
    target : str
        Who answers: ``teacher`` or ``surrogate``.
    task, route_version, surrogate : str
        The task, the version of its route that decided, and the surrogate's version.
    label, answer : str or None
        The surrogate's answer in normal form and as the teacher writes it, where it was run.
    score, threshold : float or None
        The gate's score of the answer; it is accepted at the threshold or above.
    accepted : bool
        Whether the gate accepted, whoever answers in the end.
    due : bool
        Whether an audit is owed: the surrogate answers, and the teacher must be asked too.
    held : bool
        Whether the route is on hold: the teacher answers and the surrogate is scored.
    scoring : Future or None
        The surrogate's answer to come, where it runs beside the teacher's.
    """

    id: str
    call: Call | None
    target: Literal["teacher", "surrogate"]
    reason: Reason
    task: str | None = None
    route_version: str = ""
    surrogate: str | None = None
    label: str | None = None
    answer: str | None = None
    score: float | None = None
    threshold: float | None = None
    accepted: bool = False
    audit_rate: float = 0.0
    coin: float = 1.0
    due: bool = False
    held: bool = False
    unread: Call | None = None
    scoring: Future[Said] | None = None

    @property
    def answered(self) -> bool:
        """Whether the surrogate has answered in the teacher's place."""
        return self.target == "surrogate" and self.answer is not None

    def stamp(self) -> DecisionStamp:
        """The decision as the published call carries it."""
        return DecisionStamp(
            id=self.id,
            task=self.task,
            route_version=self.route_version,
            target=self.target,
            reason=self.reason.value,
            surrogate=self.surrogate,
            answer=self.answer,
            label=self.label,
            score=self.score,
            accepted=self.accepted,
            audit_rate=self.audit_rate,
            coin=self.coin,
            due=self.due,
            held=self.held,
        )
