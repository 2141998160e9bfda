"""What a task's calls cost, by kind: plain sums, so that anybody can add them up again."""

from __future__ import annotations

from jitr.schemas.bounds import Sum, Total
from jitr.schemas.record import Record


class Money(Record, frozen=True, kw_only=True):
    """Sums in US dollars, and the counts that price them.

    ``teacher`` calls were answered by the teacher; ``audit`` calls were answered by the surrogate and
    sent to the teacher too; ``answered`` calls were answered by the surrogate, audited or not.
    ``cost_squares`` is the sum of squared bills of teacher and audit calls, for an interval.
    """

    teacher_calls: Total = 0
    audit_calls: Total = 0
    answered_calls: Total = 0
    teacher_usd: Sum = 0.0
    audit_usd: Sum = 0.0
    surrogate_usd: Sum = 0.0
    shadow_usd: Sum = 0.0
    train_usd: Sum = 0.0
    cost_squares: Sum = 0.0
