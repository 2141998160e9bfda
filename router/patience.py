"""How long a caller is kept waiting for a surrogate: never longer than the teacher usually takes."""

from __future__ import annotations

from collections import OrderedDict, deque
from statistics import median
from typing import Final

LEAST_S: Final = 0.05
MOST_S: Final = 0.5
TEACHERS_SHARE: Final = 0.5
UNMEASURED_S: Final = 0.3
_KEPT: Final = 31
_MOST_TASKS: Final = 10_000


def deadline_s(p99_ms: float, teacher_s: float) -> float:
    """Seconds within which a surrogate must answer, or the teacher is asked.

    50 ms, or three times what the surrogate takes at most, or half of what the teacher usually takes, of
    which no more than 500 ms: the greatest of them. The last leaves room for calls that come in a burst.

    Parameters
    ----------
    p99_ms : float
        99th percentile of the surrogate's own time for one text.
    teacher_s : float
        What the teacher usually takes for a call of this task.

    Examples
    --------
    >>> [deadline_s(2.0, teacher_s) for teacher_s in (0.01, 0.4, 30.0)], deadline_s(300.0, 0.01)
    ([0.05, 0.2, 0.5], 0.9)
    """
    return max(LEAST_S, 3 * p99_ms / 1000, min(TEACHERS_SHARE * teacher_s, MOST_S))


class TeacherTimes:
    """What the teacher usually takes, by task: the median of its last answers.

    Examples
    --------
    >>> times = TeacherTimes()
    >>> times.usual_s("a", "t1")
    0.3
    >>> for latency_s in (1.0, 60.0, 1.2):
    ...     times.learn("a", "t1", latency_s)
    >>> times.usual_s("a", "t1"), times.usual_s("b", "t1")
    (1.2, 0.3)
    """

    def __init__(self) -> None:
        self._times: Final[OrderedDict[tuple[str, str], deque[float]]] = OrderedDict()

    def learn(self, tenant: str, task: str, latency_s: float) -> None:
        """Remember what one answer took."""
        times = self._times.setdefault((tenant, task), deque(maxlen=_KEPT))
        times.append(latency_s)
        self._times.move_to_end((tenant, task))
        if len(self._times) > _MOST_TASKS:
            self._times.popitem(last=False)

    def usual_s(self, tenant: str, task: str) -> float:
        """The median, `UNMEASURED_S` before the first answer."""
        times = self._times.get((tenant, task))
        return median(times) if times else UNMEASURED_S
